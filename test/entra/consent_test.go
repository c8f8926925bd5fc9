package entra_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/defender-tenant/operator/test/entra"
)

const defaultScope = entra.DefenderXDR + "/.default"

// link is a consent link; pairs change its parameters, and an empty value removes one.
func link(path string, changes ...string) string {
	q := url.Values{"client_id": {clientID}, "redirect_uri": {redirect}, "state": {"s t&1"}, "scope": {defaultScope}}
	for i := 0; i+1 < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return path + "?" + q.Encode()
}

// roles are those of a token of the tenant; nil when there is no token.
func (w *world) roles(tenant string) any {
	w.t.Helper()
	r := w.ask(tenant, form())
	if r.StatusCode != http.StatusOK {
		return nil
	}
	token, _ := r.object(w.t)["access_token"].(string)
	_, claims := claimsOf(w.t, token)
	return claims["roles"]
}

// landed parses the redirect, without the registered address's own parameter.
func (r reply) landed(t *testing.T) url.Values {
	t.Helper()
	target, err := url.Parse(r.Header.Get("Location"))
	if err != nil || r.StatusCode != http.StatusFound || target.Host != "operator.example" {
		t.Fatalf("no redirect to the app: %d %q %s", r.StatusCode, r.Header.Get("Location"), r.body)
	}
	q := target.Query()
	if q.Get("from") != "entra" {
		t.Errorf("the parameter of the registered address is lost: %s", target)
	}
	q.Del("from")
	return q
}

