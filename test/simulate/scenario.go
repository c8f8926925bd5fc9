package simulate

import (
	"context"
	"slices"
	"time"
)

const (
	dayLength = 12 * time.Hour
	// the way to Entra ID and back takes 60 to 100 ms.
	shortestAnswer = 60 * time.Millisecond
	answerSpread   = 40 * time.Millisecond
	// a refused connection costs one way.
	refusedAfter = 5 * time.Millisecond
	slowAfter    = 30 * time.Second
	// troubleAt is when the ordeals begin: everything has long found its rhythm.
	troubleAt = 5 * time.Hour
	everybody = 100 // of a hundred
)

// scenario is what goes wrong in a day.
type scenario struct {
	name     string
	about    string
	ordeals  []ordeal
	lifetime lifetimes
	// foreign is one in how many answers holds a token of another tenant; zero: none.
	foreign uint64
}

// lifetimes are the bounds of what Entra ID gives. Without them it gives an hour.
type lifetimes struct{ from, to time.Duration }

// ordeal is one stretch of the day in which something is wrong.
type ordeal struct {
	from, to time.Duration
	// share is how many of a hundred tenants meet it.
	share uint64
	// does is what Entra ID answers meanwhile; granted: as always.
	does outcome
	// after is how long its answers take; zero: as always.
	after time.Duration
	// begin and end are what happens to the operator's machine or to the credential.
	begin, end func(context.Context, *world) error
	// hopeless is set where nobody could get a token meanwhile, which makes some loss unavoidable.
	hopeless bool
	// requests are what one tenant needs afterwards.
	requests int
}

// meets tells whether a tenant meets the ordeal.
func (o ordeal) meets(c chance, tenant int) bool {
	return c.draw(everybody, drawSlow, tenant, 0) < o.share
}

// denies tells whether a tenant cannot get a token at some time of the day, whatever the operator does.
func (s scenario) denies(c chance, tenant int) bool {
	return slices.ContainsFunc(s.ordeals, func(o ordeal) bool { return o.hopeless && o.meets(c, tenant) })
}

// inquiry is one request as Entra ID reads it.
type inquiry struct {
	tenant, nth int
	kind        requestKind
	at          time.Duration
	secret      string
}

// answer decides what comes back. It depends on the seed, the tenant, the number of its request and the time alone.
func (s scenario) answer(c chance, in inquiry) answer {
	a := answer{
		outcome:  granted,
		after:    shortestAnswer + time.Duration(c.draw(uint64(answerSpread), drawLatency, in.tenant, in.nth)),
		lifetime: defaultLifetime,
	}
	if span := s.lifetime.to - s.lifetime.from; span > 0 {
		a.lifetime = s.lifetime.from + time.Duration(c.draw(uint64(span/time.Second), drawLifetime, in.tenant, in.nth))*time.Second
	}
	if s.foreign > 0 && in.kind == tokenRequest && c.draw(s.foreign, drawForeign, in.tenant, in.nth) == 0 {
		a.outcome = misdirected
	}
	for _, o := range s.ordeals {
		if o.does == refused && in.at >= o.from && in.secret == firstSecret && in.kind == tokenRequest {
			a.outcome = refused // an expired secret stays expired
		}
		if in.at < o.from || in.at >= o.to || !o.meets(c, in.tenant) {
			continue
		}
		switch o.does {
		case granted, refused, misdirected:
		case down:
			a.outcome, a.after = down, refusedAfter
		case silent:
			a.outcome, a.after = silent, o.after
		case throttled:
			a.outcome = throttled
		}
	}
	return a
}

// outage is a stretch in which nobody gets a token.
func outage(length time.Duration, does outcome, after time.Duration) ordeal {
	return ordeal{from: troubleAt, to: troubleAt + length, share: everybody, does: does, after: after, hopeless: true, requests: 1}
}

// expiry is the end of the credential, which the platform team replaces after a while. With the new one everybody's
// configuration is read again.
func expiry(length time.Duration) ordeal {
	o := outage(length, refused, 0)
	o.end = func(ctx context.Context, w *world) error { return rotate(ctx, w.api) }
	o.requests = 2
	return o
}

// suspension is a machine that sleeps: no timer fires, and the world goes on.
func suspension(length time.Duration) ordeal {
	o := outage(length, granted, 0)
	o.begin = func(_ context.Context, w *world) error { w.clocks.suspended.Add(int64(length)); return nil }
	return o
}

// jump is a wall clock that is wrong for an hour.
func jump(by time.Duration) ordeal {
	set := func(by time.Duration) func(context.Context, *world) error {
		return func(_ context.Context, w *world) error { w.clocks.wrong.Store(int64(by)); return nil }
	}
	return ordeal{from: troubleAt, to: troubleAt + time.Hour, share: everybody, does: granted, begin: set(by), end: set(0), requests: 1}
}

// slowness is a few tenants whose answers come after the deadline of the operator's client.
func slowness(length time.Duration) ordeal {
	o := outage(length, silent, slowAfter)
	o.share = 5
	return o
}

// scenarios are all days that can be lived.
func scenarios() []scenario {
	return []scenario{
		{name: "calm", about: "nothing goes wrong"},
		{name: "down25", about: "Entra ID refuses connections for 25 min", ordeals: []ordeal{outage(25*time.Minute, down, 0)}},
		{name: "down40", about: "Entra ID refuses connections for 40 min", ordeals: []ordeal{outage(40*time.Minute, down, 0)}},
		{name: "silent25", about: "Entra ID does not answer for 25 min", ordeals: []ordeal{outage(25*time.Minute, silent, time.Hour)}},
		{name: "throttled", about: "429 with Retry-After 60 for all for 10 min", ordeals: []ordeal{outage(10*time.Minute, throttled, 0)}},
		{name: "rotation", about: "the credential expires and is replaced after an hour", ordeals: []ordeal{expiry(time.Hour)}},
		{name: "foreign", about: "1 in 1,000 answers holds a token of another tenant", foreign: 1000},
		{name: "suspended", about: "the machine is suspended for 40 min", ordeals: []ordeal{suspension(40 * time.Minute)}},
		{name: "ahead", about: "the clock jumps 2 h ahead, and back after an hour", ordeals: []ordeal{jump(2 * time.Hour)}},
		{name: "behind", about: "the clock jumps 2 h back, and ahead after an hour", ordeals: []ordeal{jump(-2 * time.Hour)}},
		{name: "lifetimes", about: "tokens live 60 to 90 min", lifetime: lifetimes{time.Hour, 90 * time.Minute}},
		{name: "slow", about: "5 % of the tenants answer after 30 s for two hours", ordeals: []ordeal{slowness(2 * time.Hour)}},
	}
}
