package entra_test

import (
	"net/http"
	"net/url"
	"testing"
)

func TestInstanceDiscoveryKnowsTheRealHostsAndItself(t *testing.T) {
	w := start(t)
	ask := func(endpoint string) reply {
		q := url.Values{"api-version": {"1.1"}, "authorization_endpoint": {endpoint}}
		return w.must(http.MethodGet, "/common/discovery/instance?"+q.Encode(), nil)
	}
	for _, host := range []string{"https://login.microsoftonline.us", "https://login.partner.microsoftonline.cn", w.URL()} {
		body := ask(host + "/" + contoso + "/oauth2/v2.0/authorize").object(t)
		if want := host + "/" + contoso + "/v2.0/.well-known/openid-configuration"; body["tenant_discovery_endpoint"] != want {
			t.Errorf("%v, want %s", body["tenant_discovery_endpoint"], want)
		}
	}
	w.wantCode(ask("https://login.example/common/oauth2/v2.0/authorize"), 400, 50049, "invalid_instance")
	w.wantCode(ask(""), 400, 900144, "invalid_request")
}

func TestConfigurationNamesTheHostThatWasAsked(t *testing.T) {
	w := start(t)
	for version, issuer := range map[string]string{"": "https://sts.windows.net/" + contoso + "/", "/v2.0": w.URL() + "/" + contoso + "/v2.0"} {
		body := w.must(http.MethodGet, "/"+contoso+version+"/.well-known/openid-configuration", nil).object(t)
		if body["issuer"] != issuer || body["token_endpoint"] != w.URL()+"/"+contoso+"/oauth2"+version+"/token" {
			t.Errorf("%q: %v", version, body)
		}
		for tenant, code := range map[string]int{nobodysTenant: 90002, "no_tenant": 900023} {
			r := w.must(http.MethodGet, "/"+tenant+version+"/.well-known/openid-configuration", nil)
			short := map[int]string{90002: "invalid_tenant", 900023: "invalid_request"}[code]
			w.wantCode(r, http.StatusBadRequest, code, short)
		}
	}
	w.wantCode(w.must(http.MethodGet, "/"+nobodysTenant+"/discovery/keys", nil), 400, 90002, "invalid_tenant")
}