func TestConsentLinksGrantOrDecline(t *testing.T) {
	for name, c := range map[string]struct {
		path, typed     string
		accept, decline url.Values // nil: a page without a redirect
	}{
		"v2": {
			"/" + fabrikam + "/v2.0/adminconsent", "",
			url.Values{"admin_consent": {"True"}, "tenant": {fabrikam}, "scope": {defaultScope}, "state": {"s t&1"}},
			url.Values{"admin_consent": {"True"}, "error": {"consent_required"}, "state": {"s t&1"}},
		},
		"v2 for any tenant": {
			"/organizations/v2.0/adminconsent", " " + strings.ToUpper(fabrikam) + " ",
			url.Values{"admin_consent": {"True"}, "tenant": {fabrikam}, "scope": {defaultScope}, "state": {"s t&1"}},
			url.Values{"admin_consent": {"True"}, "error": {"consent_required"}, "state": {"s t&1"}},
		},
		"v1": {
			"/common/adminconsent", fabrikam,
			url.Values{"admin_consent": {"True"}, "tenant": {fabrikam}, "state": {"s t&1"}},
			url.Values{"error": {"permission_denied"}, "state": {"s t&1"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			page := w.must(http.MethodGet, link(c.path), nil)
			for _, part := range []string{"Partner &lt;one&gt;", "Microsoft Threat Protection", "Incident.Read.All", "Accept", "Cancel", `lang="en"`} {
				if !strings.Contains(page.body, part) {
					t.Errorf("the page lacks %q", part)
				}
			}
			if asks := strings.Contains(page.body, `name="tenant"`); asks != (c.typed != "") {
				t.Errorf("asks for the tenant: %v", asks)
			}
			declined := w.must(http.MethodPost, link(c.path), url.Values{"tenant": {c.typed}, "decision": {"cancel"}}).landed(t)
			if !strings.HasPrefix(declined.Get("error_description"), "AADSTS65004") {
				t.Errorf("declined with %q", declined)
			}
			declined.Del("error_description")
			if !reflect.DeepEqual(declined, c.decline) || w.roles(fabrikam) != nil {
				t.Errorf("declined: %v, want %v", declined, c.decline)
			}
			accepted := w.must(http.MethodPost, link(c.path), url.Values{"tenant": {c.typed}, "decision": {"accept"}}).landed(t)
			if !reflect.DeepEqual(accepted, c.accept) {
				t.Errorf("accepted: %v, want %v", accepted, c.accept)
			}
			if got := w.roles(fabrikam); !reflect.DeepEqual(got, []any{"AdvancedHunting.Read.All", "Incident.Read.All"}) {
				t.Errorf("roles %v", got)
			}
		})
	}
}

func TestTheAuthorizeLinkEndsWithACodeThatTheOperatorNeverSees(t *testing.T) {
	w := start(t)
	seed := "/common/oauth2/authorize?prompt=consent&client_id=" + clientID + "&response_type=code&sso_reload=true"
	if r := w.must(http.MethodPost, seed, url.Values{"decision": {"cancel"}}); r.StatusCode != 400 || !strings.Contains(r.body, "AADSTS65004") {
		t.Errorf("declined: %d %s", r.StatusCode, r.body)
	}
	landed := w.must(http.MethodPost, seed, url.Values{"decision": {"accept"}, "tenant": {fabrikam}}).landed(t)
	if !strings.Contains(landed.Get("code"), marker) || landed.Has("state") || landed.Has("tenant") {
		t.Errorf("landed with %v", landed)
	}
	if w.roles(fabrikam) == nil {
		t.Error("nothing was granted")
	}
}

func TestConsentLinksThatCannotWork(t *testing.T) {
	w := start(t)
	for name, c := range map[string]struct{ link, code string }{
		"no app":               {link("/common/adminconsent", "client_id", ""), "AADSTS900144"},
		"unknown app":          {link("/common/adminconsent", "client_id", home), "AADSTS700016"},
		"unknown tenant":       {link("/" + nobodysTenant + "/adminconsent"), "AADSTS90002"},
		"other redirect":       {link("/common/adminconsent", "redirect_uri", "https://operator.example/consent"), "AADSTS50011"},
		"redirect but a slash": {link("/common/adminconsent", "redirect_uri", redirect+"/"), "AADSTS50011"},
		"no scope at v2":       {link("/organizations/v2.0/adminconsent", "scope", ""), "AADSTS900144"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := w.must(method, c.link, url.Values{"decision": {"accept"}, "tenant": {fabrikam}})
			if r.StatusCode != http.StatusBadRequest || !strings.Contains(r.body, c.code) {
				t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
			}
		}
	}
	for _, typed := range []string{"", "common", "contoso", nobodysTenant} {
		r := w.must(http.MethodPost, link("/common/adminconsent"), url.Values{"decision": {"accept"}, "tenant": {typed}})
		if r.StatusCode != http.StatusBadRequest || !strings.Contains(r.body, `role="alert"`) {
			t.Errorf("tenant %q: %d %s", typed, r.StatusCode, r.body)
		}
	}
	if w.roles(fabrikam) != nil {
		t.Error("something was granted")
	}
}

func TestV2WithoutDefaultGrantsNoRoles(t *testing.T) {
	w := start(t)
	path := link("/"+fabrikam+"/v2.0/adminconsent", "scope", entra.DefenderXDR+"/Incident.Read")
	w.must(http.MethodPost, path, url.Values{"decision": {"accept"}}).landed(t)
	if r := w.ask(fabrikam, form()); r.StatusCode != http.StatusOK || w.roles(fabrikam) != nil {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

func TestConsentFailsWhereTheServiceIsMissing(t *testing.T) {
	w := start(t)
	w.Unprovision(fabrikam, entra.DefenderXDR)
	landed := w.must(http.MethodPost, link("/"+fabrikam+"/v2.0/adminconsent"), url.Values{"decision": {"accept"}}).landed(t)
	if !strings.HasPrefix(landed.Get("error_description"), "AADSTS650052") || landed.Get("admin_consent") != "True" {
		t.Errorf("landed with %v", landed)
	}
}

func TestAnAppWithoutAddressesSaysTheOutcomeOnAPage(t *testing.T) {
	w := start(t)
	w.RegisterApp(entra.App{ClientID: "bare-app", Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}})
	path := link("/"+fabrikam+"/adminconsent", "client_id", "bare-app", "redirect_uri", "")
	if r := w.must(http.MethodPost, path, url.Values{"decision": {"accept"}}); r.StatusCode != 200 || !strings.Contains(r.body, "Consent was granted") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}
