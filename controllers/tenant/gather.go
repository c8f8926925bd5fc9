package tenant

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/secretview"
	"github.com/defender-tenant/operator/internal/token"
)

// observed is everything one pass looks at. Nothing in it is changed by the pass.
type observed struct {
	tenant *v1alpha1.DefenderTenant
	app    *v1alpha1.DefenderApp // nil: there is none of that name
	slots  []slot
	spare  []*holding // Secrets of ours that no token wants any more

	asker  keyring.Asker    // the customer, as the keyring knows it
	choice keyring.Choice   // what to ask with
	locked *token.Fault     // why there is nothing
	lack   *secretview.Lack // what may not be done with the Secrets, nil: everything may

	terms  string  // which grants, in which version, say what is allowed
	behind bool    // the cache does not show our own last write yet
	asked  request // what the refresh annotations say now
	done   request // and what of it was handled
}

// request is the value of the refresh annotations of the tenant and of its app.
type request struct{ tenant, app string }

// gather reads the cache only. It returns nil if the object is gone, and if its Secrets do not show yet: it is called
// when they do.
func (r *Reconciler) gather(ctx context.Context, key types.NamespacedName, now time.Time) (*observed, error) {
	seen := &observed{tenant: &v1alpha1.DefenderTenant{}}
	if err := r.Get(ctx, key, seen.tenant); err != nil {
		if apierrors.IsNotFound(err) {
			r.memory.forget(key)
			r.Health.Forget(key, now)
		}
		return nil, err
	}
	app, err := r.app(ctx, seen.tenant.Spec.App)
	if err != nil {
		return nil, err
	}
	seen.app = app
	grants, err := r.grants(ctx, key.Namespace)
	if err != nil {
		return nil, err
	}
	secrets, known, err := r.secrets(ctx, seen)
	if err != nil || !known {
		return nil, err
	}
	seen.pick(ctx, r.Keyring, secrets, now)
	remembered := r.memory.of(key, seen.tenant.UID)
	seen.behind = remembered.behind(seen.tenant, secrets)
	seen.asked, seen.done = seen.requests(remembered)
	allow := newAllowance(seen.tenant, seen.app, grants, r.formerApps(ctx, seen.app, grants, secrets))
	seen.terms = allow.terms()
	seen.fillSlots(allow, secrets, remembered, now)
	return seen, nil
}

// pick chooses the credential, if there is an application to have one.
func (seen *observed) pick(ctx context.Context, keys Keyring, secrets map[string]*holding, now time.Time) {
	if seen.app == nil {
		return
	}
	seen.asker = keyring.Asker{TenantID: seen.tenant.Spec.TenantID}
	for _, h := range secrets { // they keep the application even when their token is gone
		seen.asker.Served = seen.asker.Served || h.Intact && h.ClientID == seen.app.Spec.ClientID
	}
	chosen, err := keys.Pick(ctx, seen.app, seen.asker, now)
	seen.choice = chosen
	seen.locked = token.AsFault(err, v1alpha1.ReasonCredentialUnusable, "The credentials of the application cannot be read. The operator tries again.")
}

func (r *Reconciler) app(ctx context.Context, name string) (*v1alpha1.DefenderApp, error) {
	app := &v1alpha1.DefenderApp{}
	if err := r.Get(ctx, types.NamespacedName{Name: name}, app); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read DefenderApp %s: %w", name, err)
	}
	return app, nil
}

