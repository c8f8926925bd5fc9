package entra_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

func (w *world) call(path, token string) reply {
	w.t.Helper()
	return w.must(http.MethodGet, path, nil, "Authorization", "Bearer "+token)
}

func TestTheAPIsTakeExactlyTheirTokens(t *testing.T) {
	w := start(t)
	w.Grant(contoso, clientID, entra.DefenderForEndpoint, "Alert.Read.All")
	xdr := w.token(contoso, "scope", "https://security.microsoft.com/mtp//.default")
	endpoint := w.token(contoso, "scope", "https://securitycenter.onmicrosoft.com/windowsatpservice/.default")
	graph := w.token(contoso, "scope", "https://graph.microsoft.com/.default")
	other := start(t).token(contoso)
	w.Inject(contoso, entra.Fault{Claims: map[string]any{"roles": nil}}, 1)
	bare := w.token(contoso)
	w.Inject(contoso, entra.Fault{Skew: time.Hour}, 1)
	early := w.token(contoso)
	for name, c := range map[string]struct {
		path, token string
		status      int
		text        string
	}{
		"XDR":                   {"/api/incidents", xdr, 200, contoso},
		"Defender for Endpoint": {"/api/alerts", endpoint, 200, contoso},
		"Graph":                 {"/v1.0/security/incidents", graph, 200, contoso},
		"MDE token for XDR":     {"/api/incidents", endpoint, 401, "audience"},
		"XDR token for Graph":   {"/v1.0/security/incidents", xdr, 401, "audience"},
		"none":                  {"/api/incidents", "", 401, "No bearer token"},
		"garbage":               {"/api/incidents", "a.b.c", 401, "signature"},
		"changed":               {"/api/incidents", xdr[:len(xdr)-4] + "AAAA", 401, "signature"},
		"another issuer":        {"/api/incidents", other, 401, "signature"},
		"not valid yet":         {"/api/incidents", early, 401, "not valid yet"},
		"no roles": {
			"/api/incidents", bare, 403,
			"Missing application roles. API required roles: Incident.Read.All,Incident.ReadWrite.All, application roles: .",
		},
	} {
		r := w.call(c.path, c.token)
		if r.StatusCode != c.status || !strings.Contains(r.body, c.text) {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
		if c.status == http.StatusOK {
			continue
		}
		problem, _ := r.object(t)["error"].(map[string]any)
		if problem["code"] == nil || problem["message"] == nil || problem["target"] == nil {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	w.clock.Step(time.Hour)
	if r := w.call("/api/incidents", xdr); r.StatusCode != http.StatusUnauthorized || !strings.Contains(r.body, "lifetime") {
		t.Errorf("expired: %d %s", r.StatusCode, r.body)
	}
}

func TestTopLimitsTheRecords(t *testing.T) {
	w := start(t)
	r := w.call("/api/incidents?$top=1", w.token(contoso))
	if list, _ := r.object(t)["value"].([]any); len(list) != 1 {
		t.Errorf("%s", r.body)
	}
}
