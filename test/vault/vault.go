package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

// Right is one thing that an application may be allowed.
type Right string

// The rights, each as its role gives it.
const (
	Read Right = "Microsoft.KeyVault/vaults/certificates/read"        // Key Vault Reader
	Sign Right = "Microsoft.KeyVault/vaults/keys/sign/action"         // Key Vault Crypto User
	Get  Right = "Microsoft.KeyVault/vaults/secrets/getSecret/action" // Key Vault Secrets User
)

// Options say what the vault belongs to.
type Options struct {
	// Entra issues the tokens, lends its trust root and its clock.
	Entra *entra.Emulator
	// TenantID is the one tenant whose tokens are accepted.
	TenantID string
	// Marker is a canary that every error body carries.
	Marker string
}

// Request is what the vault was asked.
type Request struct {
	Method, Path string
	ClientID     string // empty without a good token
	Status       int
}

// Emulator is one running vault.
type Emulator struct {
	options Options
	address string

	mu       sync.Mutex
	server   *httptest.Server // nil while it is down
	rights   map[string][]Right
	objects  map[string]*object // by kind/name
	failures []int              // statuses of the next answers
	hold     *hold
	requests []Request
}

// Start listens and serves until Close.
func Start(o Options) (*Emulator, error) {
	e := &Emulator{options: o, rights: map[string][]Right{}, objects: map[string]*object{}}
	return e, e.Down(false)
}

// Close ends the emulator.
func (e *Emulator) Close() { _ = e.Down(true) }

// URL is the vault's base, without a trailing slash.
func (e *Emulator) URL() string { return "https://" + e.address }

// Down starts an outage, in which connections are refused, or ends it on the same port.
func (e *Emulator) Down(down bool) error {
	if down {
		e.mu.Lock()
		server := e.server
		e.server = nil
		e.mu.Unlock()
		if server != nil { // its handlers need mu to end
			server.CloseClientConnections()
			server.Close()
		}
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", cmp.Or(e.address, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	if e.address == "" { // it never changes again
		e.address = listener.Addr().String()
	}
	e.server = httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	_ = e.server.Listener.Close() // its own, on another port
	e.server.Listener = listener
	e.server.TLS = &tls.Config{Certificates: []tls.Certificate{e.options.Entra.Certificate()}, MinVersion: tls.VersionTLS12}
	e.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.server.StartTLS()
	return nil
}

// Allow gives an application rights, and takes all others from it.
func (e *Emulator) Allow(clientID string, rights ...Right) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rights[strings.ToLower(clientID)] = rights
}

// Fail makes the next times answers an error with this status.
func (e *Emulator) Fail(status, times int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures = slices.Repeat([]int{status}, times)
}

// Hold makes all answers wait until release is called. arrived gets something for each request that waits.
func (e *Emulator) Hold() (arrived <-chan struct{}, release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := &hold{arrived: make(chan struct{}, 1000), end: make(chan struct{})}
	e.hold = h
	return h.arrived, sync.OnceFunc(func() {
		e.mu.Lock()
		e.hold = nil
		e.mu.Unlock()
		close(h.end)
	})
}

// hold is a time in which answers wait.
type hold struct{ arrived, end chan struct{} }

// Requests are all that came, oldest first.
func (e *Emulator) Requests() []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.requests)
}

func (e *Emulator) now() time.Time { return e.options.Entra.Now() }
