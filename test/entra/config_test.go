package entra_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

func TestConfigurationDescribesAppsAndTenants(t *testing.T) {
	w := start(t)
	now := w.clock.Now()
	mine := newIdentity(t, now.Add(-time.Hour), now.Add(time.Hour))
	public, err := x509.MarshalPKIXPublicKey(&mine.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	const other = "0b0b0b0b-1111-4222-8333-444444444444"
	if err := w.Configure(entra.Config{
		Lifetime: "10m",
		Apps: []entra.AppConfig{{
			App:          entra.App{ClientID: other, Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}},
			Certificates: []string{text("CERTIFICATE", mine.cert.Raw)},
			Federations:  []entra.FederationConfig{{Issuer: "https://i.example", Subject: "s", PublicKeys: []string{text("PUBLIC KEY", public)}}},
		}},
		Tenants: []entra.TenantConfig{
			{ID: fabrikam, Lifetime: "20s", Grants: []entra.GrantConfig{{ClientID: other, Resource: entra.DefenderXDR, Roles: []string{"Alert.Read.All"}}}},
			{ID: contoso, Consented: []string{other}, Unprovisioned: []string{entra.MicrosoftGraph}, Disabled: []string{clientID}},
		},
	}); err != nil {
		t.Fatal(err)
	}
	thumbprint := sha256.Sum256(mine.cert.Raw)
	header := map[string]any{"alg": "RS256", "x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])}
	claims := map[string]any{
		"iss": other, "sub": other, "aud": w.URL() + "/" + fabrikam + "/oauth2/v2.0/token", "exp": now.Add(time.Minute).Unix(),
	}
	own := withAssertion(mine.assert(t, header, claims))
	own.Set("client_id", other)
	if r := w.ask(fabrikam, own); r.object(t)["expires_in"] != 19.0 {
		t.Errorf("by certificate: %s", r.body)
	}
	federated := withAssertion(mine.assert(t, header, with(claims, "iss", "https://i.example", "sub", "s", "aud", "api://AzureADTokenExchange")))
	federated.Set("client_id", other)
	if r := w.ask(contoso, federated); r.object(t)["expires_in"] != 599.0 {
		t.Errorf("by federation: %s", r.body)
	}
	federated.Set("scope", entra.MicrosoftGraph+"/.default")
	w.wantCode(w.ask(contoso, federated), http.StatusBadRequest, 500011, "invalid_resource")
	w.wantCode(w.ask(contoso, form()), http.StatusBadRequest, 7000112, "unauthorized_client")
}

func TestWrongConfigurationNamesItsPart(t *testing.T) {
	w := start(t)
	app := func(change func(*entra.AppConfig)) entra.Config {
		a := entra.AppConfig{App: entra.App{ClientID: "the-app"}}
		change(&a)
		return entra.Config{Apps: []entra.AppConfig{a}}
	}
	key := func(texts ...string) func(*entra.AppConfig) {
		return func(a *entra.AppConfig) { a.Federations = []entra.FederationConfig{{PublicKeys: texts}} }
	}
	garbage := "-----BEGIN X-----\nAAAA\n-----END X-----\n"
	for name, c := range map[string]struct {
		config entra.Config
		want   string
	}{
		"no client ID":       {app(func(a *entra.AppConfig) { a.ClientID = "" }), "clientID is missing"},
		"no certificate":     {app(func(a *entra.AppConfig) { a.Certificates = []string{garbage} }), "the-app"},
		"no PEM":             {app(key("x")), "no PEM"},
		"no key":             {app(key(garbage)), "parse public key"},
		"no tenant ID":       {entra.Config{Tenants: []entra.TenantConfig{{}}}, "id is missing"},
		"no lifetime":        {entra.Config{Lifetime: "soon"}, "soon"},
		"too short":          {entra.Config{Lifetime: "10ms"}, "at least one second"},
		"a tenant's is none": {entra.Config{Tenants: []entra.TenantConfig{{ID: fabrikam, Lifetime: "x"}}}, fabrikam},
	} {
		if err := w.Configure(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutBackDatingTokensStartNow(t *testing.T) {
	e, err := entra.Start(entra.Options{NoBackDate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.AddSecret(clientID, password, time.Time{})
	e.Grant(contoso, clientID, entra.DefenderXDR)
	w := &world{Emulator: e, t: t, client: e.HTTPClient()}
	before := time.Now().Unix()
	_, claims := claimsOf(t, w.token(contoso))
	if from, ok := claims["nbf"].(float64); !ok || int64(from) < before || claims["marker"] != nil {
		t.Errorf("claims %v", claims)
	}
}
