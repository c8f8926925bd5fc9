package entra_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

const (
	clientID = "0a0a0a0a-1111-4222-8333-444444444444"
	home     = "99999999-9999-4999-8999-999999999999"
	contoso  = "11111111-1111-4111-8111-111111111111"
	fabrikam = "22222222-2222-4222-8222-222222222222"
	password = "the-secret"
	redirect = "https://operator.example/consent?from=entra"
	marker   = "canary-4711"
)

// clock stands still unless told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is an emulator with one app, and two tenants of which contoso has consented.
type world struct {
	*entra.Emulator
	t      *testing.T
	clock  *clock
	client *http.Client
}

func start(t *testing.T) *world {
	t.Helper()
	c := &clock{now: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)}
	e, err := entra.Start(entra.Options{Now: c.Now, Marker: marker})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Emulator: e, t: t, clock: c, client: e.HTTPClient()}
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		e.Close()
	})
	e.RegisterApp(entra.App{
		ClientID: clientID, DisplayName: "Partner <one>", HomeTenantID: home, RedirectURIs: []string{redirect},
		Permissions: map[string][]string{
			entra.DefenderXDR:    {"Incident.Read.All", "AdvancedHunting.Read.All"},
			entra.MicrosoftGraph: {"SecurityIncident.Read.All"},
		},
	})
	e.AddSecret(clientID, password, c.Now().Add(24*time.Hour))
	e.AddTenant(contoso)
	e.AddTenant(fabrikam)
	e.Consent(contoso, clientID)
	return w
}

// reply is an HTTP answer, read to its end.
type reply struct {
	*http.Response
	body string
	err  error // of reading the body
}

func (w *world) do(method, address string, form url.Values, header ...string) (reply, error) {
	w.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = w.URL() + address
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return reply{resp, string(body), err}, nil
}

func (w *world) must(method, address string, form url.Values, header ...string) reply {
	w.t.Helper()
	r, err := w.do(method, address, form, header...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, address, err)
	}
	return r
}

func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(r.body), &object); err != nil {
		t.Fatalf("body is no JSON object: %v\n%s", err, r.body)
	}
	return object
}

// form is a correct v2 request for Defender XDR; changes are pairs, and an empty value removes a field.
func form(changes ...string) url.Values {
	f := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {password},
		"scope": {entra.DefenderXDR + "/.default openid offline_access profile"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

func (w *world) ask(tenant string, f url.Values) reply {
	w.t.Helper()
	return w.must(http.MethodPost, "/"+tenant+"/oauth2/v2.0/token", f)
}

// token asks for one and must get it.
func (w *world) token(tenant string, changes ...string) string {
	w.t.Helper()
	r := w.ask(tenant, form(changes...))
	token, _ := r.object(w.t)["access_token"].(string)
	if r.StatusCode != http.StatusOK || token == "" {
		w.t.Fatalf("token request: %d %s", r.StatusCode, r.body)
	}
	return token
}

func claimsOf(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %s", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// wantCode checks a refusal's whole shape.
func (w *world) wantCode(r reply, status, code int, short string) {
	w.t.Helper()
	body := r.object(w.t)
	codes, _ := body["error_codes"].([]any)
	if r.StatusCode != status || len(codes) != 1 || codes[0] != float64(code) || body["error"] != short {
		w.t.Fatalf("want %d, AADSTS%d, %s; got %d %s", status, code, short, r.StatusCode, r.body)
	}
	for _, member := range []string{"error_description", "timestamp", "trace_id", "correlation_id", "error_uri"} {
		if body[member] == "" || body[member] == nil {
			w.t.Errorf("%s is missing: %s", member, r.body)
		}
	}
	if !strings.Contains(r.body, marker) {
		w.t.Errorf("the marker is missing: %s", r.body)
	}
}

// drain lets the connection be used again.
func (r reply) drain() (int64, error) {
	defer func() { _ = r.Body.Close() }()
	return io.Copy(io.Discard, r.Body)
}
