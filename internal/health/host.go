package health

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/token"
)

// host is one login host with everybody who wants to ask it.
type host struct {
	pace    pace
	breaker breaker
	speed   speed
	asked   bool
	// lastServed is when a customer that was served before last got an answer.
	lastServed time.Time
	resting    resting

	ready *room           // wait for a request under the rate
	slow  *room           // wait for one of the few places of the slow
	apps  map[string]*app // of which every credential is refused

	called map[types.NamespacedName]*Turn // their turn has come, but not they
	taken  map[types.NamespacedName]*Turn // ask now
	places int                            // for the slow
}

func newHost(o Options) *host {
	return &host{
		pace: newPace(o.RequestsPerSecond), places: max(1, o.Workers/4),
		ready: newRoom(), slow: newRoom(), apps: map[string]*app{},
		called: map[types.NamespacedName]*Turn{}, taken: map[types.NamespacedName]*Turn{},
		speed: newSpeed(), resting: resting{},
	}
}

// enter gives a called visitor its turn, anybody else one if nothing speaks against it.
func (at *host) enter(v Visitor, now time.Time) (Turn, *Hold) {
	if rest := at.resting.of(v.TenantID, now); rest != nil {
		at.withdraw(v.Key)
		return Turn{}, &Hold{Fault: rest.fault, Until: rest.until}
	}
	if turn := at.called[v.Key]; turn != nil && turn.visitor.App != v.App {
		at.decline(*turn) // it asks for somebody else now
	}
	if turn := at.called[v.Key]; turn != nil {
		delete(at.called, v.Key)
		if v.Refused == nil || turn.canary {
			turn.visitor, turn.since = v, now
			at.taken[v.Key] = turn
			return *turn, nil
		}
		at.pace.giveBack() // meanwhile its credentials came to be refused
	}
	own := at.roomFor(v)
	turn := at.admit(v, now)
	for _, r := range at.rooms() {
		if r != own || turn != nil {
			r.remove(v.Key)
		}
	}
	if turn == nil {
		own.push(v)
		return Turn{}, at.hold(v)
	}
	at.taken[v.Key] = turn
	return *turn, nil
}

// admit gives a turn at once, if nobody who waits is passed over.
func (at *host) admit(v Visitor, now time.Time) *Turn {
	turn := &Turn{visitor: v, since: now, slow: at.speed.isSlow(v.Key)}
	refused := at.refusing(v)
	switch {
	case refused != nil && (refused.held.othersThan(v.Key) || !refused.mayProbe(now)):
		return nil
	case at.breaker.isOpen() && (at.othersWait(v.Key) || !at.breaker.mayProbe(now)):
		return nil
	case turn.slow && at.slowOut() >= at.places, at.ready.othersThan(v.Key) && refused == nil:
		return nil
	case !at.pace.take(now):
		return nil
	}
	at.mark(turn, now)
	return turn
}

// mark makes the turn a canary's where one is due.
func (at *host) mark(turn *Turn, now time.Time) {
	v := turn.visitor
	if refused := at.refusing(v); refused != nil {
		turn.canary = true
		refused.probe(v.Key, now)
	}
	if at.breaker.isOpen() {
		turn.canary = true
		at.breaker.probe(v.Key, now)
	}
}

// roomFor is where a visitor waits.
func (at *host) roomFor(v Visitor) *room {
	switch refused := at.refusing(v); {
	case refused != nil:
		return refused.held
	case at.speed.isSlow(v.Key):
		return at.slow
	default:
		return at.ready
	}
}

// refusing is the application of a visitor if all its credentials are refused.
func (at *host) refusing(v Visitor) *app {
	if v.Refused == nil {
		return nil
	}
	a := at.apps[v.App]
	if a == nil {
		a = newApp()
		at.apps[v.App] = a
	}
	return a
}

func (at *host) hold(v Visitor) *Hold {
	switch {
	case at.breaker.isOpen():
		return &Hold{Fault: at.breaker.open}
	case v.Refused != nil:
		return &Hold{Fault: shared(v.Refused)}
	}
	return &Hold{}
}

// leave learns from what came of a turn, and tells whether the host's standing changed.
func (at *host) leave(t Turn, outcome *token.Fault, now time.Time) bool {
	key := t.visitor.Key
	delete(at.taken, key)
	at.breaker.returned(key)
	at.learnOfApp(t, outcome, now)
	if outcome != nil && outcome.Unsent {
		return false // the host was not asked
	}
	known := at.asked
	at.asked = true
	if !at.breaker.isOpen() {
		at.speed.note(key, now.Sub(t.since))
	}
	at.resting.note(t.visitor, outcome, now)
	if outcome != nil && outcome.Scope == token.ScopeHost {
		return at.fail(t.visitor, outcome, now) || !known
	}
	if t.visitor.Served {
		at.lastServed = now
	}
	ended := at.breaker.succeed()
	if ended != nil {
		at.pace.restart(now, isThrottled(ended))
	}
	return ended != nil || !known
}

// fail counts a failure of the host. One throttled customer costs the others nothing.
func (at *host) fail(v Visitor, outcome *token.Fault, now time.Time) bool {
	opened := at.breaker.fail(v, outcome, at.lastServed, now)
	if isThrottled(outcome) && (at.breaker.isOpen() || at.resting.many(now)) {
		at.pace.halve(now)
	}
	if opened {
		at.speed.forgive() // they were slow because the host was
	}
	return opened
}

// learnOfApp opens the way for an application once a credential of it is accepted.
func (at *host) learnOfApp(t Turn, outcome *token.Fault, now time.Time) {
	a := at.apps[t.visitor.App]
	if a == nil {
		return
	}
	if outcome != nil {
		a.returned(t.visitor.Key, outcome, now)
		return
	}
	delete(at.apps, t.visitor.App)
	for _, v := range a.held.drain() {
		v.Refused = nil
		at.roomFor(v).push(v)
	}
}

// decline takes back a turn in which nobody was asked.
func (at *host) decline(t Turn) {
	at.pace.giveBack()
	at.release(t)
}

// release ends a turn of which nothing came.
func (at *host) release(t Turn) {
	key := t.visitor.Key
	delete(at.called, key)
	delete(at.taken, key)
	at.breaker.returned(key)
	if a := at.apps[t.visitor.App]; a != nil && a.canary == key {
		a.canary, a.nextProbe = types.NamespacedName{}, time.Time{}
	}
}
