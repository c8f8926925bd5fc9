package health

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	// openAfter is how many failures in a row, of at least two tenants that were served
	// before, open the breaker. Where half of all answers are errors, it stays closed.
	openAfter, openServed = 10, 2
	// openAnyone is how many customers must fail without a success between if nobody was
	// served lately: at an installation during an outage there are no others.
	openAnyone = 20
	// throttledTenants is how many customers that were served before must be throttled before
	// that is everyone's.
	throttledTenants = 2

	// probeInterval is the least time between two canaries of an open breaker.
	probeInterval = 5 * time.Second
	// throttledProbe is the wait when the host named none; Entra ID asks for a minute.
	throttledProbe = time.Minute
)

// breaker is closed while a host answers. Open, it lets one canary through at a time.
type breaker struct {
	failures  int
	served    map[string]bool // customers that failed since the last success
	failed    map[string]bool
	throttled map[string]bool // of those served before

	open      *token.Fault // nil: closed
	nextProbe time.Time
	canary    types.NamespacedName // out at the moment, empty: nobody
	probed    map[types.NamespacedName]bool
}

// isOpen tells whether only a canary may pass.
func (b *breaker) isOpen() bool { return b.open != nil }

// mayProbe tells whether it is time for a canary.
func (b *breaker) mayProbe(now time.Time) bool {
	return b.isOpen() && b.canary == types.NamespacedName{} && reached(b.nextProbe, now)
}

// probe sends a canary.
func (b *breaker) probe(key types.NamespacedName, now time.Time) {
	b.canary = key
	b.nextProbe = now.Add(probeInterval)
	b.probed[key] = true
}

// returned is when the canary is back, with whatever news.
func (b *breaker) returned(key types.NamespacedName) {
	if b.canary == key {
		b.canary = types.NamespacedName{}
	}
}

// succeed closes the breaker and gives the failure that it was open for, or nil.
func (b *breaker) succeed() *token.Fault {
	was := b.open
	*b = breaker{}
	return was
}

// fail counts a failure of the host and tells whether it opened the breaker. lastServed is
// when a customer that was served before last got an answer.
func (b *breaker) fail(v Visitor, fault *token.Fault, lastServed, now time.Time) bool {
	b.count(v, fault)
	if b.isOpen() {
		b.open = shared(fault)
		if wait := b.wait(fault); wait > 0 {
			b.nextProbe = later(b.nextProbe, now.Add(wait))
		}
		return false
	}
	byServed := b.failures >= openAfter && len(b.served) >= openServed
	byAnyone := len(b.failed) >= openAnyone && now.Sub(lastServed) > forgotten
	if !byServed && !byAnyone && len(b.throttled) < throttledTenants {
		return false
	}
	b.open = shared(fault)
	b.probed = map[types.NamespacedName]bool{}
	b.nextProbe = now.Add(max(b.wait(fault), probeInterval))
	return true
}

func (b *breaker) count(v Visitor, fault *token.Fault) {
	if b.failed == nil {
		b.failed, b.served, b.throttled = map[string]bool{}, map[string]bool{}, map[string]bool{}
	}
	b.failures++
	if len(b.failed) < openAnyone {
		b.failed[v.TenantID] = true
	}
	if v.Served && len(b.served) < openServed {
		b.served[v.TenantID] = true
	}
	if v.Served && isThrottled(fault) {
		b.throttled[v.TenantID] = true
	}
}

// wait is what the host asked for.
func (*breaker) wait(fault *token.Fault) time.Duration {
	if isThrottled(fault) && fault.After == 0 {
		return throttledProbe
	}
	return fault.After
}

func isThrottled(fault *token.Fault) bool { return fault.Reason == v1alpha1.ReasonThrottled }

// shared is a fault as those hear it who did not ask themselves.
func shared(fault *token.Fault) *token.Fault {
	return &token.Fault{
		Reason: fault.Reason, Message: fault.Message, Actor: fault.Actor, Cure: token.ByRetry, Scope: fault.Scope,
		Code: fault.Code, Shared: true,
	}
}

// reached tells whether a time has come. One that is farther off than any wait was set
// before the clock was set back.
func reached(at, now time.Time) bool {
	const farthest = 6 * time.Minute
	return !now.Before(at) || at.Sub(now) > farthest
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
