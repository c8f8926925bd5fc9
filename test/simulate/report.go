package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report is what a day came to.
type report struct {
	day              day
	lost             time.Duration // tenant-seconds without a good token, the unavoidable included
	losers           int           // tenants that lost any
	unavoidable      time.Duration // of that, what had to be lost
	atRate           time.Duration // of that, what had to be lost at the configured rate
	innocent         time.Duration // of that, what was lost by tenants that Entra ID would have given a token all day
	firstTokens      time.Duration // until everybody had one
	requests         int
	during           int // requests while something was wrong
	peakSecond       int // most requests within a second, after the first tokens
	peakTenSeconds   int // and within ten
	p50, p99, latest time.Duration
	renewals         int
	fresh            time.Duration // after the ordeal, until everybody had caught up
	stale            int           // who has not until the end of the day
	perTenant        int           // requests that a tenant needs after an ordeal
	published        int           // good tokens that came into a Secret
	unanswered       int           // requests under way at the end of the day
	foreign          int
	passes, writes   int
	events           int64
	refusedAnswers   int
	hash             string
	took             time.Duration // real time
}

func newReport(w *world) *report {
	r := &report{
		day: w.day, requests: len(w.ledger.entries), published: w.judge.published, foreign: w.judge.foreign, passes: w.passes, writes: w.api.writes,
		events: w.events.told.Load(), hash: w.ledger.hash(), renewals: len(w.judge.lateness),
	}
	for i, h := range w.judge.holders {
		r.lost += h.lost
		if !w.day.scenario.denies(w.judge.chance, i) {
			r.innocent += h.lost
		}
		if h.lost > 0 {
			r.losers++
		}
		if h.first == 0 {
			r.firstTokens = dayLength
		}
		r.firstTokens = max(r.firstTokens, h.first)
	}
	for _, t := range w.judge.trials {
		r.unavoidable += t.unavoidable
		r.atRate += t.atRate
		r.during += w.ledger.count(t.from, t.to)
		r.fresh = max(r.fresh, t.freshAfter)
		r.stale += len(t.pending)
		r.perTenant = max(r.perTenant, t.requests)
	}
	r.peakSecond = w.ledger.peak(time.Second, r.firstTokens)
	r.peakTenSeconds = w.ledger.peak(10*time.Second, r.firstTokens)
	slices.Sort(w.judge.lateness)
	r.p50, r.p99, r.latest = quantile(w.judge.lateness, 50), quantile(w.judge.lateness, 99), quantile(w.judge.lateness, 100)
	for _, e := range w.ledger.entries {
		if e.outcome != granted {
			r.refusedAnswers++
		}
		if e.at+e.after > dayLength {
			r.unanswered++
		}
	}
	return r
}

// quantile of sorted values.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

// String is for people.
func (r *report) String() string {
	var text strings.Builder
	line := func(name, format string, values ...any) {
		fmt.Fprintf(&text, "  %-32s "+format+"\n", append([]any{name}, values...)...)
	}
	fmt.Fprintf(&text, "%s: %s (%d tenants, %s, seed %d)\n", r.day.scenario.name, r.day.scenario.about, r.day.tenants, dayLength, r.day.seed)
	line("lost tenant-seconds", "%.0f, by %d tenants", r.lost.Seconds(), r.losers)
	line("of them unavoidable", "%.0f, or %.0f with %d requests/s", r.unavoidable.Seconds(), r.atRate.Seconds(), requestRate)
	line("wrong tokens published", "%d", r.foreign)
	line("requests", "%d, of them %d while something was wrong; %d without success", r.requests, r.during, r.refusedAnswers)
	line("peak after the first tokens", "%d within a second, %d within ten", r.peakSecond, r.peakTenSeconds)
	line("first tokens for all after", "%s", r.firstTokens.Round(time.Second))
	line("lateness of renewals", "p50 %s, p99 %s, max %s of %d that were due while nothing was wrong", r.p50.Round(time.Millisecond), r.p99.Round(time.Millisecond), r.latest.Round(time.Millisecond), r.renewals)
	line("everyone fresh after", "%s, %d never", r.fresh.Round(time.Second), r.stale)
	line("work", "%d passes, %d writes, %d events", r.passes, r.writes, r.events)
	line("ledger", "%s", r.hash)
	line("real time", "%s", r.took.Round(time.Millisecond))
	return text.String()
}
