package health

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// unclaimed is how long a called turn waits for its visitor.
	unclaimed = 30 * time.Second
	// lostAfter is when a turn that was taken counts as lost: longer than any call lasts.
	lostAfter = 15 * time.Minute
)

// call gives the visitors whose turn has come.
func (at *host) call(now time.Time) []Visitor {
	if at.breaker.isOpen() {
		return at.callCanary(now)
	}
	var called []Visitor
	for _, a := range at.apps {
		if v, ok := at.callFrom(a.held, a.mayProbe(now), func() (Visitor, bool) { return a.held.canary(a.probed) }, now); ok {
			called = append(called, v)
		}
	}
	for {
		v, ok := at.callFrom(at.slow, at.slowOut() < at.places, at.slow.pop, now)
		if !ok {
			v, ok = at.callFrom(at.ready, true, at.ready.pop, now)
		}
		if !ok {
			return called
		}
		called = append(called, v)
	}
}

// callCanary sends one visitor for all, whatever it waits for besides.
func (at *host) callCanary(now time.Time) []Visitor {
	for _, from := range at.rooms() {
		if v, ok := at.callFrom(from, at.breaker.mayProbe(now), func() (Visitor, bool) { return from.canary(at.breaker.probed) }, now); ok {
			return []Visitor{v}
		}
	}
	return nil
}

// callFrom takes a visitor out of a room if it may, somebody waits there and the rate has a
// request for it.
func (at *host) callFrom(from *room, may bool, choose func() (Visitor, bool), now time.Time) (Visitor, bool) {
	if !may || from.len() == 0 || !at.pace.take(now) {
		return Visitor{}, false
	}
	v, ok := choose()
	if !ok {
		at.pace.giveBack()
		return Visitor{}, false
	}
	turn := &Turn{visitor: v, since: now, slow: at.speed.isSlow(v.Key)}
	at.mark(turn, now)
	at.called[v.Key] = turn
	return v, true
}

// next is when there may be somebody to call.
func (at *host) next(now time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if t = later(t, now.Add(time.Millisecond)); next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, turn := range at.called {
		consider(turn.since.Add(unclaimed))
	}
	if at.breaker.isOpen() {
		if at.waiting() > 0 && at.breaker.canary == (types.NamespacedName{}) {
			consider(later(at.breaker.nextProbe, at.pace.next(now)))
		}
		return next
	}
	if at.ready.len() > 0 || at.slow.len() > 0 && at.slowOut() < at.places {
		consider(at.pace.next(now))
	}
	for _, a := range at.apps {
		if a.held.len() > 0 && a.canary == (types.NamespacedName{}) {
			consider(later(a.nextProbe, at.pace.next(now)))
		}
	}
	return next
}

// dropLost gives up turns whose visitors never came, or never came back.
func (at *host) dropLost(now time.Time) {
	for _, turn := range at.called {
		if now.Sub(turn.since) > unclaimed {
			at.release(*turn)
		}
	}
	for _, turn := range at.taken {
		if now.Sub(turn.since) > lostAfter {
			at.release(*turn)
		}
	}
}
