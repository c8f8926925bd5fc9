package token

import (
	"hash/fnv"
	"time"
)

// DefaultRefreshPercent is the part of a token's life after which it is renewed when
// the spec names none. Half leaves an outage of Entra ID as long as half a life without harm.
const DefaultRefreshPercent = 50

// spreadPercent is the part of a life over which renewals are spread, so that tokens
// obtained together are not renewed together.
const spreadPercent = 10

const (
	// deadMargin is how long before its end a token counts as dead, so that a workload
	// that just read it can still use it.
	deadMargin = 60 * time.Second
	// deadPercent bounds deadMargin for short lives.
	deadPercent = 5
)

// Life is the time during which a token works, by the operator's clock.
type Life struct {
	IssuedAt, ExpiresAt time.Time
}

// Duration is how long the token lives.
func (l Life) Duration() time.Duration { return l.ExpiresAt.Sub(l.IssuedAt) }

// DeadAt is when the token counts as dead: 60 seconds before its end, or 5 % of its
// life if that is less.
func (l Life) DeadAt() time.Time {
	return l.ExpiresAt.Add(-min(deadMargin, l.Duration()*deadPercent/100))
}

// RefreshAt is when the token is renewed: after percent of its life, less a spread that
// follows from the identity alone. It never lies later than percent says, and it is the
// same each time it is asked, so that decision and wake-up agree.
func (l Life) RefreshAt(percent int32, identity string) time.Time {
	if percent == 0 {
		percent = DefaultRefreshPercent
	}
	life := l.Duration()
	at := life * time.Duration(percent) / 100
	spread := time.Duration(float64(life) * spreadPercent / 100 * fraction(identity))
	// Whole seconds, because that is what the annotations and the status can say, and because
	// renewals that start together cost a quarter less CPU than the same number one by one.
	return l.IssuedAt.Add((at - spread).Truncate(time.Second))
}

// fraction maps an identity evenly onto [0, 1).
func fraction(identity string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(identity)) // a hash never fails
	// FNV mixes its high bits poorly for short inputs that differ at the end.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / float64(1<<53)
}

// Spread shortens a duration by up to a tenth, by identity.
func Spread(d time.Duration, identity string) time.Duration {
	return d - time.Duration(float64(d)*spreadPercent/100*fraction(identity))
}
