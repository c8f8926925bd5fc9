package health

import (
	"maps"
	"time"

	"github.com/defender-tenant/operator/internal/token"
)

const (
	// scattered is how many customers, served before and throttled within scatteredWithin, make the operator ask
	// more slowly, although others are answered in between.
	scattered       = 3
	scatteredWithin = time.Minute
)

// resting are the customers that Entra ID asked to wait, each for itself: no edit and no
// refresh request of theirs is worth a request before.
type resting map[string]rest

type rest struct {
	fault  *token.Fault
	since  time.Time
	until  time.Time
	served bool
}

// note takes in what came of a request.
func (r resting) note(v Visitor, outcome *token.Fault, now time.Time) {
	if outcome == nil || !isThrottled(outcome) || outcome.After == 0 {
		delete(r, v.TenantID)
		return
	}
	maps.DeleteFunc(r, func(_ string, known rest) bool {
		return reached(known.until, now) && now.Sub(known.since) > scatteredWithin
	})
	r[v.TenantID] = rest{fault: outcome, since: now, until: now.Add(outcome.After), served: v.Served}
}

// of is how long a customer has to wait, nil if it has not.
func (r resting) of(tenantID string, now time.Time) *rest {
	known, ok := r[tenantID]
	if !ok || reached(known.until, now) {
		return nil
	}
	return &known
}

// many tells whether more than a few customers were throttled lately.
func (r resting) many(now time.Time) bool {
	n := 0
	for _, known := range r {
		if since := now.Sub(known.since); known.served && since >= 0 && since < scatteredWithin {
			n++
		}
	}
	return n >= scattered
}
