package main

import (
	"math"
	"slices"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

// latenesses are how long after it was due each token was asked for, in order, and how many were not asked for.
type latenesses struct {
	sorted []time.Duration
	missed int
}

// lateness compares a plan, by tenant, with the requests that came. The request that belongs to a time is the first
// after the one before, which lies at least slack earlier: refreshes may be early by the width of a second.
func lateness(plan map[string]time.Time, requests []entra.Request, slack time.Duration) latenesses {
	times := map[string][]time.Time{}
	for _, r := range requests {
		if r.Kind == entra.Token {
			times[r.Tenant] = append(times[r.Tenant], r.Time)
		}
	}
	var l latenesses
	for tenant, due := range plan {
		i := slices.IndexFunc(times[tenant], func(at time.Time) bool { return at.After(due.Add(-slack)) })
		if i < 0 {
			l.missed++
			continue
		}
		l.sorted = append(l.sorted, times[tenant][i].Sub(due))
	}
	slices.Sort(l.sorted)
	return l
}

// percentile is the value that p percent of all do not exceed.
func (l latenesses) percentile(p float64) time.Duration {
	if len(l.sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(l.sorted))))
	return l.sorted[min(max(rank, 1), len(l.sorted))-1]
}
