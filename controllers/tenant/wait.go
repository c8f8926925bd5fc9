package tenant

import (
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	// atOnce is the shortest wait: zero would mean never.
	atOnce = time.Millisecond
	// firstRetry follows Microsoft's advice not to try again within five seconds.
	firstRetry = 5 * time.Second
	// runningOut bounds every wait while a held token is due: an outage must not cost more
	// than its own length.
	runningOut = 30 * time.Second
	// longestRetry bounds the wait while nothing is held.
	longestRetry = time.Minute
)

// delay is how long to wait after a failed attempt.
func delay(res result, p pace, now time.Time) time.Duration {
	fault := res.fault
	if fault.After > 0 {
		return fault.After
	}
	wait := doubled(firstRetry, p.attempts, longestRetry)
	if fault.Cure == token.ByPoll {
		wait = pollInterval(now.Sub(p.since), p.attempts)
	}
	if h := res.held; h != nil && h.HasToken && h.State == v1alpha1.StateValid {
		// Up to the moment at which the token is due, nothing presses; from then on, much does.
		due := h.life.RefreshAt(res.slot.spec.RefreshAfterPercent, res.slot.identity)
		wait = min(wait, max(due.Sub(now), runningOut))
	}
	return token.Spread(wait, res.slot.identity)
}

// pollInterval is dense while somebody is likely to be at it, and sparse later.
func pollInterval(elapsed time.Duration, attempts int) time.Duration {
	switch {
	case elapsed < 15*time.Minute:
		return doubled(15*time.Second, attempts, 2*time.Minute)
	case elapsed < time.Hour:
		return 5 * time.Minute
	case elapsed < 6*time.Hour:
		return 15 * time.Minute
	default:
		return time.Hour
	}
}

// doubled is first, doubled with each attempt after the first, at most limit.
func doubled(first time.Duration, attempts int, limit time.Duration) time.Duration {
	wait := first
	for n := 1; n < attempts && wait < limit; n++ {
		wait *= 2
	}
	return min(wait, limit)
}

// wait chooses when to look again: the only place that does.
func wait(out outcome, now time.Time) ctrl.Result {
	var soonest time.Time
	for _, res := range out.results {
		for _, at := range []time.Time{res.nextLook(out.seen), res.nextEnd()} {
			if !at.IsZero() && (soonest.IsZero() || at.Before(soonest)) {
				soonest = at
			}
		}
	}
	if again := now.Add(firstRetry); out.leftover && (soonest.IsZero() || again.Before(soonest)) {
		soonest = again
	}
	if soonest.IsZero() {
		return ctrl.Result{}
	}
	class := int(out.urgency(now))
	return ctrl.Result{RequeueAfter: max(soonest.Sub(now), atOnce), Priority: &class}
}

// nextLook is when something could be better than it is.
func (res result) nextLook(seen *observed) time.Time {
	switch {
	case !seen.tenant.DeletionTimestamp.IsZero():
		return time.Time{}
	case res.queued != nil, res.fault != nil && !res.next.IsZero():
		return res.next
	case res.failed() && res.fault.Cure == token.ByWatch:
		return time.Time{} // whoever sees the edit that mends it, calls
	case res.did == move && res.fault == nil:
		// The next pass sees whether the token is all that it should be.
		return time.Unix(0, 0)
	case res.did == empty || res.did == mark || res.did == remove:
		// What ended in this pass may be replaced in the next one.
		return time.Unix(0, 0)
	case res.fault == nil && res.held != nil && res.held.HasToken && res.held.State == v1alpha1.StateValid:
		return seen.refreshAt(res.slot, res.held)
	}
	return time.Time{}
}

// nextEnd is when the token counts as dead, be it held under its name or a former one.
func (res result) nextEnd() time.Time {
	if res.held == nil && res.slot.donor != nil {
		return res.slot.donor.deadAt()
	}
	if res.held == nil || !res.held.HasToken || res.held.State != v1alpha1.StateValid || res.did == empty || res.did == mark || res.did == remove {
		return time.Time{}
	}
	return res.held.deadAt()
}
