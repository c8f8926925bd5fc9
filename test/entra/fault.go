package entra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// OmitExpiresIn as Fault.ExpiresIn leaves the member out of the answer.
const OmitExpiresIn = "omit"

// Fault is what goes wrong with one answer. Fields can be combined: first the waiting, then the answer, then the claims
// of the token in it, then the wire. The zero value of a field changes nothing.
type Fault struct {
	On Kind `json:"on,omitempty"` // which requests fail; default Token

	Delay time.Duration `json:"-"`               // real time before anything happens; in JSON a string such as "250ms"
	Hang  bool          `json:"hang,omitempty"`  // no answer until the client gives up, or Close
	Reset bool          `json:"reset,omitempty"` // the connection is reset in place of an answer

	Status     int    `json:"status,omitempty"`     // HTTP status, with Body in place of the real answer
	Body       string `json:"body,omitempty"`       // arbitrary; with Status 0 it is sent with status 200
	Code       int    `json:"code,omitempty"`       // an AADSTS error; Status, if set, replaces the code's usual one
	Error      string `json:"error,omitempty"`      // replaces the code's usual `error` member
	RetryAfter string `json:"retryAfter,omitempty"` // header: seconds, an HTTP date, or nonsense
	Location   string `json:"location,omitempty"`   // redirect to this URL, with Status or else 307

	Header map[string]string `json:"header,omitempty"` // replaces headers of the answer

	Claims    map[string]any              `json:"claims,omitempty"`    // replaces claims; a nil value removes one
	Mutate    func(claims map[string]any) `json:"-"`                   // arbitrary change of the claims, after Claims
	Skew      time.Duration               `json:"-"`                   // added to iat, nbf, exp and the Date header; in JSON a string
	Opaque    bool                        `json:"opaque,omitempty"`    // the token is not a JWT; the APIs still accept it
	ExpiresIn string                      `json:"expiresIn,omitempty"` // JSON in place of the number: -1, 0, "3599", null; or OmitExpiresIn

	Truncate int           `json:"truncate,omitempty"` // the connection ends after so many bytes of the body; negative: after the headers
	Pad      int64         `json:"pad,omitempty"`      // the body grows by so many bytes; JSON stays valid
	GzipBomb int64         `json:"gzipBomb,omitempty"` // like Pad, sent compressed
	Drip     time.Duration `json:"-"`                  // real time between single bytes of the body; in JSON a string
}

// UnmarshalJSON reads durations as strings, for people.
func (f *Fault) UnmarshalJSON(data []byte) error {
	type plain Fault
	in := struct {
		*plain
		Delay, Skew, Drip string
	}{plain: (*plain)(f)}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return err
	}
	for _, d := range []struct {
		text string
		into *time.Duration
	}{{in.Delay, &f.Delay}, {in.Skew, &f.Skew}, {in.Drip, &f.Drip}} {
		if d.text == "" {
			continue
		}
		parsed, err := time.ParseDuration(d.text)
		if err != nil {
			return err
		}
		*d.into = parsed
	}
	return f.check()
}

// check refuses what could not be sent, so that a wrong control request fails and not the answer it meant to shape.
func (f *Fault) check() error {
	if f.ExpiresIn != "" && f.ExpiresIn != OmitExpiresIn && !json.Valid([]byte(f.ExpiresIn)) {
		return fmt.Errorf("expiresIn must be JSON or %q: %s", OmitExpiresIn, f.ExpiresIn)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("status must be between 200 and 599: %d", f.Status)
	}
	return nil
}

// Inject makes the next answers of the tenant go wrong: so many times, in the order of injection. Zero times sets the
// fault that holds from then on, whenever no counted one is left, until another one or Clear replaces it. An empty
// tenant means all tenants; a tenant's own faults come first. It panics if the fault cannot be sent (bad Status or
// ExpiresIn).
func (e *Emulator) Inject(tenantID string, f Fault, times int) {
	if err := f.check(); err != nil {
		panic("entra: " + err.Error())
	}
	e.faults.inject(tenantID, f, times)
}

// Clear ends all faults of the tenant; with no tenant, those that were set for all.
func (e *Emulator) Clear(tenantID string) { e.faults.clear(tenantID) }

type faultLine struct {
	tenant string
	on     Kind
}

type faultQueue struct {
	counted  []countedFault
	standing *Fault
}

type countedFault struct {
	fault *Fault
	left  int
}

// faultBook holds what was injected and not yet used up.
type faultBook struct {
	mu    sync.Mutex
	lines map[faultLine]*faultQueue
}

func (b *faultBook) inject(tenantID string, f Fault, times int) {
	if f.On == "" {
		f.On = Token
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	line := faultLine{strings.ToLower(tenantID), f.On}
	q := b.lines[line]
	if q == nil {
		q = &faultQueue{}
		b.lines[line] = q
	}
	if times <= 0 {
		q.standing = &f
		return
	}
	q.counted = append(q.counted, countedFault{&f, times})
}

func (b *faultBook) clear(tenantID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range b.lines {
		if line.tenant == strings.ToLower(tenantID) {
			delete(b.lines, line)
		}
	}
}

// take uses up one fault. It never returns nil: no fault is the zero Fault.
func (b *faultBook) take(tenantID string, on Kind) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range []faultLine{{tenantID, on}, {"", on}} {
		if f := b.lines[line].next(); f != nil {
			return f
		}
	}
	return &Fault{}
}

// list tells which kinds of request fail for the tenant, for the home page.
func (b *faultBook) list(tenantID string) []Kind {
	b.mu.Lock()
	defer b.mu.Unlock()
	var kinds []Kind
	for _, on := range []Kind{OpenIDConfiguration, Token, API} {
		if q := b.lines[faultLine{strings.ToLower(tenantID), on}]; q != nil && (q.standing != nil || len(q.counted) > 0) {
			kinds = append(kinds, on)
		}
	}
	return kinds
}

func (q *faultQueue) next() *Fault {
	if q == nil {
		return nil
	}
	if len(q.counted) == 0 {
		return q.standing
	}
	head := &q.counted[0]
	if head.left--; head.left == 0 {
		defer func() { q.counted = q.counted[1:] }()
	}
	return head.fault
}
