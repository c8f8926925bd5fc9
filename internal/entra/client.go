package entra

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	defaultTimeout = 10 * time.Second
	// defaultRate is far above what ten thousand tenants need. Microsoft publishes no limit,
	// and a 429 costs a minute.
	defaultRate = 50
	// patience bounds one call with its wait for the limiter. MSAL would put 30 seconds there,
	// too little when thousands of tenants start at once; a single request ends much sooner.
	patience = 10 * time.Minute
)

// Options say how Entra ID is reached. The zero value is a good default.
type Options struct {
	// Catalog knows the login hosts. Requests go nowhere else.
	Catalog cloud.Catalog
	// RequestsPerSecond bounds all requests to one login host. Default 50; as many may come at once.
	RequestsPerSecond float64
	// CABundle is a PEM file with certificates to trust besides the system's. It is read again
	// when it changes.
	CABundle string
	// Now is the operator's clock. Default the real one.
	Now func() time.Time
	// Proxy chooses the proxy of a request. Default the environment's.
	Proxy func(*http.Request) (*url.URL, error)
	// Discovering is called with the login host for each request besides the token requests
	// themselves, so that whoever paces those can count it; it may be nil.
	Discovering func(host string)
	// Timeout bounds each HTTP request with its answer, but not its wait for the limiter.
	// Default 10 s.
	Timeout time.Duration
}

// Client gets tokens from Entra ID. It may be used from several goroutines.
type Client struct {
	catalog cloud.Catalog
	clients *clients
}

// New makes a Client. It fails if the CA bundle cannot be used or the rate is no rate.
func New(o Options) (*Client, error) {
	if o.Now == nil {
		o.Now = clock.RealClock{}.Now
	}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.Discovering == nil {
		o.Discovering = func(string) {}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.RequestsPerSecond == 0 {
		o.RequestsPerSecond = defaultRate
	}
	if !(o.RequestsPerSecond > 0) || math.IsInf(o.RequestsPerSecond, 0) {
		return nil, fmt.Errorf("requests per second must be positive, not %v", o.RequestsPerSecond)
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("the timeout must be positive, not %v", o.Timeout)
	}
	trusted, err := newTrust(o)
	if err != nil {
		return nil, err
	}
	limiters := map[string]*rate.Limiter{}
	for _, host := range o.Catalog.Hosts() {
		limiters[host] = rate.NewLimiter(rate.Limit(o.RequestsPerSecond), int(max(1, o.RequestsPerSecond)))
	}
	wire := &line{now: o.Now, discovering: o.Discovering, timeout: o.Timeout, limiters: limiters, trust: trusted}
	return &Client{catalog: o.Catalog, clients: &clients{line: wire, held: map[slot]version{}}}, nil
}

// Acquire asks for one token. It costs one request, and one more for the first token of a
// tenant with a credential. The error is always a *token.Fault.
//
// Calls for the same tenant that start at once share the first of these requests, so that
// one of them may have to wait for the other's whatever its own context says.
func (c *Client) Acquire(ctx context.Context, want token.Request) (token.Issued, error) {
	login := c.catalog.Login(want.Cloud)
	asked, ok := newCall(login.Host(), want)
	if !ok {
		return token.Issued{}, asked.fault(unaskable(), nil)
	}
	client, err := c.clients.forRequest(login, want)
	if err != nil {
		return token.Issued{}, asked.fault(credentialUnusable(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result, err := client.AcquireTokenByCredential(withCall(ctx, asked),
		[]string{want.Resource + "/.default"}, confidential.WithTenantID(asked.tenantID))
	if err != nil {
		return token.Issued{}, asked.explain(err)
	}
	if asked.answer == nil { // MSAL took the token from somewhere else
		return token.Issued{}, asked.fault(answerInvalid(), errNoAnswer)
	}
	return token.Issued{
		Token:      redacted.New(result.AccessToken),
		Lifetime:   asked.answer.lifetime,
		ReceivedAt: asked.answer.receivedAt,
		ServerTime: asked.answer.serverTime,
		TraceID:    asked.answer.traceID,
	}, nil
}

var (
	errNoAnswer = errors.New("a token came without an answer of the login host")
	errLibrary  = errors.New("the library refused an answer of the login host, or could not sign")
)

// explain finds the fault that the line reported through MSAL. MSAL's own errors can hold
// parts of answers and requests, so that they end here.
func (c *call) explain(err error) *token.Fault {
	if fault, ok := errors.AsType[*token.Fault](err); ok {
		// Calls that shared a request share its fault too; a caller may change what it gets.
		own := *fault
		return &own
	}
	return c.fault(answerInvalid(), errLibrary)
}
