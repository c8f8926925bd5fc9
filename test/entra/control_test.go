package entra_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

// control sends JSON as a script would.
func (w *world) control(method, path, body string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.URL()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var text strings.Builder
	if err := json.NewDecoder(resp.Body).Decode(&jsonText{&text}); err != nil {
		w.t.Fatalf("%s %s: %d, not JSON: %v", method, path, resp.StatusCode, err)
	}
	return reply{Response: resp, body: text.String()}
}

type jsonText struct{ into *strings.Builder }

func (j *jsonText) UnmarshalJSON(data []byte) error {
	_, err := j.into.Write(data)
	return err
}

func TestControlDoesWhatThePackageDoes(t *testing.T) {
	w := start(t)
	tenant := "/emulator/tenants/" + fabrikam
	for _, step := range []struct {
		path, body   string
		status, code int // of the token request that follows; -1: none
	}{
		{tenant + "/consent", ``, 200, 0},
		{tenant + "/unprovision", `{"resource":"` + entra.DefenderXDR + `"}`, 400, 500011},
		{tenant + "/provision", `{"resource":"` + entra.DefenderXDR + `"}`, 200, 0},
		{tenant + "/disable", `{"clientID":"` + clientID + `"}`, 400, 7000112},
		{tenant + "/enable", `{}`, 200, 0},
		{tenant + "/withdraw", `{}`, 401, 7000229},
		{tenant + "/grant", `{"resource":"` + entra.DefenderXDR + `","roles":["Incident.Read.All"]}`, 200, 0},
		{tenant + "/fault", `{"fault":{"code":90055,"retryAfter":"9","delay":"1ms"},"times":1}`, 429, 90055},
		{"/emulator/tenants/all/fault", `{"fault":{"code":90033}}`, 503, 90033},
		{"/emulator/tenants/all/clear", ``, 200, 0},
		{"/emulator/apps/" + clientID + "/remove-secret", `{"value":"` + password + `"}`, 401, 7000215},
		{"/emulator/apps/" + clientID + "/add-secret", `{"value":"` + password + `","expires":"2030-01-01T00:00:00Z"}`, 401, 7000222},
		{"/emulator/apps/" + clientID + "/add-secret", `{"value":"` + password + `"}`, 200, 0},
		{"/emulator/apps/" + clientID + "/disable", ``, 400, 7000112},
		{"/emulator/apps/" + clientID + "/enable", ``, 200, 0},
		{"/emulator/outage", `{"down":true}`, 503, 90033},
		{"/emulator/outage", `{"down":false}`, 200, 0},
		{"/emulator/config", `{"codes":{"missingPrincipal":700016}}`, 200, 0},
		{"/emulator/tenants/all/withdraw", ``, 400, 700016},
		{"/emulator/tenants/all/consent", ``, 200, 0},
	} {
		if r := w.control(http.MethodPost, step.path, step.body); r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", step.path, r.StatusCode, r.body)
		}
		r := w.ask(fabrikam, form())
		codes, _ := r.object(t)["error_codes"].([]any)
		if r.StatusCode != step.status || step.code != 0 && codes[0] != float64(step.code) {
			t.Errorf("after %s: want %d AADSTS%d, got %d %s", step.path, step.status, step.code, r.StatusCode, r.body)
		}
	}
}

func TestControlRefusesWhatItDoesNotUnderstand(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/emulator/tenants/" + nobodysTenant + "/consent", ``, 404},
		{"/emulator/tenants/" + contoso + "/explode", ``, 404},
		{"/emulator/tenants/" + contoso + "/consent", `{"clientId":1}`, 400},
		{"/emulator/tenants/" + contoso + "/consent", `{"clientID":"nobody"}`, 404},
		{"/emulator/tenants/" + contoso + "/grant", ``, 400},
		{"/emulator/tenants/" + contoso + "/lifetime", ``, 400},
		{"/emulator/tenants/" + contoso + "/lifetime", `{"lifetime":"1ms"}`, 400},
		{"/emulator/tenants/" + contoso + "/fault", `{"fault":{"delay":"soon"}}`, 400},
		{"/emulator/tenants/" + contoso + "/fault", `{"fault":{"stauts":500}}`, 400},
		{"/emulator/tenants/" + contoso + "/fault", `{"fault":{"status":5}}`, 400},
		{"/emulator/outage", `{"down":true,"mode":"slow"}`, 400},
		{"/emulator/apps", `{}`, 400},
		{"/emulator/apps", `{"clientID":"x","certificates":["y"]}`, 400},
		{"/emulator/apps/nobody/disable", ``, 404},
		{"/emulator/apps/" + clientID + "/explode", ``, 404},
		{"/emulator/config", `[]`, 400},
	} {
		if r := w.control(http.MethodPost, c.path, c.body); r.StatusCode != c.status || r.object(t)["error"] == nil {
			t.Errorf("%s %s: want %d, got %d %s", c.path, c.body, c.status, r.StatusCode, r.body)
		}
	}
	if r := w.control(http.MethodGet, "/emulator/tenants/"+nobodysTenant, ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("state of an unknown tenant: %d", r.StatusCode)
	}
	if r := w.control(http.MethodGet, "/emulator/ledger?last=x", ""); r.StatusCode != http.StatusBadRequest {
		t.Errorf("last=x: %d", r.StatusCode)
	}
}

