package entra_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

func TestTokenSaysWhatRealOnesSay(t *testing.T) {
	w := start(t)
	r := w.ask(contoso, form())
	body := r.object(t)
	if body["token_type"] != "Bearer" || body["expires_in"] != 3599.0 || body["refresh_token"] != nil {
		t.Errorf("body %v", body)
	}
	token, _ := body["access_token"].(string)
	header, claims := claimsOf(t, token)
	if !strings.HasPrefix(token, "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIs") || header["kid"] == "" || header["kid"] != header["x5t"] {
		t.Errorf("header %v", header)
	}
	now := float64(w.clock.Now().Unix())
	want := map[string]any{
		"aud": entra.DefenderXDR, "iss": "https://sts.windows.net/" + contoso + "/", "tid": contoso,
		"appid": clientID, "appidacr": "1", "idtyp": "app", "ver": "1.0", "marker": marker,
		"roles": []any{"AdvancedHunting.Read.All", "Incident.Read.All"},
		"iat":   now - 300, "nbf": now - 300, "exp": now + 3600,
		"oid": claims["oid"], "sub": claims["oid"], "uti": claims["uti"],
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("claims\n%v\nwant\n%v", claims, want)
	}
	if claims["oid"] == "" || claims["uti"] == "" {
		t.Errorf("oid or uti is empty: %v", claims)
	}
	if date, err := http.ParseTime(r.Header.Get("Date")); err != nil || !date.Equal(w.clock.Now()) {
		t.Errorf("Date %q (%v)", r.Header.Get("Date"), err)
	}
	w.verifyWithPublishedKey(token)
}

// verifyWithPublishedKey follows jwks_uri as a resource server would.
func (w *world) verifyWithPublishedKey(token string) {
	w.t.Helper()
	configuration := w.must(http.MethodGet, "/"+contoso+"/.well-known/openid-configuration", nil).object(w.t)
	if configuration["issuer"] != "https://sts.windows.net/"+contoso+"/" {
		w.t.Errorf("issuer %v", configuration["issuer"])
	}
	address, _ := configuration["jwks_uri"].(string)
	keys, _ := w.must(http.MethodGet, address, nil).object(w.t)["keys"].([]any)
	key, _ := keys[0].(map[string]any)
	header, _ := claimsOf(w.t, token)
	if key["kid"] != header["kid"] || key["alg"] != nil {
		w.t.Fatalf("key %v", key)
	}
	number := func(name string) *big.Int {
		text, _ := key[name].(string)
		data, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			w.t.Fatal(err)
		}
		return new(big.Int).SetBytes(data)
	}
	public := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	end := strings.LastIndex(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		w.t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(token[:end]))
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
		w.t.Error(err)
	}
}