// grants are the grants that name a namespace, in a stable order.
func (r *Reconciler) grants(ctx context.Context, namespace string) ([]v1alpha1.DefenderGrant, error) {
	var list v1alpha1.DefenderGrantList
	if err := r.List(ctx, &list, client.MatchingFields{grantNamespaceIndex: namespace}); err != nil {
		return nil, fmt.Errorf("list DefenderGrants: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.DefenderGrant) int { return cmp.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// secrets are all Secrets of our type whose controller is this very object. Where the operator may not look there are
// none, and it is known why.
func (r *Reconciler) secrets(ctx context.Context, seen *observed) (found map[string]*holding, known bool, err error) {
	owner := seen.tenant
	reader, lack := r.Secrets.In(owner.Namespace)
	seen.lack = lack
	if reader == nil {
		return nil, lack.Blind() != nil, nil
	}
	var list corev1.SecretList
	if err := reader.List(ctx, &list, client.InNamespace(owner.Namespace), client.MatchingFields{secretOwnerIndex: string(owner.UID)}); err != nil {
		return nil, false, fmt.Errorf("list Secrets: %w", err)
	}
	found = make(map[string]*holding, len(list.Items))
	for i := range list.Items {
		if secret := &list.Items[i]; ownedBy(secret, owner) {
			found[secret.Name] = newHolding(secret)
		}
	}
	return found, true, nil
}

// formerApps are the applications of other grants, by client ID. They matter only while
// a token of another application is still held.
func (r *Reconciler) formerApps(ctx context.Context, current *v1alpha1.DefenderApp, grants []v1alpha1.DefenderGrant, secrets map[string]*holding) map[string]*v1alpha1.DefenderApp {
	found := map[string]*v1alpha1.DefenderApp{}
	stranger := false
	for _, h := range secrets {
		stranger = stranger || h.HasToken && (current == nil || h.ClientID != current.Spec.ClientID)
	}
	if !stranger {
		return found
	}
	for i := range grants {
		name := grants[i].Spec.App
		if app, err := r.app(ctx, name); err == nil && app != nil {
			found[name] = app
		}
	}
	return found
}

func (seen *observed) fillSlots(allow allowance, secrets map[string]*holding, remembered *remembered, now time.Time) {
	specs := tokensOf(seen.tenant)
	for _, spec := range specs {
		seen.slots = append(seen.slots, seen.newSlot(spec, allow, secrets[spec.SecretName], remembered))
	}
	for name, h := range secrets {
		if !slices.ContainsFunc(specs, func(t v1alpha1.TokenSpec) bool { return t.SecretName == name }) {
			seen.spare = append(seen.spare, h)
		}
	}
	slices.SortFunc(seen.spare, func(a, b *holding) int { return cmp.Compare(a.secret.Name, b.secret.Name) })
	for i := range seen.slots {
		if seen.slots[i].held == nil {
			seen.slots[i].donor = seen.donorFor(seen.slots[i], allow, now)
		}
	}
}

// inputs are what an answer of Entra ID depends on in the cluster. When they change,
// former failures say nothing about the next attempt.
func (seen *observed) inputs() inputs {
	in := inputs{tenantGeneration: seen.tenant.Generation, terms: seen.terms, credential: seen.choice.Credential.Name + "/" + seen.choice.Credential.Fingerprint}
	if seen.locked != nil {
		in.credential = seen.locked.Message
	}
	if seen.app != nil {
		in.appUID, in.appGeneration = seen.app.UID, seen.app.Generation
	}
	return in
}

// requests compares the refresh annotations with what status and memory say was
// handled. Memory is asked too, because the cache may not show our last status yet.
func (seen *observed) requests(remembered *remembered) (asked, done request) {
	const maxLength = 256
	asked.tenant = truncate(seen.tenant.Annotations[v1alpha1.RefreshRequestedAnnotation], maxLength)
	if seen.app != nil {
		asked.app = truncate(seen.app.Annotations[v1alpha1.RefreshRequestedAnnotation], maxLength)
	}
	done = request{tenant: seen.tenant.Status.LastHandledRefresh, app: seen.tenant.Status.LastHandledAppRefresh}
	if remembered.handled == asked {
		done = asked
	}
	// Taking an annotation away asks for nothing; the same value may then be a new request.
	if asked.tenant == "" {
		done.tenant = ""
	}
	if asked.app == "" {
		done.app = ""
	}
	return asked, done
}

// truncate cuts a text, never within a character.
func truncate(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }
