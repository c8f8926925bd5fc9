package vault

import (
	"sync"
	"time"
)

// restFor is how long a vault that did not sign is left alone: thousands of tenants need the
// same signature, and each would wait for its own time-out.
const restFor = 5 * time.Second

// rests remembers who does not answer at the moment.
type rests struct {
	mu   sync.Mutex
	held map[place]rest
}

type rest struct {
	since time.Time
	cause error
}

// ongoing gives the failure that is the reason to rest, or nil. When the rest is over, one may
// see how the vault is, and the others rest on.
func (r *rests) ongoing(at place, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.held[at]
	if !ok {
		return nil
	}
	if since := now.Sub(known.since); since >= 0 && since < restFor {
		return known.cause
	}
	r.held[at] = rest{now, known.cause}
	return nil
}

// note takes the outcome of an attempt. Only a failure that passes by itself is worth a rest.
func (r *rests) note(at place, now time.Time, outcome error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !passes(outcome) {
		delete(r.held, at)
		return
	}
	if r.held == nil {
		r.held = map[place]rest{}
	}
	r.held[at] = rest{now, outcome}
}
