package entra

import (
	"net/http"
	"testing"

	"github.com/defender-tenant/operator/internal/token"
)

// expectation is what the documentation of Entra ID says of some codes, in our words.
type expectation struct {
	reason string
	actor  token.Actor
	cure   token.Cure
	scope  token.Scope
	many   string // reason if many customers report it, or nothing
	codes  []int64
}

// expectations were written down from Microsoft's documentation and from reports, row by
// row, and not from the table, so that no row can get lost or change its meaning unseen.
func expectations() []expectation {
	const (
		nobody = "nobody"
		admin  = "customer administrator"
		team   = "platform team"
		author = "author of the DefenderTenant"
	)
	return []expectation{
		{"ConsentRequired", admin, token.ByPoll, token.ScopeTenant, "", []int64{7000229, 700011, 65001, 90094, 65004, 501051}},
		{"ConsentRequired", admin, token.ByPoll, token.ScopeTenant, "AppMisconfigured", []int64{700016, 650056}},
		{"ResourceNotProvisioned", admin, token.ByPoll, token.ScopeTenant, "AppMisconfigured", []int64{500011, 650052, 650054, 50001, 500014}},
		{"DisabledByTenant", admin, token.ByPoll, token.ScopeTenant, "AppDisabled", []int64{7000112, 70001, 1000031}},
		{"BlockedByPolicy", admin, token.ByPoll, token.ScopeTenant, "", []int64{53003, 530032}},
		{"TenantNotFound", author, token.ByPoll, token.ScopeTenant, "AppMisconfigured", []int64{90002, 900023, 50059, 90019, 50128}},
		{"WrongCloud", author, token.ByPoll, token.ScopeTenant, "AppMisconfigured", []int64{90038, 900439, 900382, 900432}},
		{"CredentialRefused", team, token.ByPoll, token.ScopeCredential, "", []int64{
			7000215, 7000222, 70002, 7000218, 7000216,
			700027, 700024, 700021, 50012, 700030, 50048, 50027, 50013, 500133,
			90061, 50166, 501661,
		}},
		{"FederationMismatch", team, token.ByPoll, token.ScopeCredential, "", []int64{
			70021, 70025, 700211, 700212, 700213, 7002137, 7002138, 700222, 700226, 700229, 700236,
			700223, 700238, 7002381,
		}},
		{"AppMisconfigured", team, token.ByPoll, token.ScopeApp, "", []int64{
			650057, 65005, 1003031, 65002, 700038, 50049, 50194, 700025, 9001023,
			70011, 1002012, 700022, 700023, 28002, 901002,
			900144, 9002313, 90004, 90013, 90014, 90023, 90100, 70003, 100007,
		}},
		{"ProxyRefused", team, token.ByPoll, token.ScopeTenant, "", []int64{500021, 500022, 50002}},
		{"Throttled", nobody, token.ByRetry, token.ScopeTenant, "", []int64{90055, 50196}},
		{"EntraUnavailable", nobody, token.ByRetry, token.ScopeHost, "", []int64{
			90033, 90006, 90024, 90012, 50033, 90090, 90091, 51005, 50000, 90036, 90092,
		}},
	}
}

func TestCodesLeadToTheirVerdict(t *testing.T) {
	count := 0
	for _, want := range expectations() {
		count += len(want.codes)
		for _, number := range want.codes {
			// Whatever the status and the member error are, a known code decides.
			for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusTemporaryRedirect, http.StatusServiceUnavailable} {
				fault := testCall().classify(refusedWith(status, "invalid_client", number))
				if fault.Code != number || fault.Reason != want.reason || fault.Actor != want.actor || fault.Cure != want.cure || fault.Scope != want.scope {
					t.Errorf("AADSTS%d with HTTP %d: got %+v, want %+v", number, status, *fault, want)
				}
				if many := reasonInMany(fault); many != want.many {
					t.Errorf("AADSTS%d of many customers: got %q, want %q", number, many, want.many)
				}
			}
		}
	}
	if got := len(Catalogue().Codes); got != count {
		t.Errorf("the table has %d codes, the test knows %d", got, count)
	}
}