func TestTokenRequestsAreRefusedAsEntraDoes(t *testing.T) {
	w := start(t)
	w.AddTenant("bare.example")
	w.DisablePrincipal(fabrikam, clientID, true)
	w.AddSecret(clientID, "old", w.clock.Now().Add(-time.Second))
	other := "33333333-3333-4333-8333-333333333333"
	w.AddTenant(other)
	for name, c := range map[string]struct {
		tenant       string
		form         url.Values
		status, code int
		short        string
	}{
		"unknown tenant":           {nobodysTenant, form(), 400, 90002, "invalid_tenant"},
		"malformed tenant":         {"no_tenant", form(), 400, 900023, "invalid_request"},
		"common":                   {"common", form(), 400, 9001023, "invalid_request"},
		"no service principal":     {other, form(), 401, 7000229, "invalid_client"},
		"disabled in the tenant":   {fabrikam, form(), 400, 7000112, "unauthorized_client"},
		"unknown app":              {contoso, form("client_id", other), 400, 700016, "unauthorized_client"},
		"wrong secret":             {contoso, form("client_secret", "guess"), 401, 7000215, "invalid_client"},
		"expired secret":           {contoso, form("client_secret", "old"), 401, 7000222, "invalid_client"},
		"no credential":            {contoso, form("client_secret", ""), 401, 7000218, "invalid_client"},
		"no grant type":            {contoso, form("grant_type", ""), 400, 900144, "invalid_request"},
		"other grant type":         {contoso, form("grant_type", "password"), 400, 70003, "unsupported_grant_type"},
		"no client":                {contoso, form("client_id", ""), 400, 900144, "invalid_request"},
		"no scope":                 {contoso, form("scope", ""), 400, 900144, "invalid_request"},
		"resource at v2":           {contoso, form("scope", "", "resource", entra.DefenderXDR), 400, 901002, "invalid_request"},
		"scope without default":    {contoso, form("scope", entra.DefenderXDR+"/Incident.Read.All"), 400, 1002012, "invalid_scope"},
		"several resources":        {contoso, form("scope", entra.DefenderXDR+"/.default "+entra.MicrosoftGraph+"/.default"), 400, 70011, "invalid_scope"},
		"resource nobody has":      {contoso, form("scope", "https://nowhere.example/.default"), 400, 500011, "invalid_resource"},
		"tenant named by a domain": {"bare.example", form(), 401, 7000229, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			w.wantCode(w.ask(c.tenant, c.form), c.status, c.code, c.short)
		})
	}
}

// nobodysTenant is shaped well and does not exist.
const nobodysTenant = "44444444-4444-4444-8444-444444444444"

func TestTheStateOfATenantDecides(t *testing.T) {
	w := start(t)
	w.wantCode(w.ask(fabrikam, form()), 401, 7000229, "invalid_client")
	w.Answer(entra.Codes{MissingPrincipal: 700016, Unprovisioned: 650052})
	w.wantCode(w.ask(fabrikam, form()), 400, 700016, "unauthorized_client")

	w.Grant(fabrikam, clientID, entra.DefenderXDR)
	if _, claims := claimsOf(t, w.token(fabrikam)); claims["roles"] != nil {
		t.Errorf("roles without a grant: %v", claims["roles"])
	}
	w.Grant(fabrikam, clientID, "https://security.microsoft.com/mtp/", "Incident.Read.All")
	if _, claims := claimsOf(t, w.token(fabrikam)); !reflect.DeepEqual(claims["roles"], []any{"Incident.Read.All"}) {
		t.Errorf("roles %v", claims["roles"])
	}
	w.Unprovision(fabrikam, entra.DefenderXDR)
	w.wantCode(w.ask(fabrikam, form()), 400, 650052, "invalid_client")
	w.Provision(fabrikam, entra.DefenderXDR)
	w.DisableApp(clientID, true)
	w.wantCode(w.ask(fabrikam, form()), 400, 7000112, "unauthorized_client")
	w.DisableApp(clientID, false)
	w.token(fabrikam)
	w.RemoveSecret(clientID, password)
	w.wantCode(w.ask(fabrikam, form()), 401, 7000215, "invalid_client")
	w.AddSecret(clientID, password, w.clock.Now().Add(time.Minute))
	w.token(fabrikam)
	w.clock.Step(time.Minute)
	w.AddSecret(clientID, "next", time.Time{})
	w.wantCode(w.ask(fabrikam, form()), 401, 7000222, "invalid_client")
	w.token(fabrikam, "client_secret", "next")
	w.Withdraw(fabrikam, clientID)
	w.wantCode(w.ask(fabrikam, form("client_secret", "next")), 400, 700016, "unauthorized_client")
	w.RemoveTenant(fabrikam)
	w.wantCode(w.ask(fabrikam, form()), 400, 90002, "invalid_tenant")
}

