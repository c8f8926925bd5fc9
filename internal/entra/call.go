package entra

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
)

// guid is the form of tenant and application IDs, and of Entra ID's trace IDs.
var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// call is what one Acquire is about. It travels with the context through MSAL, and each
// request is measured by it.
type call struct {
	host, tenantID, clientID, resource string
	credential                         credential.Credential
	// answer is set when a good token answer has come. MSAL sends the token request in the
	// goroutine of the call, so nobody else looks at it meanwhile.
	answer *answer
}

// answer is what a good token answer says besides the token.
type answer struct {
	lifetime   time.Duration
	receivedAt time.Time
	serverTime time.Time
	traceID    string
}

// newCall is not ok for a request that must not be sent. An empty tenant would mean the
// application's own one to Entra ID, and a tenant with a slash another path.
func newCall(host string, want token.Request) (*call, bool) {
	c := &call{host: host, tenantID: "unknown", clientID: "unknown", resource: "unknown", credential: want.Credential}
	if !guid.MatchString(want.TenantID) || !guid.MatchString(want.ClientID) {
		return c, false
	}
	c.tenantID, c.clientID = strings.ToLower(want.TenantID), want.ClientID
	if !plainResource(want.Resource) {
		return c, false
	}
	c.resource = want.Resource
	return c, true
}

// plainResource tells whether a resource can stand in a scope: MSAL joins scopes with blanks.
func plainResource(resource string) bool {
	return resource != "" && strings.IndexFunc(resource, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) (*call, bool) {
	c, ok := ctx.Value(callKey{}).(*call)
	return c, ok
}

// purpose is what a request is for.
type purpose int

const (
	forbidden purpose = iota
	configuration
	tokenRequest
)

// errForbidden is the cause when a request was not sent.
var errForbidden = errors.New("the request would have left the login host or the tenant and was not sent")

// purposeOf allows exactly two requests: the tenant's configuration and its token endpoint.
func (c *call) purposeOf(method string, u *url.URL) purpose {
	if u.Scheme != "https" || !sameHost(u.Host, c.host) || u.User != nil || u.Opaque != "" {
		return forbidden
	}
	path := strings.ToLower(u.EscapedPath())
	switch {
	case method == http.MethodGet && path == "/"+c.tenantID+"/v2.0/.well-known/openid-configuration":
		return configuration
	case method == http.MethodPost && path == "/"+c.tenantID+"/oauth2/v2.0/token" && u.RawQuery == "":
		return tokenRequest
	default:
		return forbidden
	}
}

func sameHost(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, ":443"), strings.TrimSuffix(b, ":443"))
}

// fault makes a verdict speak of this call.
func (c *call) fault(v Verdict, cause error) *token.Fault {
	fault := &token.Fault{
		Reason: v.Reason, Message: c.name(v.Message), Actor: v.Actor, Cure: v.Cure, Scope: v.Scope, After: v.After,
		Unsent: v.Unsent, Cause: cause,
	}
	if v.InMany != nil {
		fault.InMany = c.fault(*v.InMany, nil)
	}
	return fault
}

// name fills in what a sentence is about. All of it comes from the operator's own objects.
func (c *call) name(sentence string) string {
	return strings.NewReplacer("{tenant}", c.tenantID, "{client}", c.clientID, "{resource}", c.resource, "{host}", c.host,
		"{presents}", c.presents()).Replace(sentence)
}

// presents is what Entra ID had to compare, for who has to compare it too.
func (c *call) presents() string {
	if c.credential.Presents == "" {
		return ""
	}
	return " The operator presents " + c.credential.Presents + "."
}
