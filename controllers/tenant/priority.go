package tenant

import (
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// urgency is the class in which an object waits for a worker: the higher, the sooner.
type urgency int

const (
	// urgencyIdle is for objects that want nothing now: comfortable ones at start-up.
	urgencyIdle urgency = -100
	// urgencyFailing is for objects without a token whose last attempt failed.
	urgencyFailing urgency = -10
	// urgencyNormal is for edits and renewals in good time.
	urgencyNormal urgency = 0
	// urgencyNew is for objects that were never looked at.
	urgencyNew urgency = 10
	// urgencySoon is for tokens with less than half an hour left.
	urgencySoon urgency = 20
	// urgencyDying is for tokens with less than ten minutes left.
	urgencyDying urgency = 30
	// urgencyDead is for tokens whose end is here.
	urgencyDead urgency = 40
)

// classify puts a remaining life into a class.
func classify(left time.Duration) urgency {
	switch {
	case left < time.Minute:
		return urgencyDead
	case left < 10*time.Minute:
		return urgencyDying
	case left < 30*time.Minute:
		return urgencySoon
	default:
		return urgencyNormal
	}
}

// urgency is the class for the next pass, by the token that ends first. By then at
// least the wait will have passed, which changes nothing for the order among tenants.
func (out outcome) urgency(now time.Time) urgency {
	class := urgencyFailing
	for _, res := range out.results {
		if h := res.held; h != nil && h.HasToken && h.State == v1alpha1.StateValid {
			class = max(class, classify(h.life.ExpiresAt.Sub(now)))
		}
	}
	return class
}

// hintOf is the class of an object as its status has it. Status may be stale or wrong:
// it changes the order of work, never what is done.
func hintOf(tenant *v1alpha1.DefenderTenant, now time.Time) urgency {
	switch {
	case tenant.Status.ObservedGeneration < tenant.Generation:
		return urgencyNew
	case tenant.Status.ExpiresAt == nil:
		return urgencyFailing
	default:
		class := classify(tenant.Status.ExpiresAt.Sub(now))
		if class == urgencyNormal {
			return urgencyIdle
		}
		return class
	}
}
