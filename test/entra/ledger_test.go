package entra_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

func TestTheLedgerKnowsEverythingButSecrets(t *testing.T) {
	w := start(t)
	r := w.must(http.MethodPost, "/"+strings.ToUpper(contoso)+"/oauth2/v2.0/token", form(), "client-request-id", "abc")
	token, _ := r.object(t)["access_token"].(string)
	if r.Header.Get("client-request-id") != "abc" || r.Header.Get("x-ms-request-id") == "" {
		t.Errorf("headers %v", r.Header)
	}
	w.ask(contoso, form("client_secret", "wrong-one"))
	w.call("/api/incidents", token)
	w.must(http.MethodGet, "/nothing/here", nil)

	now := w.clock.Now()
	path := "/" + contoso + "/oauth2/v2.0/token"
	want := []entra.Request{
		{
			Time: now, Method: "POST", Path: strings.ReplaceAll(path, contoso, strings.ToUpper(contoso)), Tenant: contoso, Kind: entra.Token,
			Status: 200, ClientID: clientID, Resource: entra.DefenderXDR, Credential: "secret", ClientRequestID: "abc",
		},
		{
			Time: now, Method: "POST", Path: path, Tenant: contoso, Kind: entra.Token, Status: 401, Code: 7000215,
			ClientID: clientID, Resource: entra.DefenderXDR,
		},
		{
			Time: now, Method: "GET", Path: "/api/incidents", Tenant: contoso, Kind: entra.API, Status: 200,
			ClientID: clientID, Resource: entra.DefenderXDR,
		},
		{Time: now, Method: "GET", Path: "/nothing/here", Kind: entra.Other, Status: 404},
	}
	if got := w.Requests(); !reflect.DeepEqual(got, want) {
		t.Errorf("requests\n%+v\nwant\n%+v", got, want)
	}
	_, claims := claimsOf(t, token)
	digest := sha256.Sum256([]byte(token))
	uti, _ := claims["uti"].(string)
	issued := []entra.IssuedToken{{
		UTI: uti, Tenant: contoso, Aud: entra.DefenderXDR, AppID: clientID,
		Roles:  []string{"AdvancedHunting.Read.All", "Incident.Read.All"},
		Issued: now, Expires: now.Add(time.Hour), SHA256: hex.EncodeToString(digest[:]),
	}}
	if got := w.Tokens(); !reflect.DeepEqual(got, issued) {
		t.Errorf("tokens\n%+v\nwant\n%+v", got, issued)
	}
	text, err := json.Marshal([]any{w.Requests(), w.Tokens()})
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range append(w.Marks(), password, "wrong-one", token) {
		if strings.Contains(string(text), leak) {
			t.Errorf("the ledger holds %q", leak)
		}
	}
	w.ResetLedger()
	if len(w.Requests())+len(w.Tokens())+w.CountRequests(entra.Token, "")+w.CountTokens() != 0 {
		t.Error("something is left after the reset")
	}
}

func TestMarksFindEveryToken(t *testing.T) {
	w := start(t)
	marks := w.Marks()
	w.Inject(fabrikam, entra.Fault{Opaque: true}, 0)
	w.Consent(fabrikam, clientID)
	for _, text := range []string{w.token(contoso), w.token(contoso), w.token(fabrikam), w.ask(home, form("client_secret", "x")).body} {
		found := 0
		for _, mark := range marks {
			if strings.Contains(text, mark) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d of %q in %s", found, marks, text)
		}
	}
	for _, mark := range marks[1:] {
		if data, err := base64.RawURLEncoding.DecodeString(mark); err != nil || len(data) < len(marker) {
			t.Errorf("mark %q: %v", mark, err)
		}
	}
}

func TestCountsAndAwait(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.Inject(fabrikam, entra.Fault{Hang: true}, 1)
	given := make(chan error, 1)
	ask, stop := context.WithCancel(t.Context())
	go func() {
		r, err := http.NewRequestWithContext(ask, http.MethodPost, w.URL()+"/"+fabrikam+"/oauth2/token", nil)
		if err == nil {
			_, err = w.client.Do(r)
		}
		given <- err
	}()
	if err := w.Await(ctx, entra.Token, strings.ToUpper(fabrikam), 1); err != nil {
		t.Fatal(err)
	}
	stop() // a client that gives up ends the hanging
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.token(contoso)
	if got := []int{
		w.CountRequests(entra.Token, ""), w.CountRequests(entra.Token, contoso), w.CountRequests(entra.API, ""), w.CountTokens(),
	}; !reflect.DeepEqual(got, []int{2, 1, 0, 1}) {
		t.Errorf("counts %v", got)
	}
	cancel()
	if err := w.Await(ctx, entra.Token, "", 99); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestALimitedLedgerForgetsEntriesAndNoCounts(t *testing.T) {
	e, err := entra.Start(entra.Options{LedgerLimit: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w := &world{Emulator: e, t: t, client: e.HTTPClient()}
	for range 20 {
		w.must(http.MethodGet, "/common/discovery/keys", nil)
	}
	requests := e.Requests()
	if n := len(requests); n < 3 || n > 6 || e.CountRequests(entra.JWKS, "") != 20 {
		t.Errorf("%d entries, %d counted", n, e.CountRequests(entra.JWKS, ""))
	}
	for _, r := range requests {
		if r.Status != http.StatusOK {
			t.Errorf("an entry was not finished: %+v", r)
		}
	}
}

func TestEverythingAtOnce(t *testing.T) {
	w := start(t)
	var group sync.WaitGroup
	for worker := range 8 {
		id := entra.TenantID("c0", worker)
		group.Go(func() {
			for range 10 {
				w.Consent(id, clientID)
				w.Inject(id, entra.Fault{Claims: map[string]any{"roles": nil}}, 1)
				if _, err := w.do(http.MethodPost, "/"+id+"/oauth2/v2.0/token", form()); err != nil {
					t.Error(err)
				}
				w.AddPermission(clientID, entra.DefenderXDR, "Role."+id)
				w.Requests()
			}
		})
	}
	group.Wait()
	if n := w.CountTokens(); n != 80 {
		t.Errorf("%d tokens", n)
	}
}

func BenchmarkToken(b *testing.B) {
	e, err := entra.Start(entra.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	e.RegisterApp(entra.App{ClientID: clientID, Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}})
	e.AddSecret(clientID, password, time.Time{})
	if err := e.Configure(entra.Config{Series: []entra.SeriesConfig{{Count: 10_000, Consented: []string{clientID}}}}); err != nil {
		b.Fatal(err)
	}
	client := e.HTTPClient()
	body := form()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			r, err := client.PostForm(e.URL()+"/"+entra.TenantID("", i%10_000)+"/oauth2/v2.0/token", body)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := (reply{Response: r}).drain(); err != nil || r.StatusCode != http.StatusOK {
				b.Errorf("%d %v", r.StatusCode, err)
			}
		}
	})
}
