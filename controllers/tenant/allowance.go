package tenant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/token"
)

// allowance is what the grants of a namespace allow one DefenderTenant.
type allowance struct {
	appName string
	grants  []v1alpha1.DefenderGrant // only those that name its namespace and tenant
	former  map[string]*v1alpha1.DefenderApp
}

// newAllowance keeps the grants that name the tenant. Those of other applications stay
// in, because a token of a former application may still be held.
func newAllowance(tenant *v1alpha1.DefenderTenant, app *v1alpha1.DefenderApp, grants []v1alpha1.DefenderGrant, former map[string]*v1alpha1.DefenderApp) allowance {
	a := allowance{appName: tenant.Spec.App, former: former}
	for _, grant := range grants {
		issuer := former[grant.Spec.App]
		if grant.Spec.App == tenant.Spec.App {
			issuer = app
		}
		if grantNames(grant.Spec, tenant.Namespace, tenant.Spec.TenantID, issuer) {
			a.grants = append(a.grants, grant)
		}
	}
	return a
}

// grantNames tells whether a grant names a namespace and a tenant. The "*" never stands
// for the home tenant of the application; without the application there is nobody to
// mint with, and what is held is judged without that exception.
func grantNames(grant v1alpha1.DefenderGrantSpec, namespace, tenantID string, app *v1alpha1.DefenderApp) bool {
	if !slices.Contains(grant.Namespaces, namespace) {
		return false
	}
	if slices.Contains(grant.TenantIDs, tenantID) {
		return true
	}
	isHome := app != nil && app.Spec.HomeTenantID == tenantID
	return slices.Contains(grant.TenantIDs, v1alpha1.AnyTenant) && !isHome
}

// ceilings are the maxRoles of the grants that allow a resource with the current
// application; none at all means that it is not allowed.
func (a allowance) ceilings(resource string) [][]string {
	var all [][]string
	for _, grant := range a.grants {
		if grant.Spec.App == a.appName && grantCovers(grant.Spec, resource) {
			all = append(all, grant.Spec.MaxRoles)
		}
	}
	return all
}

// terms changes whenever one of the grants does.
func (a allowance) terms() string {
	var text strings.Builder
	for _, grant := range a.grants {
		fmt.Fprintf(&text, "%s/%d ", grant.UID, grant.Generation)
	}
	return text.String()
}

// permitsHeld tells whether a held token may stay: one grant allows its resource and all
// its roles, for the current application or for the one it was issued to.
func (a allowance) permitsHeld(h *holding) bool {
	return slices.ContainsFunc(a.grants, func(grant v1alpha1.DefenderGrant) bool {
		issuer := a.former[grant.Spec.App]
		byIssuer := issuer != nil && issuer.Spec.ClientID == h.ClientID
		if grant.Spec.App != a.appName && !byIssuer {
			return false
		}
		return grantCovers(grant.Spec, h.Resource) && (h.Claims == nil || len(h.Claims.RolesBeyond(grant.Spec.MaxRoles)) == 0)
	})
}

func grantCovers(grant v1alpha1.DefenderGrantSpec, resource string) bool {
	return slices.ContainsFunc(grant.APIs, func(entry string) bool { return cloud.Covers(entry, resource) })
}

func appNotFound(tenant *v1alpha1.DefenderTenant) *token.Fault {
	return &token.Fault{
		Reason: v1alpha1.ReasonAppNotFound, Actor: token.ActorPlatform, Cure: token.ByWatch,
		Message: fmt.Sprintf("There is no DefenderApp %s. The platform team must create it, or the author must correct spec.app.", tenant.Spec.App),
	}
}

func accessDenied(tenant *v1alpha1.DefenderTenant, spec v1alpha1.TokenSpec, target cloud.Target) *token.Fault {
	api := string(spec.API)
	if api == "" {
		api = target.Resource
	}
	return &token.Fault{
		Reason: v1alpha1.ReasonAccessDenied, Actor: token.ActorPlatform, Cure: token.ByWatch,
		Message: fmt.Sprintf("No DefenderGrant allows namespace %s a token for %s in tenant %s with app %s. The platform team must create or widen one.",
			tenant.Namespace, api, tenant.Spec.TenantID, tenant.Spec.App),
	}
}
