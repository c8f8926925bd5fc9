package vault

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
)

const (
	// pause is the least time between two attempts, so that thousands of tenants that wait for
	// one credential do not ask for it thousands of times.
	pause = 10 * time.Second
	// forgetAfter is how long what nobody asks for any more is kept.
	forgetAfter = 24 * time.Hour
)

// life is a value and how long it lasts from now on.
type life[V any] struct {
	value V
	// fresh is how long nobody need ask for another, good how long it may be used; for ever if zero.
	fresh, good time.Duration
}

// shelf keeps what was asked for, under its name.
type shelf[K comparable, V any] struct {
	mu   sync.Mutex
	held map[K]*jar[V]
}

// jar is one thing on the shelf. All of it but turn is guarded by the mutex of the shelf.
type jar[V any] struct {
	turn chan struct{} // held by the one who asks

	value            V
	filled           bool
	freshUntil       time.Time
	goodUntil        time.Time // zero: for ever
	failure          error     // of the last attempt
	triedAt, askedAt time.Time
}

// get gives what is kept, and asks for another when it is time. One caller asks; meanwhile the
// others get what is there, or the failure of the last time, and wait only if there is neither:
// their time belongs to other applications, too. A value outlives failures that pass.
func (s *shelf[K, V]) get(ctx context.Context, now func() time.Time, name K, ask func(context.Context) (life[V], error)) (V, error) {
	j := s.jar(name, now())
	if value, settled, err := s.look(j, now()); settled {
		return value, err
	}
	select {
	case j.turn <- struct{}{}:
	default: // somebody asks
		if value, known, err := s.meanwhile(j, now()); known {
			return value, err
		}
		select {
		case j.turn <- struct{}{}:
		case <-ctx.Done():
			var none V
			return none, &credential.Defect{Text: "it was not read in time", Reason: v1alpha1.ReasonVaultUnavailable, Passing: true, Cause: ctx.Err()}
		}
	}
	defer func() { <-j.turn }()
	if value, settled, err := s.look(j, now()); settled { // by the one before
		return value, err
	}
	found, err := ask(ctx)
	return s.put(j, now(), found, err)
}

// jar finds or makes one, and throws away those that were forgotten.
func (s *shelf[K, V]) jar(name K, now time.Time) *jar[V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.held[name]
	if j == nil {
		if s.held == nil {
			s.held = map[K]*jar[V]{}
		}
		maps.DeleteFunc(s.held, func(_ K, old *jar[V]) bool { return now.Sub(old.askedAt) > forgetAfter })
		j = &jar[V]{turn: make(chan struct{}, 1)}
		s.held[name] = j
	}
	j.askedAt = now
	return j
}

// look is settled if nothing has to be asked now.
func (s *shelf[K, V]) look(j *jar[V], now time.Time) (value V, settled bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	good := j.good(now)
	switch {
	case good && now.Before(j.freshUntil):
		return j.value, true, nil
	case now.Before(j.triedAt), now.Sub(j.triedAt) >= pause: // a clock that was set back makes it due, too
		return j.value, false, nil
	case good:
		return j.value, true, nil
	default:
		return j.value, j.failure != nil, j.failure
	}
}

// meanwhile is what there is while somebody asks for better.
func (s *shelf[K, V]) meanwhile(j *jar[V], now time.Time) (value V, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.good(now) {
		return j.value, true, nil
	}
	return value, j.failure != nil, j.failure
}

func (j *jar[V]) good(now time.Time) bool {
	return j.filled && (j.goodUntil.IsZero() || now.Before(j.goodUntil))
}

// put keeps what an attempt brought. The caller's own end says nothing about the other side.
func (s *shelf[K, V]) put(j *jar[V], now time.Time, found life[V], err error) (V, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none V
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			j.failure, j.triedAt = err, now
		}
		if !passes(err) {
			j.value, j.filled = none, false
		}
		if j.good(now) {
			return j.value, nil
		}
		return none, err
	}
	j.value, j.filled, j.failure, j.triedAt = found.value, true, nil, now
	j.freshUntil, j.goodUntil = now.Add(found.fresh), time.Time{}
	if found.good > 0 {
		j.goodUntil = now.Add(found.good)
	}
	return j.value, nil
}

func passes(err error) bool {
	flaw, ok := errors.AsType[*credential.Defect](err)
	return ok && flaw.Passing
}

// drop throws one away.
func (s *shelf[K, V]) drop(name K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, name)
}

// expire makes it time to ask for others.
func (s *shelf[K, V]) expire(which func(V) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.held {
		if j.filled && which(j.value) {
			j.freshUntil = time.Time{}
		}
	}
}
