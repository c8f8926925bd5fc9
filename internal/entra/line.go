package entra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"
)

// maxAnswer is more than ten times the largest answer of Entra ID.
const maxAnswer = 64 << 10

var (
	errTooLarge = errors.New("the answer is larger than 64 KiB")
	errEncoded  = errors.New("the answer is compressed, which was not asked for")
)

// line is the HTTP client that MSAL is given. It has no redirects, no cookies and no
// automatic decompression, because it knows none of them.
type line struct {
	now         func() time.Time
	discovering func(host string)
	timeout     time.Duration
	limiters    map[string]*rate.Limiter
	trust       *trust
}

// exchange is one request's outcome: an answer, or the failure to get one.
type exchange struct {
	failure    error
	status     int
	header     http.Header
	body       []byte
	receivedAt time.Time
}

// Do sends a request if the call of its context allows it. The error is a *token.Fault for
// everything but a good answer.
func (l *line) Do(r *http.Request) (*http.Response, error) {
	c, ok := callOf(r.Context())
	if !ok {
		return nil, errForbidden
	}
	purpose := c.purposeOf(r.Method, r.URL)
	if purpose == forbidden {
		return nil, c.fault(answerInvalid(), errForbidden)
	}
	limiter := l.limiters[c.host]
	if limiter == nil {
		return nil, c.fault(answerInvalid(), errForbidden)
	}
	if err := limiter.Wait(r.Context()); err != nil {
		return nil, c.waited(r.Context())
	}
	seen := l.send(r)
	if purpose == configuration {
		l.discovering(c.host)
		return l.configured(r, c, seen)
	}
	return answered(r, c, seen)
}

// CloseIdleConnections is part of what MSAL wants of an HTTP client.
func (l *line) CloseIdleConnections() { l.trust.closeIdle() }

// send reads the whole answer itself, so that the deadline covers its body too.
func (l *line) send(r *http.Request) exchange {
	ctx, cancel := context.WithTimeout(r.Context(), l.timeout)
	defer cancel()
	sent := r.Clone(ctx)
	sent.Header.Set("User-Agent", "defender-tenant-operator")
	response, err := l.trust.transport().RoundTrip(sent)
	if err != nil {
		return exchange{failure: ended(ctx, err)}
	}
	defer func() { _ = response.Body.Close() }() // everything of use has been read
	seen := exchange{status: response.StatusCode, header: response.Header}
	seen.body, seen.failure = read(response)
	seen.failure = ended(ctx, seen.failure)
	seen.receivedAt = l.now()
	return seen
}

func read(response *http.Response) ([]byte, error) {
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, errEncoded
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLarge
	}
	return body, err
}

// ended prefers what ended the context to what the network made of it.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// waited says why a request did not get its turn.
func (c *call) waited(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return c.classify(exchange{failure: err})
	}
	return c.fault(overOwnRate(), errors.New("no turn before the deadline"))
}

// configured hands the tenant's configuration on if it leads to where it must.
func (l *line) configured(r *http.Request, c *call, seen exchange) (*http.Response, error) {
	endpoint, ok := parseConfiguration(seen)
	if !ok {
		return nil, c.classify(seen)
	}
	if c.purposeOf(http.MethodPost, endpoint) == tokenRequest {
		return respond(r, seen.body), nil
	}
	if endpoint.Scheme == "https" && !sameHost(endpoint.Host, c.host) && l.knows(endpoint) {
		return nil, c.fault(otherCloud(), errors.New("the tenant's token endpoint is at the login host of another cloud"))
	}
	return nil, c.fault(answerInvalid(), errForbidden)
}

// knows tells whether a host is the login host of some cloud.
func (l *line) knows(u *url.URL) bool {
	for host := range l.limiters {
		if sameHost(u.Host, host) {
			return true
		}
	}
	return false
}

// answered notes what a good token answer says and hands on the token alone. MSAL is told
// that it ends at once: of what it holds for dead it keeps nothing, so that no other call
// can be served from memory between the emptying of the cache and the look into it.
func answered(r *http.Request, c *call, seen exchange) (*http.Response, error) {
	issued, ok := parseToken(seen)
	if !ok {
		return nil, c.classify(seen)
	}
	body, err := json.Marshal(map[string]any{"token_type": "Bearer", "access_token": issued.token.Reveal(), "expires_in": 1})
	if err != nil {
		return nil, c.fault(answerInvalid(), errLibrary)
	}
	c.answer = &answer{
		lifetime:   issued.lifetime,
		receivedAt: seen.receivedAt,
		serverTime: serverTime(seen.header),
		traceID:    traceID(seen),
	}
	return respond(r, body), nil
}

func respond(r *http.Request, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}