func TestControlMakesTenantsInBulk(t *testing.T) {
	w := start(t)
	r := w.control(http.MethodPost, "/emulator/tenants", `{"count":10000,"prefix":"AB","consented":["`+clientID+`"],"tenants":[{"id":"x.example"}]}`)
	first, last := "000000ab-0000-4000-8000-000000000000", "000000ab-0000-4000-8000-000000009999"
	if want := map[string]any{"first": first, "last": last}; !reflect.DeepEqual(r.object(t), want) {
		t.Fatalf("%s", r.body)
	}
	w.token(last)
	stats := w.control(http.MethodGet, "/emulator/stats", "").object(t)
	if stats["tenants"] != 10004.0 || stats["tokens"] != 1.0 || stats["requests"].(map[string]any)["token"] != 1.0 {
		t.Errorf("stats %v", stats)
	}
	w.must(http.MethodDelete, "/emulator/tenants/"+first, nil)
	w.wantCode(w.ask(first, form()), 400, 90002, "invalid_tenant")
	if codes := w.control(http.MethodGet, "/emulator/stats", "").object(t)["codes"]; !reflect.DeepEqual(codes, map[string]any{"90002": 1.0}) {
		t.Errorf("codes %v", codes)
	}
	ledger := w.control(http.MethodGet, "/emulator/ledger?last=1", "").object(t)
	if requests, _ := ledger["requests"].([]any); len(requests) != 1 || requests[0].(map[string]any)["code"] != 90002.0 {
		t.Errorf("ledger %v", ledger)
	}
	w.must(http.MethodDelete, "/emulator/ledger", nil)
	if n := w.CountRequests(entra.Token, ""); n != 0 {
		t.Errorf("%d after the reset", n)
	}
}

func TestOutagesEndByTheClock(t *testing.T) {
	w := start(t)
	token := w.token(contoso)
	w.control(http.MethodPost, "/emulator/outage", `{"down":true,"seconds":30,"mode":"reset"}`)
	if _, err := w.do(http.MethodPost, "/"+contoso+"/oauth2/v2.0/token", form()); err == nil {
		t.Error("an answer during the outage")
	}
	if r := w.call("/api/incidents", token); r.StatusCode != http.StatusOK {
		t.Errorf("the API is concerned: %d", r.StatusCode)
	}
	w.clock.Step(30 * time.Second)
	w.token(contoso)
}

func TestStateOfATenant(t *testing.T) {
	w := start(t)
	w.AddPermission(clientID, entra.DefenderXDR, "Incident.ReadWrite.All")
	w.Unprovision(contoso, entra.MicrosoftGraph)
	w.SetLifetime(contoso, time.Minute)
	w.Inject(contoso, entra.Fault{On: entra.API, Status: 500}, 0)
	state := w.control(http.MethodGet, "/emulator/tenants/"+contoso, "").object(t)
	app, _ := state["apps"].([]any)[0].(map[string]any)
	if app["state"] != "partial" || !reflect.DeepEqual(app["missing"], []any{"Incident.ReadWrite.All"}) || state["lifetime"] != "1m0s" ||
		!reflect.DeepEqual(state["faults"], []any{"api"}) || !reflect.DeepEqual(state["unprovisioned"], []any{entra.MicrosoftGraph}) {
		t.Errorf("state %v", state)
	}
}

func TestTheHomePageListsAndChangesTenants(t *testing.T) {
	w := start(t)
	if err := w.Configure(entra.Config{Series: []entra.SeriesConfig{{Count: 120, Prefix: "d"}}}); err != nil {
		t.Fatal(err)
	}
	page := w.must(http.MethodGet, "/?page=2", nil)
	for _, part := range []string{"Partner &lt;one&gt;", "/common/oauth2/authorize?prompt=consent", "Previous page", "Next page", "123 found"} {
		if !strings.Contains(page.body, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	press := func(fields ...string) reply {
		f := url.Values{"tenant": {fabrikam}, "app": {clientID}}
		for i := 0; i < len(fields); i += 2 {
			f.Set(fields[i], fields[i+1])
		}
		return w.must(http.MethodPost, "/", f)
	}
	for _, step := range []struct {
		fields []string
		status int
	}{
		{[]string{"action", "consent"}, 200},
		{[]string{"action", "fault", "fault", "unavailable (AADSTS90033)"}, 503},
		{[]string{"action", "clear"}, 200},
		{[]string{"action", "withdraw"}, 401},
		{[]string{"action", "remove"}, 400},
		{[]string{"action", "add"}, 401},
	} {
		if r := press(step.fields...); r.StatusCode != http.StatusSeeOther {
			t.Fatalf("%v: %d %s", step.fields, r.StatusCode, r.body)
		}
		if r := w.ask(fabrikam, form()); r.StatusCode != step.status {
			t.Errorf("after %v: %d %s", step.fields, r.StatusCode, r.body)
		}
	}
	if r := press("action", "dance"); r.StatusCode != http.StatusBadRequest {
		t.Errorf("unknown action: %d", r.StatusCode)
	}
	if r := press("action", "consent", "tenant", ""); r.StatusCode != http.StatusBadRequest {
		t.Errorf("no tenant: %d", r.StatusCode)
	}
	foreign := w.must(http.MethodPost, "/", url.Values{"tenant": {fabrikam}, "action": {"remove"}}, "Origin", "https://elsewhere.example")
	if foreign.StatusCode != http.StatusForbidden {
		t.Errorf("another site: %d", foreign.StatusCode)
	}
}

func TestTheTrustRootCanBeDownloaded(t *testing.T) {
	w := start(t)
	r := w.must(http.MethodGet, "/emulator/ca.pem", nil)
	if block, _ := pem.Decode([]byte(r.body)); block == nil || r.body != string(w.CAPEM()) {
		t.Errorf("%s", r.body)
	}
}
