package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// requestKind is what a request was for.
type requestKind string

const (
	configuration requestKind = "configuration"
	tokenRequest  requestKind = "token"
)

// outcome is what became of a request.
type outcome string

const (
	granted     outcome = "granted"
	misdirected outcome = "misdirected" // a token, but of another tenant
	down        outcome = "down"
	silent      outcome = "silent" // no answer before the deadline
	throttled   outcome = "throttled"
	refused     outcome = "refused" // the credential
)

// entry is one request as Entra ID saw it.
type entry struct {
	at      time.Duration // since the start of the day
	tenant  int
	nth     int // request of the tenant
	kind    requestKind
	outcome outcome
	after   time.Duration // until the answer
	id      string        // of the token
	ends    time.Duration // of the token
}

// ledger is Entra ID's memory: what was asked, and which tokens are good.
type ledger struct {
	mu      sync.Mutex
	entries []entry
	tokens  map[string]int // position of the entry, by the token's ID
}

func newLedger() *ledger { return &ledger{tokens: map[string]int{}} }

func (l *ledger) note(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.id != "" {
		l.tokens[e.id] = len(l.entries)
	}
	l.entries = append(l.entries, e)
}

// issued finds the entry of a token.
func (l *ledger) issued(id string) (entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.tokens[id]
	if !ok {
		return entry{}, false
	}
	return l.entries[at], true
}

// count is the number of requests from one moment to before another.
func (l *ledger) count(from, to time.Duration) int {
	n := 0
	for _, e := range l.entries {
		if e.at >= from && e.at < to {
			n++
		}
	}
	return n
}

// peak is the most requests within any window of a length, the first moments of the day left out.
func (l *ledger) peak(window, after time.Duration) int {
	most, first := 0, 0
	for i, e := range l.entries {
		for l.entries[first].at <= e.at-window || l.entries[first].at < after && first < i {
			first++
		}
		if e.at >= after {
			most = max(most, i-first+1)
		}
	}
	return most
}

// hash covers everything, in the order in which it happened.
func (l *ledger) hash() string {
	h := sha256.New()
	for _, e := range l.entries {
		fmt.Fprintf(h, "%d %d %d %s %s %d %s %d\n", e.at, e.tenant, e.nth, e.kind, e.outcome, e.after, e.id, e.ends)
	}
	const shown = 8
	return hex.EncodeToString(h.Sum(nil)[:shown])
}