func reasonInMany(fault *token.Fault) string {
	if fault.InMany == nil {
		return ""
	}
	return fault.InMany.Reason
}

// An unknown code falls back on the member error, then on the status. No way to answer is
// ever final: somebody is named who acts, or the operator tries again, and it keeps asking.
func TestUnknownCodesFallBackAndAreNeverFinal(t *testing.T) {
	for name, want := range map[string]struct {
		status int
		expectation
	}{
		"temporarily_unavailable": {400, expectation{reason: "EntraUnavailable", actor: "nobody", cure: token.ByRetry, scope: token.ScopeHost}},
		"invalid_client":          {401, expectation{reason: "CredentialRefused", actor: "platform team", cure: token.ByPoll, scope: token.ScopeCredential}},
		"unauthorized_client":     {400, expectation{reason: "ConsentRequired", actor: "customer administrator", cure: token.ByPoll, many: "AppMisconfigured"}},
		"invalid_resource":        {400, expectation{reason: "ResourceNotProvisioned", actor: "customer administrator", cure: token.ByPoll, many: "AppMisconfigured"}},
		"invalid_tenant":          {400, expectation{reason: "TenantNotFound", actor: "author of the DefenderTenant", cure: token.ByPoll, many: "AppMisconfigured"}},
		"invalid_scope":           {400, expectation{reason: "AppMisconfigured", actor: "platform team", cure: token.ByPoll, scope: token.ScopeApp}},
		"invalid_request":         {400, expectation{reason: "AppMisconfigured", actor: "platform team", cure: token.ByPoll, scope: token.ScopeApp}},
		"unsupported_grant_type":  {400, expectation{reason: "AppMisconfigured", actor: "platform team", cure: token.ByPoll, scope: token.ScopeApp}},
		"access_denied":           {403, expectation{reason: "BlockedByPolicy", actor: "customer administrator", cure: token.ByPoll}},
		"interaction_required":    {400, expectation{reason: "BlockedByPolicy", actor: "customer administrator", cure: token.ByPoll}},
		"brand_new":               {400, expectation{reason: "EntraUnavailable", actor: "nobody", cure: token.ByRetry, scope: token.ScopeTenant}},
		"brand_new_and_throttled": {429, expectation{reason: "Throttled", actor: "nobody", cure: token.ByRetry, scope: token.ScopeHost}},
		"brand_new_and_broken":    {503, expectation{reason: "EntraUnavailable", actor: "nobody", cure: token.ByRetry, scope: token.ScopeHost}},
	} {
		for _, codes := range [][]int64{{999999}, nil} {
			fault := testCall().classify(refusedWith(want.status, name, codes...))
			if fault.Reason != want.reason || fault.Actor != want.actor || fault.Cure != want.cure || fault.Scope != want.scope || reasonInMany(fault) != want.many {
				t.Errorf("%s with codes %v: got %+v, want %+v", name, codes, *fault, want.expectation)
			}
		}
	}
}

// A known code goes before the member error, and the member error before the status; only
// where the status speaks of the service does it go before the member error.
func TestCodeThenErrorThenStatus(t *testing.T) {
	for name, row := range map[string]struct {
		seen   exchange
		reason string
	}{
		"code against error":             {refusedWith(400, "invalid_client", 700016), "ConsentRequired"},
		"code against a status of 503":   {refusedWith(503, "temporarily_unavailable", 7000222), "CredentialRefused"},
		"code against a status of 429":   {refusedWith(429, "temporarily_unavailable", 700016), "ConsentRequired"},
		"error against a status of 403":  {refusedWith(403, "invalid_client", 999999), "CredentialRefused"},
		"a status of 503 against error":  {refusedWith(503, "invalid_client", 999999), "EntraUnavailable"},
		"a status of 429 against error":  {refusedWith(429, "invalid_client", 999999), "Throttled"},
		"a status without code or error": {refusedWith(418, "brand_new", 999999), "EntraUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			if fault := testCall().classify(row.seen); fault.Reason != row.reason {
				t.Errorf("got %s, want %s", fault.Reason, row.reason)
			}
		})
	}
}
