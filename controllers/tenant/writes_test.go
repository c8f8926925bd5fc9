package tenant_test

import (
	"net/http"
	"strings"
	"sync"
)

// writeCounter counts the writes of the operator at its connection to the API server.
type writeCounter struct {
	mu      sync.Mutex
	secrets int
	status  int
	others  []string
}

func (c *writeCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		c.count(req)
		return next.RoundTrip(req)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// isQuestion tells whether a POST only asks for the operator's own rights.
func isQuestion(req *http.Request) bool {
	return strings.HasSuffix(req.URL.Path, "/selfsubjectaccessreviews")
}

func (c *writeCounter) count(req *http.Request) {
	if req.Method == http.MethodGet || strings.Contains(req.URL.Path, "/events") || isQuestion(req) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case strings.Contains(req.URL.Path, "/secrets"):
		c.secrets++
	case strings.Contains(req.URL.Path, "/defendertenants/") && strings.HasSuffix(req.URL.Path, "/status"):
		c.status++
	case strings.Contains(req.URL.Path, "/defenderapps/"):
	default:
		c.others = append(c.others, req.Method+" "+req.URL.Path)
	}
}

// totals are the writes so far: to Secrets, and to the status of DefenderTenants.
func (c *writeCounter) totals() (secrets, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secrets, c.status
}