func TestPermissionsAddedLaterNeedANewConsent(t *testing.T) {
	w := start(t)
	w.AddPermission(clientID, entra.DefenderXDR, "Incident.ReadWrite.All")
	w.AddPermission(clientID, "https://custom.example/api", "Do.It")
	if _, claims := claimsOf(t, w.token(contoso)); len(claims["roles"].([]any)) != 2 {
		t.Errorf("before consent: %v", claims["roles"])
	}
	w.Consent(contoso, clientID)
	if _, claims := claimsOf(t, w.token(contoso)); len(claims["roles"].([]any)) != 3 {
		t.Errorf("after consent: %v", claims["roles"])
	}
	_, claims := claimsOf(t, w.token(contoso, "scope", "https://custom.example/api/.default"))
	if claims["aud"] != "https://custom.example/api" || !reflect.DeepEqual(claims["roles"], []any{"Do.It"}) {
		t.Errorf("own resource: %v", claims)
	}
}

func TestAudienceIsTheResourceAsAsked(t *testing.T) {
	w := start(t)
	for scope, want := range map[string]string{
		"https://security.microsoft.com/mtp//.default":                       "https://security.microsoft.com/mtp/",
		"https://security.microsoft.com/mtp/.default":                        "https://security.microsoft.com/mtp",
		"https://securitycenter.onmicrosoft.com/windowsatpservice/.default":  "https://securitycenter.onmicrosoft.com/windowsatpservice",
		"8ee8fdad-f234-4243-8f3b-15c294843740/.default openid profile":       "8ee8fdad-f234-4243-8f3b-15c294843740",
		"https://graph.microsoft.com/.default openid offline_access profile": "https://graph.microsoft.com",
		"https://api.securitycenter.microsoft.com/.default":                  "https://api.securitycenter.microsoft.com",
		"openid https://API.security.microsoft.com/.default":                 "https://API.security.microsoft.com",
	} {
		if _, claims := claimsOf(t, w.token(contoso, "scope", scope)); claims["aud"] != want {
			t.Errorf("%s: aud %v, want %s", scope, claims["aud"], want)
		}
	}
}

func TestV1TakesAResource(t *testing.T) {
	w := start(t)
	f := form("scope", "", "resource", entra.DefenderXDR)
	r := w.must(http.MethodPost, "/"+contoso+"/oauth2/token", f)
	body := r.object(t)
	on := strconv.FormatInt(w.clock.Now().Add(time.Hour).Unix(), 10)
	if body["expires_in"] != "3599" || body["resource"] != entra.DefenderXDR || body["expires_on"] != on {
		t.Errorf("body %v", body)
	}
	f.Del("resource")
	w.wantCode(w.must(http.MethodPost, "/"+contoso+"/oauth2/token", f), 400, 900144, "invalid_request")
}

func TestOrganizationsMeansTheAppsOwnTenant(t *testing.T) {
	w := start(t)
	if _, claims := claimsOf(t, w.token("organizations")); claims["tid"] != home || claims["roles"] != nil {
		t.Errorf("claims %v", claims)
	}
}

func TestLifetimesGoDownToSeconds(t *testing.T) {
	w := start(t)
	w.SetLifetime("", 90*time.Second)
	w.SetLifetime(contoso, 2*time.Second)
	life := func() any {
		body := w.ask(contoso, form()).object(t)
		token, _ := body["access_token"].(string)
		if _, claims := claimsOf(t, token); claims["exp"].(float64)-float64(w.clock.Now().Unix()) != body["expires_in"].(float64)+1 {
			t.Errorf("exp and expires_in differ: %v %v", claims, body)
		}
		return body["expires_in"]
	}
	if got := life(); got != 1.0 {
		t.Errorf("own lifetime: %v", got)
	}
	w.SetLifetime("", 90*time.Second)
	if got := life(); got != 89.0 {
		t.Errorf("lifetime of all: %v", got)
	}
}

func TestBasicAuthenticationIsTaken(t *testing.T) {
	w := start(t)
	f := form("client_id", "", "client_secret", "")
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+password))
	if r := w.must(http.MethodPost, "/"+contoso+"/oauth2/v2.0/token", f, "Authorization", basic); r.StatusCode != http.StatusOK {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}
