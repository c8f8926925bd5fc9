package scrape

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

const (
	// allowedFor and refusedFor are how long a verdict holds: the API server is not asked at each scrape, and a right
	// that was given works soon.
	allowedFor = time.Minute
	refusedFor = 10 * time.Second
	// most bounds what is remembered, whoever makes up tokens.
	most = 256
)

// question is a digest of who wants to read what. No token is kept.
type question [sha256.Size]byte

// about tells questions apart; no part of one can hold a zero byte.
func about(token, verb, path string) question {
	return sha256.Sum256([]byte(token + "\x00" + verb + "\x00" + path))
}

// verdicts are the latest answers.
type verdicts struct {
	now func() time.Time

	mu    sync.Mutex
	given map[question]verdict
}

type verdict struct {
	status int
	until  time.Time
}

func newVerdicts(now func() time.Time) *verdicts {
	return &verdicts{now: now, given: map[question]verdict{}}
}

func (v *verdicts) known(of question) (status int, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, ok := v.given[of]
	return found.status, ok && v.now().Before(found.until)
}

func (v *verdicts) keep(of question, status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.given) >= most {
		clear(v.given)
	}
	holds := refusedFor
	if status == http.StatusOK {
		holds = allowedFor
	}
	v.given[of] = verdict{status: status, until: v.now().Add(holds)}
}
