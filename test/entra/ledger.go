package entra

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind is what a request is about.
type Kind string

// The kinds of request.
const (
	Discovery           Kind = "discovery"            // which clouds and hosts there are
	OpenIDConfiguration Kind = "openid-configuration" // the endpoints of one tenant
	Token               Kind = "token"                // a token request, of either version
	Consent             Kind = "consent"              // an administrator's consent page, shown or answered
	API                 Kind = "api"                  // a call to a Defender API or Graph
	JWKS                Kind = "jwks"                 // the signing keys
	Other               Kind = "other"                // a path that the emulator does not serve
)

// Request is one request as it arrived, and how it was answered. It holds no secret and no query.
type Request struct {
	Time            time.Time `json:"time"`
	Method          string    `json:"method"`
	Path            string    `json:"path"`
	Tenant          string    `json:"tenant,omitempty"` // as in the path, lower case; for an API that of the token
	Kind            Kind      `json:"kind"`
	Status          int       `json:"status"`         // 0: not answered (yet), or reset
	Code            int       `json:"code,omitempty"` // AADSTS code, 0 for none
	ClientID        string    `json:"clientID,omitempty"`
	Resource        string    `json:"resource,omitempty"`   // as it was asked for
	Credential      string    `json:"credential,omitempty"` // "secret", "certificate <x5t#S256>" or "federated": what was accepted
	ClientRequestID string    `json:"clientRequestID,omitempty"`
}

// IssuedToken is what the emulator knows of a token that it sent, or tried to send.
type IssuedToken struct {
	UTI     string    `json:"uti"`
	Tenant  string    `json:"tid"`
	Aud     string    `json:"aud"`
	AppID   string    `json:"appid"`
	Roles   []string  `json:"roles,omitempty"`
	Issued  time.Time `json:"issued"` // by the clock, without back-dating
	Expires time.Time `json:"expires"`
	SHA256  string    `json:"sha256"` // of the token as sent, in hexadecimal
}

// ledger appends, and counts as it goes: counting never walks the entries.
type ledger struct {
	mu       sync.Mutex
	limit    int
	requests []Request
	tokens   []IssuedToken
	dropped  int // requests forgotten because of limit; entry numbers go on
	counts   counts
	changed  chan struct{} // closed at the next arrival; nil while nobody waits
}

type counts struct {
	kinds   map[Kind]int
	tenants map[faultLine]int
	codes   map[int]int
	tokens  int
}

func newLedger(limit int) *ledger {
	l := &ledger{limit: limit}
	l.reset()
	return l
}

func (l *ledger) reset() {
	l.dropped += len(l.requests)
	l.requests, l.tokens = nil, nil
	l.counts = counts{kinds: map[Kind]int{}, tenants: map[faultLine]int{}, codes: map[int]int{}}
}

// arrive notes a request before it is answered and returns its number.
func (l *ledger) arrive(r Request) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit > 0 && len(l.requests) >= 2*l.limit {
		l.dropped += l.limit
		l.requests = slices.Clone(l.requests[l.limit:])
	}
	l.requests = append(l.requests, r)
	l.counts.kinds[r.Kind]++
	l.counts.tenants[faultLine{r.Tenant, r.Kind}]++
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return l.dropped + len(l.requests) - 1
}

// finish adds what became of request n, unless it was forgotten.
func (l *ledger) finish(n int, r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.dropped {
		return
	}
	l.requests[n-l.dropped] = r
	if r.Code != 0 {
		l.counts.codes[r.Code]++
	}
}

func (l *ledger) issue(t IssuedToken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit > 0 && len(l.tokens) >= 2*l.limit {
		l.tokens = slices.Clone(l.tokens[l.limit:])
	}
	l.tokens = append(l.tokens, t)
	l.counts.tokens++
}

// count needs mu.
func (l *ledger) count(kind Kind, tenantID string) int {
	if tenantID == "" {
		return l.counts.kinds[kind]
	}
	return l.counts.tenants[faultLine{strings.ToLower(tenantID), kind}]
}

// Requests is a copy of the ledger's requests in order of arrival.
func (e *Emulator) Requests() []Request {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	return slices.Clone(e.ledger.requests)
}

// Tokens is a copy of the ledger's tokens in order of issue.
func (e *Emulator) Tokens() []IssuedToken {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	return slices.Clone(e.ledger.tokens)
}

// CountRequests counts the requests of a kind that arrived, for one tenant or, with no tenant, for all. Its cost does
// not depend on the size of the ledger.
func (e *Emulator) CountRequests(kind Kind, tenantID string) int {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	return e.ledger.count(kind, tenantID)
}

// CountTokens counts the tokens issued.
func (e *Emulator) CountTokens() int {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	return e.ledger.counts.tokens
}

// Await returns when at least n requests of the kind have arrived (see CountRequests), answered or not. Its error is
// that of ctx.
func (e *Emulator) Await(ctx context.Context, kind Kind, tenantID string, n int) error {
	l := e.ledger
	for {
		l.mu.Lock()
		if l.count(kind, tenantID) >= n {
			l.mu.Unlock()
			return nil
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ResetLedger forgets all requests, tokens and counts. Tokens stay good.
func (e *Emulator) ResetLedger() {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	e.ledger.reset()
}
