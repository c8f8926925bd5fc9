package entra

import (
	"fmt"
	"html/template"
	"net/http"
	"time"
)

// Options says how an emulator runs. The zero value is a good default.
type Options struct {
	// Now is the emulator's clock: claims, expiry of secrets and tokens, the Date header, the ledger. Default time.Now.
	Now func() time.Time
	// LoginAddr is the TCP address to listen on. Default 127.0.0.1:0, any free port.
	LoginAddr string
	// APIAddr is a second address that answers the same and that Down leaves alone, for tests in which the APIs
	// outlive Entra ID. Default: none, LoginAddr serves both.
	APIAddr string
	// Hosts are further names and IP addresses that the server certificate covers, such as that of a Service.
	Hosts []string
	// Lifetime of tokens, from now to exp, in whole seconds. Default one hour; SetLifetime changes it.
	Lifetime time.Duration
	// Marker is a canary that every token, error body and authorization code carries, so that a test can scan logs
	// and objects for leaks. See Marks for how it looks inside a token.
	Marker string
	// NoBackDate makes iat and nbf the time of issue. Without it they lie 300 s before, as in real Defender tokens.
	NoBackDate bool
	// LedgerLimit is the least number of requests and of tokens that the ledger keeps; older ones may be forgotten,
	// counts are not. Default 0: all are kept.
	LedgerLimit int
}

// Emulator is one running Entra ID with the APIs it protects.
type Emulator struct {
	options  Options
	trust    *trust
	signer   *signer
	refusals map[int]refusal
	pages    *template.Template
	handler  http.Handler

	directory *directory
	faults    *faultBook
	ledger    *ledger
	outage    *outage

	login *door
	api   *door // nil when the login door serves both
	done  chan struct{}
}

// Start listens and serves until Close. Errors come from the listener, or from the source of randomness.
func Start(o Options) (*Emulator, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LoginAddr == "" {
		o.LoginAddr = "127.0.0.1:0"
	}
	if o.Lifetime == 0 {
		o.Lifetime = time.Hour
	}
	e := &Emulator{
		options:   o,
		directory: newDirectory(o.Lifetime),
		faults:    &faultBook{lines: map[faultLine]*faultQueue{}},
		ledger:    newLedger(o.LedgerLimit),
		outage:    &outage{},
		done:      make(chan struct{}),
	}
	if err := e.equip(); err != nil {
		return nil, err
	}
	return e, e.open()
}

// equip makes the keys and loads the data that never change.
func (e *Emulator) equip() (err error) {
	if e.trust, err = newTrust(e.options.Hosts); err != nil {
		return fmt.Errorf("make trust root: %w", err)
	}
	if e.signer, err = newSigner(); err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	if e.refusals, err = loadRefusals(); err != nil {
		return fmt.Errorf("load error codes: %w", err)
	}
	if e.pages, err = template.ParseFS(pageFiles, "pages/*.html"); err != nil {
		return fmt.Errorf("load pages: %w", err)
	}
	e.handler = e.routes()
	return nil
}

func (e *Emulator) open() error {
	login, err := openDoor(e.options.LoginAddr, e.trust.certificate, e.handler)
	if err != nil {
		return fmt.Errorf("listen for sign-in: %w", err)
	}
	e.login = login
	if e.options.APIAddr == "" {
		return nil
	}
	if e.api, err = openDoor(e.options.APIAddr, e.trust.certificate, e.handler); err != nil {
		e.login.shut()
		return fmt.Errorf("listen for the APIs: %w", err)
	}
	return nil
}

// Close ends the emulator. Hanging, delayed and dripping answers are released by it. It may be called once.
func (e *Emulator) Close() {
	close(e.done)
	e.login.shut()
	if e.api != nil {
		e.api.shut()
	}
}

// URL is the emulator's base, such as https://127.0.0.1:40123, without a trailing slash. Login, APIs and control share it.
func (e *Emulator) URL() string { return "https://" + e.login.address }

// APIURL is the base of the APIs. It equals URL unless Options.APIAddr asked for a second address.
func (e *Emulator) APIURL() string {
	if e.api == nil {
		return e.URL()
	}
	return "https://" + e.api.address
}

// Down starts an outage when true: the login address refuses connections and open ones break. False ends it, on the
// same port. It panics if the port was taken meanwhile and does not come free within five seconds.
func (e *Emulator) Down(down bool) {
	if down {
		e.login.shut()
		return
	}
	if err := e.login.reopen(); err != nil {
		panic(fmt.Sprintf("entra: end the outage: %v", err))
	}
}

// Now is the emulator's clock, for other emulators that share it.
func (e *Emulator) Now() time.Time { return e.options.Now() }
