package entra_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/defender-tenant/operator/test/entra"
)

func TestDownRefusesConnectionsAndComesBackOnTheSamePort(t *testing.T) {
	w := start(t)
	before := w.URL()
	w.token(contoso)
	w.Down(true)
	w.Down(true)
	if _, err := w.do(http.MethodGet, "/"+contoso+"/discovery/keys", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("want connection refused, got %v", err)
	}
	w.Down(false)
	w.Down(false)
	if w.URL() != before {
		t.Fatalf("the address changed from %s to %s", before, w.URL())
	}
	w.token(contoso)
}

func TestTheAPIsCanOutliveSignIn(t *testing.T) {
	e, err := entra.Start(entra.Options{APIAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.URL() == e.APIURL() {
		t.Fatal("there is one address only")
	}
	e.Down(true)
	w := &world{Emulator: e, t: t, client: e.HTTPClient()}
	if r := w.must(http.MethodGet, e.APIURL()+"/api/incidents", nil); r.StatusCode != http.StatusUnauthorized {
		t.Fatalf("want 401 without a token, got %d", r.StatusCode)
	}
}

func TestRealHostNamesReachTheEmulator(t *testing.T) {
	w := start(t)
	r := w.must(http.MethodGet, "https://login.microsoftonline.com/"+contoso+"/v2.0/.well-known/openid-configuration", nil)
	if got := r.object(t)["token_endpoint"]; got != "https://login.microsoftonline.com/"+contoso+"/oauth2/v2.0/token" {
		t.Errorf("token endpoint %v", got)
	}
	token := w.token(contoso)
	api := w.must(http.MethodGet, "https://api.security.microsoft.com/api/incidents", nil, "Authorization", "Bearer "+token)
	if api.StatusCode != http.StatusOK {
		t.Errorf("API under its own name: %d %s", api.StatusCode, api.body)
	}
}

func TestStrangersDoNotTrustTheEmulator(t *testing.T) {
	w := start(t)
	_, err := http.DefaultClient.Get(w.URL())
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); !untrusted {
		t.Fatalf("want an untrusted certificate, got %v", err)
	}
}

func TestOutagesMayComeWhileClientsAsk(t *testing.T) {
	w := start(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				// Some of these fail, as they should.
				_, _ = w.do(http.MethodPost, "/"+contoso+"/oauth2/v2.0/token", form())
			}
		})
	}
	for range 5 {
		w.Down(true)
		w.Down(false)
	}
	group.Wait()
	w.token(contoso)
}

func TestFurtherHostsAreInTheCertificate(t *testing.T) {
	e, err := entra.Start(entra.Options{Hosts: []string{"entra.soc.svc", "10.0.0.7"}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	transport, ok := e.HTTPClient().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the client has another transport")
	}
	for _, host := range []string{"entra.soc.svc", "10.0.0.7", "::1", "aea.api.security.microsoft.com"} {
		settings := transport.TLSClientConfig.Clone()
		settings.ServerName = host
		dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: settings}
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(e.URL(), "https://"))
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		_ = conn.Close()
	}
}
