package tenant

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/token"
)

// slot is one wanted token and what there is of it.
type slot struct {
	spec       v1alpha1.TokenSpec
	secretName string
	identity   string // of the token, for spreading its times
	target     cloud.Target
	want       token.Want
	refusal    *token.Fault // it cannot be asked for, whatever Entra ID would say
	permitted  bool         // a grant allows what is held
	held       *holding     // the Secret of that name, if it is ours
	donor      *holding     // a spare Secret whose token fits, kept under a former name
	pace       pace
}

// identityOf spreads a token's times; it never changes while the object lives.
func identityOf(owner metav1.Object, name string) string { return string(owner.GetUID()) + "/" + name }

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

func (seen *observed) newSlot(spec v1alpha1.TokenSpec, allow allowance, held *holding, remembered *remembered) slot {
	s := slot{spec: spec, secretName: spec.SecretName, identity: identityOf(seen.tenant, spec.Name), held: held, pace: remembered.pace(spec.Name, seen.inputs())}
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
	// Where somebody edited the Secret, what it says is no ground; nor is a target that
	// cannot be worked out.
	s.permitted = len(s.want.RoleCeilings) > 0 || fault != nil
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

// donorFor finds the Secret that a renamed token left behind, while the token lives.
func (seen *observed) donorFor(s slot, allow allowance, now time.Time) *holding {
	for _, h := range seen.spare {
		if s.works(h) && allow.permitsHeld(h) && now.Before(h.deadAt()) {
			return h
		}
	}
	return nil
}

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
