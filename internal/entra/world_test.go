package entra

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
	emulator "github.com/defender-tenant/operator/test/entra"
)

const (
	testSecret = "s3cret-canary-8842"
	xdr        = emulator.DefenderXDR
)

// startEmulator gives an Entra ID in which testTenant has consented to testApp.
func startEmulator(t *testing.T) *emulator.Emulator {
	t.Helper()
	e, err := emulator.Start(emulator.Options{Marker: canary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.RegisterApp(emulator.App{ClientID: testApp, Permissions: map[string][]string{xdr: {"Incident.Read.All"}}})
	e.AddSecret(testApp, testSecret, time.Time{})
	e.AddTenant(testTenant)
	e.Consent(testTenant, testApp)
	return e
}

// clientOf is a Client that reaches and trusts the emulator.
func clientOf(t *testing.T, e *emulator.Emulator, change ...func(*Options)) *Client {
	t.Helper()
	return clientAt(t, e.URL(), e.CAPEM(), change...)
}

func clientAt(t *testing.T, address string, ca []byte, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Catalog: catalogAt(t, address), RequestsPerSecond: 10000, CABundle: writeFile(t, ca)}
	for _, c := range change {
		c(&o)
	}
	client, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.clients.line.CloseIdleConnections)
	return client
}

func catalogAt(t *testing.T, address string) cloud.Catalog {
	t.Helper()
	catalog, err := cloud.NewCatalog(address)
	if err != nil {
		t.Fatal(err)
	}
	return catalog
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func secretCredential(t *testing.T, value string) credential.Credential {
	t.Helper()
	c, err := credential.FromSecret("secret", testApp, []byte(value), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask is the request of these tests; change adapts it.
func ask(t *testing.T, change ...func(*token.Request)) token.Request {
	t.Helper()
	want := token.Request{TenantID: testTenant, ClientID: testApp, Resource: xdr, Credential: secretCredential(t, testSecret)}
	for _, c := range change {
		c(&want)
	}
	return want
}

func acquire(t *testing.T, c *Client, want token.Request) token.Issued {
	t.Helper()
	issued, err := c.Acquire(t.Context(), want)
	if err != nil {
		t.Fatalf("%v (%v)", err, token.AsFault(err, "", "").Cause)
	}
	return issued
}

// refuse expects a fault, and that nothing secret is in it. The fault comes as a value, so
// that a test may leave it alone.
func refuse(t *testing.T, c *Client, want token.Request, reason string) token.Fault {
	t.Helper()
	_, err := c.Acquire(t.Context(), want)
	fault, ok := err.(*token.Fault) //nolint:errorlint // the contract is the fault itself
	if !ok {
		t.Fatalf("got %T %v, want a fault", err, err)
	}
	if fault.Reason != reason {
		t.Fatalf("got %v because of %v, want %s", fault, fault.Cause, reason)
	}
	checkClean(t, fault, canary, testSecret, "eyJ")
	return *fault
}

// authority is a certification authority for servers that are not the emulator.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a server certificate for a host name or, if it is empty, for 127.0.0.1.
func (a authority) issue(t *testing.T, host string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if host == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve starts an HTTPS server with the certificate.
func serve(t *testing.T, certificate tls.Certificate, handler http.Handler, change ...func(*tls.Config)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	for _, c := range change {
		c(s.TLS)
	}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// configurationOf answers the tenant's configuration with the given token endpoint, and
// counts everything else as a hit.
func configurationOf(issuer, endpoint func(r *http.Request) string, hits *atomic.Int32) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"issuer":"`+issuer(r)+`","authorization_endpoint":"https://`+r.Host+`/a","token_endpoint":"`+endpoint(r)+`"}`)
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	return mux
}

func ownIssuer(r *http.Request) string {
	return "https://" + r.Host + "/" + r.PathValue("tenant") + "/v2.0"
}

// proxyTo is an HTTP proxy that connects everybody to one address, whatever they ask for.
func proxyTo(t *testing.T, address string, asked func(host string)) *url.URL {
	t.Helper()
	return proxyThat(t, func(w http.ResponseWriter, r *http.Request) {
		asked(r.Host)
		there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", address)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		// The client may have sent the first of its bytes before the connection is ours.
		here, sent, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = there.Close()
			return
		}
		go func() { _, _ = io.Copy(there, sent); _ = there.Close() }()
		_, _ = io.Copy(here, there)
		_ = here.Close()
	})
}

func proxyThat(t *testing.T, handle http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.CloseClientConnections)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// signingCertificate is one for client assertions that ends after so long, with its key, as PEM.
func signingCertificate(t *testing.T, life time.Duration) (cert *x509.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "partner"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}
