package chaos

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

const loginHost = "login.microsoftonline.com"

// webProxy stands between the operator and Entra ID, as in a company's network. It leads to the emulator
// whatever the host.
type webProxy struct {
	*httptest.Server
	sc      *scene
	connect atomic.Pointer[func(http.ResponseWriter, *http.Request)]

	mu      sync.Mutex
	tunnels []net.Conn
}

// newWebProxy starts a proxy that lets everything through.
func (sc *scene) newWebProxy() *webProxy {
	sc.t.Helper()
	p := &webProxy{sc: sc}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*p.connect.Load())(w, r) }))
	sc.t.Cleanup(p.Close)
	p.permit()
	return p
}

// behindProxy restarts the operator with a proxy and with Microsoft's own login host.
func (sc *scene) behindProxy(proxy string) {
	sc.t.Helper()
	sc.replace([]string{"HTTPS_PROXY=" + proxy}, "--authority-url=")
}

func (p *webProxy) behave(connect func(http.ResponseWriter, *http.Request)) {
	p.connect.Store(&connect)
}

// permit lets the operator through to the emulator.
func (p *webProxy) permit() {
	p.behave(func(w http.ResponseWriter, _ *http.Request) {
		target, err := url.Parse(p.sc.entra.URL())
		if err != nil {
			panic(err)
		}
		server, err := net.Dial("tcp", target.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		client := p.open(w)
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
}

// refuse answers CONNECT with a status and a page.
func (p *webProxy) refuse(status int) {
	p.behave(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="`+canary+`"`)
		http.Error(w, "<html>"+canary, status)
	})
}

// intercept opens the TLS connection with a certificate of its own and answers with a handler.
func (p *webProxy) intercept(config *tls.Config, handler http.Handler) {
	p.behave(func(w http.ResponseWriter, _ *http.Request) {
		conn := tls.Server(p.open(w), config)
		listener := &once{conn: make(chan net.Conn, 1)}
		listener.conn <- conn
		server := &http.Server{Handler: handler}
		_ = server.Serve(listener)
	})
}

// open takes the connection after saying yes to CONNECT.
func (p *webProxy) open(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tunnels = append(p.tunnels, conn)
	_, _ = fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	return conn
}

// cut ends what goes through the proxy, so that the next request has to connect anew.
func (p *webProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.tunnels {
		_ = conn.Close()
	}
	p.tunnels = nil
}

// once is a listener with a single connection.
type once struct {
	conn chan net.Conn
	last atomic.Bool
}

// Accept gives the connection, then an end.
func (o *once) Accept() (net.Conn, error) {
	if o.last.Swap(true) {
		return nil, io.EOF
	}
	return <-o.conn, nil
}

// Close does nothing: the connection is served still.
func (o *once) Close() error { return nil }

// Addr is nobody's.
func (o *once) Addr() net.Addr { return &net.TCPAddr{} }

// says checks that the sentence of the last failure has all that helps.
func (sc *scene) says(i int, parts ...string) {
	sc.t.Helper()
	failure := sc.failure(i)
	if failure == nil {
		sc.t.Error("there is no failure")
		return
	}
	for _, part := range parts {
		if !strings.Contains(failure.Message, part) {
			sc.t.Errorf("the sentence does not have %q: %s", part, failure.Message)
		}
	}
}
