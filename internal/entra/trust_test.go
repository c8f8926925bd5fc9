package entra

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
	emulator "github.com/defender-tenant/operator/test/entra"
)

func nothing() http.Handler { return http.NotFoundHandler() }

func TestUntrustedServersGetNothing(t *testing.T) {
	t.Parallel()
	known, unknown := newAuthority(t, "Known CA"), newAuthority(t, "Corp Proxy CA")
	inAnHour := time.Now().Add(time.Hour)
	old := func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }
	cases := map[string]struct {
		url  string
		says []string
	}{
		"unknown authority": {serve(t, unknown.issue(t, "", inAnHour), nothing()), []string{`"Corp Proxy CA"`, "--ca-bundle"}},
		"another host":      {serve(t, known.issue(t, "other.example", inAnHour), nothing()), []string{`"Known CA"`, "another host"}},
		"expired":           {serve(t, known.issue(t, "", time.Now().Add(-time.Minute)), nothing()), []string{`"Known CA"`, "not valid now"}},
		"TLS 1.1":           {serve(t, known.issue(t, "", inAnHour), nothing(), old), []string{"TLS 1.2"}},
	}
	plain := httptest.NewServer(nothing())
	t.Cleanup(plain.Close)
	cases["no TLS"] = struct {
		url  string
		says []string
	}{strings.Replace(plain.URL, "http:", "https:", 1), []string{"TLS 1.2"}}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			fault := refuse(t, clientAt(t, c.url, known.pem), ask(t), v1alpha1.ReasonTLSUntrusted)
			if fault.Actor != token.ActorPlatform {
				t.Errorf("%+v", fault)
			}
			for _, word := range append(c.says, strings.TrimPrefix(c.url, "https://")) {
				if !strings.Contains(fault.Message, word) {
					t.Errorf("%q does not say %q", fault.Message, word)
				}
			}
		})
	}
}

func TestBundleIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	var mu sync.Mutex
	now := time.Now()
	step := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	other := newAuthority(t, "Other CA")
	bundle := writeFile(t, other.pem)
	rewrite := func(data []byte) {
		if err := os.WriteFile(bundle, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := clientOf(t, e, func(o *Options) {
		o.CABundle = bundle
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	refuse(t, c, ask(t), v1alpha1.ReasonTLSUntrusted)

	rewrite(append(slices.Clone(other.pem), e.CAPEM()...))
	step(rereadAfter)
	acquire(t, c, ask(t))

	rewrite([]byte("half of a fi")) // somebody is writing
	step(rereadAfter)
	acquire(t, c, ask(t))
	if err := os.Remove(bundle); err != nil {
		t.Fatal(err)
	}
	step(rereadAfter)
	acquire(t, c, ask(t))

	rewrite(other.pem) // no longer trusted: the open connection must not live on
	step(-time.Hour)   // not even with a clock that was set back
	refuse(t, c, ask(t), v1alpha1.ReasonTLSUntrusted)
}

func TestProxyThatRefusesIsToldFromEntra(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	cases := map[int]string{
		407: v1alpha1.ReasonProxyRefused, 403: v1alpha1.ReasonProxyRefused, 404: v1alpha1.ReasonProxyRefused,
		502: v1alpha1.ReasonEntraUnavailable, 503: v1alpha1.ReasonEntraUnavailable,
	}
	for status, reason := range cases {
		proxy := proxyThat(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Proxy-Authenticate", "Basic realm="+canary)
			w.WriteHeader(status)
		})
		c := clientOf(t, e, func(o *Options) { o.Proxy = http.ProxyURL(proxy) })
		refuse(t, c, ask(t), reason)
	}
	t.Run("that is down", func(t *testing.T) {
		down := &url.URL{Scheme: "http", Host: "127.0.0.1:1", User: url.UserPassword("operator", canary)}
		c := clientOf(t, e, func(o *Options) { o.Proxy = http.ProxyURL(down) })
		refuse(t, c, ask(t), v1alpha1.ReasonEntraUnavailable)
	})
	if got := e.Requests(); len(got) != 0 {
		t.Errorf("sent: %+v", got)
	}
}

// Through a proxy the emulator answers under the real names.
func TestEachCloudHasItsHostAndNoOther(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	var mu sync.Mutex
	var hosts []string
	proxy := proxyTo(t, strings.TrimPrefix(e.URL(), "https://"), func(host string) {
		mu.Lock()
		defer mu.Unlock()
		hosts = append(hosts, host)
	})
	c, err := New(Options{CABundle: writeFile(t, e.CAPEM()), Proxy: http.ProxyURL(proxy)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.clients.line.CloseIdleConnections)
	for _, cloud := range []v1alpha1.Cloud{v1alpha1.CloudPublic, v1alpha1.CloudUSGovernment, v1alpha1.CloudChina} {
		acquire(t, c, ask(t, func(r *token.Request) { r.Cloud = cloud }))
	}
	want := []string{"login.microsoftonline.com:443", "login.microsoftonline.us:443", "login.partner.microsoftonline.cn:443"}
	if !slices.Equal(hosts, want) {
		t.Errorf("connected to %v, want %v", hosts, want)
	}
	if got := len(e.Requests()); got != 6 || e.CountRequests(emulator.Discovery, "") != 0 {
		t.Errorf("%d requests, want a configuration and a token for each", got)
	}
}

func TestTransportIsHardened(t *testing.T) {
	t.Parallel()
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	transport := c.clients.line.trust.transport()
	if transport.TLSClientConfig.MinVersion != tls.VersionTLS12 || transport.TLSClientConfig.InsecureSkipVerify {
		t.Error("TLS is not as strict as it must be")
	}
	if !transport.DisableCompression || !transport.ForceAttemptHTTP2 || transport.MaxIdleConnsPerHost != 64 ||
		transport.IdleConnTimeout != 10*time.Second || transport.MaxResponseHeaderBytes != 64<<10 ||
		transport.TLSHandshakeTimeout != 5*time.Second || transport.Proxy == nil {
		t.Errorf("%+v", transport)
	}
	if c.clients.line.timeout != 10*time.Second {
		t.Errorf("a request may take %v", c.clients.line.timeout)
	}
}

func TestRequestsOutsideOfACallAreNotSent(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	ca := newAuthority(t, "test CA")
	address := serve(t, ca.issue(t, "", time.Now().Add(time.Hour)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	line := clientAt(t, address, ca.pem).clients.line
	host := strings.TrimPrefix(address, "https://")
	asked := &call{host: host, tenantID: testTenant, clientID: testApp}
	elsewhere := &call{host: "login.example", tenantID: testTenant, clientID: testApp}
	for name, c := range map[string]struct {
		call        *call
		method, url string
	}{
		"without a call":      {nil, http.MethodGet, address + "/" + testTenant + "/v2.0/.well-known/openid-configuration"},
		"instance discovery":  {asked, http.MethodGet, address + "/common/discovery/instance"},
		"another tenant":      {asked, http.MethodGet, address + "/" + testApp + "/v2.0/.well-known/openid-configuration"},
		"another method":      {asked, http.MethodDelete, address + "/" + testTenant + "/oauth2/v2.0/token"},
		"host of no cloud":    {elsewhere, http.MethodPost, "https://login.example/" + testTenant + "/oauth2/v2.0/token"},
		"another port":        {asked, http.MethodPost, "https://127.0.0.1:1/" + testTenant + "/oauth2/v2.0/token"},
		"body to the GET URL": {asked, http.MethodPost, address + "/" + testTenant + "/v2.0/.well-known/openid-configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if c.call != nil {
				ctx = withCall(ctx, c.call)
			}
			r, err := http.NewRequestWithContext(ctx, c.method, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := line.Do(r)
			if err == nil {
				_ = response.Body.Close()
				t.Error("it was sent")
			}
		})
	}
	if got := hits.Load(); got != 0 {
		t.Errorf("%d requests arrived", got)
	}
}
