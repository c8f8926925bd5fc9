package tenant

import (
	"testing"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// What the status told before a restart still holds while nobody has asked anew, unless the cluster said otherwise since.
func TestLastKnown_IsWhatTheStatusTells(t *testing.T) {
	for name, row := range map[string]struct {
		token, reason string
		observed      int64
		want          string
	}{
		"a customer's answer":      {"xdr", "ConsentRequired", 1, "ConsentRequired"},
		"a failure of Entra ID":    {"xdr", "EntraUnavailable", 1, "EntraUnavailable"},
		"of another token":         {"graph", "ConsentRequired", 1, ""},
		"of a spec before":         {"xdr", "ConsentRequired", 0, ""},
		"a grant came since":       {"xdr", "AccessDenied", 1, ""},
		"the app is not suspended": {"xdr", "Suspended", 1, ""},
		"a credential came since":  {"xdr", "CredentialUnusable", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &observed{tenant: someTenant()}
			seen.tenant.Status = v1alpha1.DefenderTenantStatus{
				ObservedGeneration: row.observed,
				Tokens: []v1alpha1.TokenStatus{{
					Name: row.token, MissingRoles: []string{"Incident.Read.All"},
					Failure: &v1alpha1.TokenFailure{Reason: row.reason, Message: "Why.", Code: 65001, TraceID: "trace"},
				}},
			}
			got := seen.lastKnown(goodSlot())
			if row.want == "" {
				if got != nil {
					t.Errorf("got %+v, want nothing", got)
				}
				return
			}
			if got == nil || got.Reason != row.want || got.Message != "Why." || got.Code != 65001 || got.TraceID != "trace" || len(got.MissingRoles) != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}
