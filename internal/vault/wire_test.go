package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

const pass9 = "pass-canary-9"

// ask sends one request over a wire to a server, as a question about its vault.
func ask(t *testing.T, server *httptest.Server, address string) error {
	t.Helper()
	q := question{at: cloud.Vault{URL: server.URL}, vault: "contoso", kind: "secret", name: "partner", token: redacted.New(pass9)}
	request, err := http.NewRequestWithContext(withQuestion(t.Context(), q), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&wire{transport: server.Client().Transport}).Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	return err
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(handler)
	t.Cleanup(s.Close)
	return s
}

func TestWire_TheTokenGoesToTheVaultAndNowhereElse(t *testing.T) {
	var strangers atomic.Int32
	stranger := serve(t, func(http.ResponseWriter, *http.Request) { strangers.Add(1) })
	var sent string
	own := serve(t, func(_ http.ResponseWriter, r *http.Request) { sent = r.Header.Get("Authorization") })
	if err := ask(t, own, own.URL+"/secrets/partner"); err != nil || sent != "Bearer "+pass9 {
		t.Errorf("got %v, sent %q", err, sent)
	}
	for _, address := range []string{stranger.URL + "/secrets/partner", strings.Replace(own.URL, "https", "http", 1), strings.Replace(own.URL, "https://", "https://u@", 1)} {
		if err := ask(t, own, address); !errors.Is(err, errForbidden) {
			t.Errorf("%s: got %v", address, err)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, own.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&wire{transport: own.Client().Transport}).Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, errForbidden) {
		t.Errorf("a request about nothing: %v", err)
	}
	redirecting := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
	})
	if err := ask(t, redirecting, redirecting.URL); err == nil {
		t.Error("a redirect is no refusal")
	}
	if strangers.Load() != 0 {
		t.Error("a stranger was asked")
	}
}

func TestWire_AnswersThatNoVaultGives(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a block page":         func(w http.ResponseWriter, _ *http.Request) { page(w, http.StatusForbidden) },
		"a page for a log-in":  func(w http.ResponseWriter, _ *http.Request) { page(w, http.StatusUnauthorized) },
		"a page that is there": func(w http.ResponseWriter, _ *http.Request) { page(w, http.StatusNotFound) },
		"a redirect":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) },
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			page(w, http.StatusOK)
		},
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answer)
			err := ask(t, s, s.URL)
			flaw, ok := errors.AsType[*credential.Defect](err)
			if !ok || !flaw.Passing || flaw.Reason != "VaultUnavailable" || flaw.Text != "what answers at "+strings.TrimPrefix(s.URL, "https://")+" is not Azure Key Vault: look for a proxy that answers in its place" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func page(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html>page-canary</html>")
}

func TestWire_TheVaultsOwnRefusals(t *testing.T) {
	for inner, want := range map[string]string{
		"ForbiddenByFirewall":   "the firewall of vault contoso keeps the operator out: allow its address there, or reach the vault by a private endpoint",
		"ForbiddenByConnection": "the firewall of vault contoso keeps the operator out: allow its address there, or reach the vault by a private endpoint",
		"ForbiddenByRbac":       "vault contoso does not let application  use secret partner: give the application the role  on it",
		"SecretDisabled":        "secret partner in vault contoso is disabled: enable it, or name another",
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"code":"Forbidden","message":"canary","innererror":{"code":"`+inner+`"}}}`)
		})
		flaw, ok := errors.AsType[*credential.Defect](ask(t, s, s.URL))
		if !ok || flaw.Text != want || flaw.Passing {
			t.Errorf("%s: got %v", inner, flaw)
		}
	}
}

// What the way to the vault has to say of proxies and certificates names the mending step, and
// must not pass for a failure of the login host.
func TestWire_FailuresOnTheWay(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	q := question{at: cloud.Vault{URL: s.URL}, vault: "contoso"}
	for reason, test := range map[string]struct {
		cure    token.Cure
		passing bool
		want    string
	}{
		"TLSUntrusted":     {token.ByPoll, false, "TLSUntrusted"},
		"ProxyRefused":     {token.ByPoll, false, "ProxyRefused"},
		"AnswerInvalid":    {token.ByRetry, true, "AnswerInvalid"},
		"EntraUnavailable": {token.ByRetry, true, "VaultUnavailable"},
	} {
		flaw := q.unreachable(&token.Fault{Reason: reason, Message: "A sentence.", Cure: test.cure, Scope: token.ScopeHost, Cause: context.Canceled})
		_, inherited := errors.AsType[*token.Fault](flaw)
		if flaw.Reason != test.want || flaw.Passing != test.passing || inherited || !errors.Is(flaw, context.Canceled) {
			t.Errorf("%s: got %+v", reason, flaw)
		}
	}
}

func TestKeyOf(t *testing.T) {
	if name, version, ok := keyOf("https://contoso.vault.azure.net/keys/partner/0123abcd"); name != "partner" || version != "0123abcd" || !ok {
		t.Errorf("got %s, %s, %v", name, version, ok)
	}
	for _, address := range []string{
		"", "partner", "https://contoso.vault.azure.net/keys/partner", "https://contoso.vault.azure.net/secrets/partner/1",
		"https://contoso.vault.azure.net/keys/../1", "https://contoso.vault.azure.net/keys/a/b/c", "https://c/keys/a%2fb/1", "https://c/keys/%zz/1",
	} {
		if name, version, ok := keyOf(address); ok {
			t.Errorf("%s: got %s, %s", address, name, version)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestWire_WaitsTenSecondsAndNoLonger(t *testing.T) {
	for name, hang := range map[string]transport{
		"for an answer": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"for the rest of it": func(r *http.Request) (*http.Response, error) {
			body, w := io.Pipe()
			context.AfterFunc(r.Context(), func() { _ = w.CloseWithError(r.Context().Err()) })
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := question{at: cloud.Vault{URL: "https://contoso.vault.azure.net"}, vault: "contoso"}
			request, err := http.NewRequestWithContext(withQuestion(t.Context(), q), http.MethodGet, q.at.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = (&wire{transport: hang}).Do(request)
			flaw, ok := errors.AsType[*credential.Defect](err)
			if !ok || flaw.Reason != "VaultUnavailable" || !flaw.Passing || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v", name, err)
			}
			if waited := time.Since(began); waited != 10*time.Second {
				t.Errorf("%s: waited %v", name, waited)
			}
		})
	}
}
