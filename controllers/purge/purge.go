// Package purge takes the tokens out of all Secrets before the operator is uninstalled. Afterwards nobody would: a
// token works for up to an hour, whatever becomes of its grant.
package purge

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/controllers/tenant"
)

const (
	// page bounds how many tokens are in memory at a time.
	page = 200
	// tries bounds how often a Secret is emptied again after somebody else wrote in between.
	tries = 3
	// told bounds how many problems are told.
	told = 20
)

// Purge empties Secrets. Nobody may fill them meanwhile.
type Purge struct {
	Client client.Client // without a cache
	Log    logr.Logger

	emptied, deleted, empty, foreign, failed int
	problems                                 []error // the first of them
}

// Check tells whether Run would reach every token. It changes nothing.
func (p *Purge) Check(ctx context.Context) error {
	r, err := p.lookAround(ctx)
	if err != nil {
		return fmt.Errorf("look for Secrets: %w", err)
	}
	return r.refusal()
}

// Run empties every Secret of ours that it may write, and fails if that was not all of them.
func (p *Purge) Run(ctx context.Context) error {
	if err := p.emptyAll(ctx); err != nil {
		p.fail(fmt.Errorf("go through all Secrets: %w", err))
	}
	p.Log.Info("Went through the Secrets",
		"emptied", p.emptied, "deleted", p.deleted, "emptyBefore", p.empty, "notOurs", p.foreign, "failed", p.failed)
	if more := p.failed - len(p.problems); more > 0 {
		p.problems = append(p.problems, fmt.Errorf("and %d more", more))
	}
	return errors.Join(p.problems...)
}

func (p *Purge) emptyAll(ctx context.Context) error {
	r, err := p.lookAround(ctx)
	if err != nil {
		return err
	}
	if err := r.refusal(); err != nil {
		p.fail(err)
	}
	if len(r.unused) > 0 {
		p.Log.Info("No right to list Secrets in namespaces whose DefenderTenants say that they hold none. Left them alone", "namespaces", r.unused)
	}
	for _, namespace := range r.open {
		if err := p.emptyIn(ctx, namespace); err != nil {
			return err
		}
	}
	return nil
}

// fail keeps what people can read.
func (p *Purge) fail(problem error) {
	if p.failed++; p.failed <= told {
		p.problems = append(p.problems, problem)
	}
}

// emptyIn goes through the Secrets of a namespace, or of all of them if it has no name.
func (p *Purge) emptyIn(ctx context.Context, namespace string) error {
	var next string
	for {
		var secrets corev1.SecretList
		err := p.Client.List(ctx, &secrets, client.InNamespace(namespace), client.MatchingFields{"type": v1alpha1.SecretType},
			client.Limit(page), client.Continue(next))
		switch {
		case apierrors.IsResourceExpired(err) && next != "": // it took so long: from the start, over what is empty by now
			next = ""
			continue
		case err != nil:
			return err
		}
		for i := range secrets.Items {
			if ctx.Err() != nil {
				return fmt.Errorf("stopped before the end: %w", ctx.Err())
			}
			p.settle(ctx, &secrets.Items[i])
		}
		if next = secrets.Continue; next == "" {
			return nil
		}
		p.Log.Info("Emptying Secrets", "emptied", p.emptied, "deleted", p.deleted, "failed", p.failed)
	}
}

// settle deals with one Secret and keeps what went wrong for the end.
func (p *Purge) settle(ctx context.Context, secret *corev1.Secret) {
	name := secret.Namespace + "/" + secret.Name
	err := p.empties(ctx, secret)
	for try := 1; apierrors.IsConflict(err) && try < tries; try++ {
		if err = p.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret); err == nil {
			err = p.empties(ctx, secret)
		}
	}
	if client.IgnoreNotFound(err) != nil {
		// Not the error itself: it may quote the object that was sent.
		p.fail(fmt.Errorf("empty Secret %s: %s; its token stays until it expires", name, cmp.Or(string(apierrors.ReasonForError(err)), "no answer")))
	}
}

// empties leaves alone what is not ours, and deletes what cannot be changed.
func (p *Purge) empties(ctx context.Context, secret *corev1.Secret) error {
	name := secret.Namespace + "/" + secret.Name
	if !tenant.Ours(secret) {
		p.foreign++
		p.Log.Info("Left a Secret alone that has our type and no DefenderTenant as its owner", "secret", name)
		return nil
	}
	if !tenant.Empty(secret) {
		p.empty++
		return nil
	}
	if secret.Immutable != nil && *secret.Immutable {
		err := p.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
		if err == nil {
			p.deleted++
			p.Log.Info("Deleted a Secret that was immutable; Pods that run keep its files", "secret", name)
		}
		return err
	}
	err := p.Client.Update(ctx, secret)
	if err == nil {
		p.emptied++
	}
	return err
}
