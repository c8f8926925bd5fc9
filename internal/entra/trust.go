package entra

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

const (
	// rereadAfter is how often the CA bundle is looked at, at most.
	rereadAfter = 3 * time.Second
	// maxBundle is twenty times all of Mozilla's roots.
	maxBundle = 4 << 20

	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	// idleTimeout is short because the buffers of a connection keep the last answer that came
	// over it, and with it a token, for as long as it is open.
	idleTimeout = 10 * time.Second
	// As many as ask at the same time: a burst of renewals makes no new handshakes.
	idlePerHost = 64
	maxHeader   = 64 << 10
	// With HTTP/2 all requests share one connection. A half-open one is found by these pings
	// and not by every tenant's deadline.
	pingAfter   = 10 * time.Second
	pingTimeout = 5 * time.Second
)

// trust holds the transport with the roots that are trusted now.
type trust struct {
	path  string
	now   func() time.Time
	proxy func(*http.Request) (*url.URL, error)

	mu      sync.Mutex
	digest  [sha256.Size]byte
	readAt  time.Time
	current *http.Transport
}

func newTrust(o Options) (*trust, error) {
	t := &trust{path: o.CABundle, now: o.Now, proxy: o.Proxy, readAt: o.Now()}
	bundle, err := t.read()
	if err != nil {
		return nil, err
	}
	roots, err := roots(bundle)
	if err != nil {
		return nil, err
	}
	t.digest, t.current = sha256.Sum256(bundle), t.build(roots)
	return t, nil
}

// transport is the one to use now. New roots take a new transport: connections that were
// made under the old ones are not used again.
func (t *trust) transport() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path == "" || !t.due() {
		return t.current
	}
	bundle, err := t.read()
	if err != nil {
		return t.current // in the middle of an exchange of the file; what worked stays
	}
	digest := sha256.Sum256(bundle)
	if digest == t.digest {
		return t.current
	}
	roots, err := roots(bundle)
	if err != nil {
		return t.current
	}
	t.current.CloseIdleConnections()
	t.digest, t.current = digest, t.build(roots)
	return t.current
}

// RoundTrip sends a request over the transport to use now, and puts the failure to do so
// into a sentence.
func (t *trust) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.transport().RoundTrip(r)
	if err != nil {
		return nil, (&call{host: r.URL.Host}).classifyFailure(ended(r.Context(), err))
	}
	return response, nil
}

// due needs mu. A clock that was set back makes it due as well.
func (t *trust) due() bool {
	now := t.now()
	if since := now.Sub(t.readAt); since >= 0 && since < rereadAfter {
		return false
	}
	t.readAt = now
	return true
}

func (t *trust) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.CloseIdleConnections()
}

func (t *trust) read() ([]byte, error) {
	if t.path == "" {
		return nil, nil
	}
	file, err := os.Open(t.path)
	if err != nil {
		return nil, fmt.Errorf("open CA bundle: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	bundle, err := io.ReadAll(io.LimitReader(file, maxBundle+1))
	if err != nil {
		return nil, fmt.Errorf("read CA bundle: %w", err)
	}
	if len(bundle) > maxBundle {
		return nil, fmt.Errorf("read CA bundle: %s is larger than %d bytes", t.path, maxBundle)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("read CA bundle: %s holds no PEM certificate", t.path)
	}
	return bundle, nil
}

// roots are the system's, and the bundle's besides.
func roots(bundle []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		if len(bundle) == 0 {
			return nil, fmt.Errorf("read the system's CA certificates: %w", err)
		}
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(bundle)
	return pool, nil
}

func (t *trust) build(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy:                  t.proxy,
		OnProxyConnectResponse: refusedByProxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    handshakeTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		// A compressed answer could be small on the wire and large in memory. Without this the
		// transport would ask for one.
		DisableCompression: true,
	}
}

// proxyRefusal is a proxy's answer to CONNECT.
type proxyRefusal struct{ status int }

func (p *proxyRefusal) Error() string { return fmt.Sprintf("the proxy answered HTTP %d", p.status) }

func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyRefusal{status: answer.StatusCode}
}
