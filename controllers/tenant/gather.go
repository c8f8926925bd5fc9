package tenant

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/token"
)

// observed is everything one pass looks at. Nothing in it is changed by the pass.
type observed struct {
	tenant *v1alpha1.DefenderTenant
	app    *v1alpha1.DefenderApp // nil: there is none of that name
	slots  []slot
	spare  []*holding // Secrets of ours that no token wants any more
	behind bool       // the cache does not show our own last write yet
	asked  request    // what the refresh annotations say now
	done   request    // and what of it was handled
}

// request is the value of the refresh annotations of the tenant and of its app.
type request struct{ tenant, app string }

// slot is one wanted token and what there is of it.
type slot struct {
	spec       v1alpha1.TokenSpec
	secretName string
	target     cloud.Target
	want       token.Want
	refusal    *token.Fault // it cannot be asked for, whatever Entra ID would say
	permitted  bool         // a grant allows what is held
	held       *holding     // the Secret of that name, if it is ours
	donor      *holding     // a spare Secret whose token fits, kept under a former name
	pace       pace
}

// identity spreads the slot's times; it never changes while the object lives.
func (s slot) identity(owner metav1.Object) string { return string(owner.GetUID()) + "/" + s.spec.Name }

// gather reads the cache only. It returns nil if the object is gone.
func (r *Reconciler) gather(ctx context.Context, key types.NamespacedName) (*observed, error) {
	seen := &observed{tenant: &v1alpha1.DefenderTenant{}}
	if err := r.Get(ctx, key, seen.tenant); err != nil {
		if apierrors.IsNotFound(err) {
			r.memory.forget(key)
		}
		return nil, err
	}
	if !seen.tenant.DeletionTimestamp.IsZero() {
		return nil, nil // the Secrets follow their owner
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
	secrets, err := r.secrets(ctx, seen.tenant)
	if err != nil {
		return nil, err
	}
	remembered := r.memory.of(key, seen.tenant.UID)
	seen.behind = remembered.behind(seen.tenant, secrets)
	seen.asked, seen.done = seen.requests(remembered)
	allow := newAllowance(seen.tenant, seen.app, grants, r.formerApps(ctx, seen.app, grants, secrets))
	seen.fillSlots(allow, secrets, remembered)
	return seen, nil
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

// secrets are all Secrets of our type whose controller is this very object.
func (r *Reconciler) secrets(ctx context.Context, owner *v1alpha1.DefenderTenant) (map[string]*holding, error) {
	var list corev1.SecretList
	if err := r.List(ctx, &list, client.InNamespace(owner.Namespace), client.MatchingFields{secretOwnerIndex: string(owner.UID)}); err != nil {
		return nil, fmt.Errorf("list Secrets: %w", err)
	}
	found := make(map[string]*holding, len(list.Items))
	for i := range list.Items {
		if secret := &list.Items[i]; ownedBy(secret, owner) && secret.DeletionTimestamp.IsZero() {
			found[secret.Name] = newHolding(secret)
		}
	}
	return found, nil
}

// formerApps are the applications of other grants, by client ID. They matter only while
// a token of another application is still held.
func (r *Reconciler) formerApps(ctx context.Context, current *v1alpha1.DefenderApp, grants []v1alpha1.DefenderGrant, secrets map[string]*holding) map[string]*v1alpha1.DefenderApp {
	found := map[string]*v1alpha1.DefenderApp{}
	stranger := false
	for _, h := range secrets {
		stranger = stranger || current != nil && h.HasToken && h.ClientID != current.Spec.ClientID
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

// tokensOf are the wanted tokens with every default applied. The default token is
// decided here and not in the schema, where it would stick under server-side apply.
func tokensOf(tenant *v1alpha1.DefenderTenant) []v1alpha1.TokenSpec {
	specs := slices.Clone(tenant.Spec.Tokens)
	if len(specs) == 0 {
		specs = []v1alpha1.TokenSpec{{Name: "xdr", API: v1alpha1.APIDefenderXDR}}
	}
	for i := range specs {
		specs[i].SecretName = cmp.Or(specs[i].SecretName, tenant.Name+"-"+specs[i].Name)
		specs[i].RefreshAfterPercent = cmp.Or(specs[i].RefreshAfterPercent, token.DefaultRefreshPercent)
		specs[i].OnExpiry = cmp.Or(specs[i].OnExpiry, v1alpha1.ExpiryClear)
	}
	return specs
}

func (seen *observed) fillSlots(allow allowance, secrets map[string]*holding, remembered *remembered) {
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
			seen.slots[i].donor = seen.donorFor(seen.slots[i], allow)
		}
	}
}

func (seen *observed) newSlot(spec v1alpha1.TokenSpec, allow allowance, held *holding, remembered *remembered) slot {
	s := slot{spec: spec, secretName: spec.SecretName, held: held, pace: remembered.pace(spec.Name, seen.inputs())}
	var appCloud v1alpha1.Cloud
	s.want = token.Want{
		TenantID: seen.tenant.Spec.TenantID, RequiredRoles: spec.RequiredRoles, RefreshPercent: spec.RefreshAfterPercent,
	}
	if seen.app != nil {
		appCloud, s.want.ClientID = seen.app.Spec.Cloud, seen.app.Spec.ClientID
	}
	target, fault := cloud.Resolve(appCloud, seen.tenant.Spec.Region, spec)
	s.target, s.want.Resource, s.want.Audiences = target, target.Resource, target.Audiences
	s.want.RoleCeilings = allow.ceilings(target.Resource)
	s.permitted = len(s.want.RoleCeilings) > 0
	if held != nil && held.Intact {
		s.permitted = allow.permitsHeld(held)
	}
	switch {
	case seen.app == nil:
		s.refusal = appNotFound(seen.tenant)
	case fault != nil:
		s.refusal = fault
	case len(s.want.RoleCeilings) == 0:
		s.refusal = accessDenied(seen.tenant, spec, target)
	}
	return s
}

// donorFor finds the Secret that a renamed token left behind.
func (seen *observed) donorFor(s slot, allow allowance) *holding {
	for _, h := range seen.spare {
		if h.State == v1alpha1.StateValid && allow.permitsHeld(h) && s.fits(h) {
			return h
		}
	}
	return nil
}

// inputs are what an answer of Entra ID depends on in the cluster. When they change,
// former failures say nothing about the next attempt.
func (seen *observed) inputs() inputs {
	in := inputs{tenantGeneration: seen.tenant.Generation}
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
	return asked, done
}

func truncate(s string, n int) string { return s[:min(len(s), n)] }

// fits tells whether a held token is exactly what a new one would be: nothing about it
// would be gained by minting, apart from time.
func (s slot) fits(h *holding) bool {
	return s.works(h) && h.ClientID == s.want.ClientID && h.Resource == s.target.Resource && h.APIURL == s.target.APIURL &&
		sameFormats(h.Formats, s.spec.Formats)
}

// works tells whether a held token does what the spec wants, leaving time aside. It may
// be of another application: that is the platform team's affair, not the workload's.
func (s slot) works(h *holding) bool {
	return h.Intact && h.Claims != nil && h.State == v1alpha1.StateValid &&
		h.Claims.TenantID == s.want.TenantID && s.want.HasAudience(h.Claims.Audience) &&
		len(h.Claims.Roles) > 0 && len(h.Claims.MissingRoles(s.want.RequiredRoles)) == 0
}

func sameFormats(a, b []v1alpha1.Format) bool {
	sorted := slices.Clone(b)
	slices.Sort(sorted)
	before := slices.Clone(a)
	slices.Sort(before)
	return slices.Equal(before, sorted)
}
