package app

import (
	"context"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	// tenantAppIndex is an index of the cache, which the controller of tenants sets up.
	tenantAppIndex = "spec.app"
	// canaryInterval is how often a canary is looked for while there is none.
	canaryInterval = 15 * time.Second
	// afterProof is when to look again after a proof: what it said has to be told.
	afterProof = time.Second
)

// prove asks for one token with a credential that wants to be proved, and throws it away.
// It tells when to look again.
func (r *Reconciler) prove(ctx context.Context, app *v1alpha1.DefenderApp, now time.Time) time.Duration {
	proof := r.Keyring.Wanted(app, now)
	if proof == nil || app.Spec.Suspend {
		return lookInterval
	}
	if r.Health.Of(r.Catalog.Login(app.Spec.Cloud).Host()).Fault != nil {
		return canaryInterval // it would be one more request to a host that is away
	}
	if wait := proof.Due.Sub(now); wait > 0 {
		return min(wait, lookInterval)
	}
	log := logf.FromContext(ctx).WithValues("credential", proof.Credential.Name, "why", proof.Why)
	request, err := r.canary(ctx, app, proof.Spared, now)
	if err != nil {
		log.Error(err, "Could not look for a customer to prove a credential with")
	}
	if request == nil {
		return canaryInterval
	}
	request.Credential = proof.Credential
	_, err = r.Tokens.Acquire(ctx, *request)
	fault := token.AsFault(err, v1alpha1.ReasonEntraUnavailable, "Entra ID could not be asked. The operator tries again.")
	r.Keyring.Judge(app, proof.Credential, keyring.Asker{TenantID: request.TenantID, Served: true, Canary: true}, fault, r.Clock.Now())
	outcome := v1alpha1.ReasonCredentialAccepted
	if fault != nil {
		outcome = fault.Reason
	}
	log.Info("Asked for a token to prove a credential", "tenantID", request.TenantID, "outcome", outcome)
	return afterProof
}

// canary finds a customer whom Entra ID gave a token not long ago, so that a refusal can
// only be the credential's: if possible none of those to spare, and of the others the one
// whose token lasts longest. There may be none.
func (r *Reconciler) canary(ctx context.Context, app *v1alpha1.DefenderApp, spared []string, now time.Time) (*token.Request, error) {
	var list v1alpha1.DefenderTenantList
	if err := r.List(ctx, &list, client.MatchingFields{tenantAppIndex: app.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var best *token.Request
	var bestSpared bool
	var bestEnd time.Time
	for i := range list.Items {
		tenant := &list.Items[i]
		resource, end := servedUntil(app, tenant, now)
		isSpared := slices.Contains(spared, tenant.Spec.TenantID)
		if resource == "" || best != nil && (isSpared && !bestSpared || isSpared == bestSpared && !end.After(bestEnd)) {
			continue
		}
		best, bestSpared, bestEnd = &token.Request{
			Cloud: app.Spec.Cloud, TenantID: tenant.Spec.TenantID, ClientID: app.Spec.ClientID, Resource: resource,
		}, isSpared, end
	}
	return best, nil
}

// servedUntil gives the resource and the end of the token that lasts longest, as far as the
// status tells: it is a hint only, but a token that is ready and can be renewed was granted.
func servedUntil(app *v1alpha1.DefenderApp, tenant *v1alpha1.DefenderTenant, now time.Time) (resource string, end time.Time) {
	if tenant.Spec.Suspend || tenant.DeletionTimestamp != nil || !isSettled(tenant) {
		return "", end
	}
	for _, held := range tenant.Status.Tokens {
		if !held.Ready || isBarred(held.Failure) || held.ExpiresAt == nil || !held.ExpiresAt.After(now) || !held.ExpiresAt.After(end) {
			continue
		}
		target, fault := cloud.Resolve(app.Spec.Cloud, tenant.Spec.Region, specOf(tenant, held.Name))
		if fault == nil {
			resource, end = target.Resource, held.ExpiresAt.Time
		}
	}
	return resource, end
}

// isSettled tells whether the status speaks of the spec as it is, so that its tokens are of
// this tenant and this application.
func isSettled(tenant *v1alpha1.DefenderTenant) bool {
	return tenant.Status.ObservedGeneration == tenant.Generation &&
		!apimeta.IsStatusConditionTrue(tenant.Status.Conditions, v1alpha1.ConditionStalled)
}

// isBarred tells whether a token is there but cannot be renewed: it may be one of a former
// application, and no grant or no consent be there for this one. Whoever met a trouble of
// the credential was let through to it.
func isBarred(failure *v1alpha1.TokenFailure) bool {
	if failure == nil {
		return false
	}
	switch failure.Reason {
	case v1alpha1.ReasonCredentialRefused, v1alpha1.ReasonFederationMismatch, v1alpha1.ReasonCertificateExpired,
		v1alpha1.ReasonVaultUnavailable, v1alpha1.ReasonVaultRefused:
		return false
	}
	return true
}

// specOf is the spec of a token; without any there is one for Defender XDR.
func specOf(tenant *v1alpha1.DefenderTenant, name string) v1alpha1.TokenSpec {
	i := slices.IndexFunc(tenant.Spec.Tokens, func(t v1alpha1.TokenSpec) bool { return t.Name == name })
	if i < 0 {
		return v1alpha1.TokenSpec{Name: name, API: v1alpha1.APIDefenderXDR}
	}
	return tenant.Spec.Tokens[i]
}
