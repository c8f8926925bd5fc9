package token_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/token"
)

func life(d time.Duration) token.Life {
	return token.Life{IssuedAt: received(), ExpiresAt: received().Add(d)}
}

func TestRefreshAt_NeverLaterThanAskedForAndAtMostATenthEarlier(t *testing.T) {
	for _, lives := range []time.Duration{10 * time.Second, time.Minute, time.Hour, 86399 * time.Second, 25 * time.Hour} {
		for _, percent := range []int32{35, 50, 65, 80} {
			t.Run(fmt.Sprintf("%d %% of %s", percent, lives), func(t *testing.T) {
				l := life(lives)
				latest := lives * time.Duration(percent) / 100
				earliest := (latest - lives/10).Truncate(time.Second)
				for i := range 1000 {
					identity := fmt.Sprintf("8a5d7f5c-98e4-4c2f-9d6b-%012d/xdr", i)
					got := l.RefreshAt(percent, identity)
					if after := got.Sub(l.IssuedAt); after > latest || after < earliest {
						t.Fatalf("%s: after %v, want between %v and %v", identity, after, earliest, latest)
					}
					if again := l.RefreshAt(percent, identity); !again.Equal(got) {
						t.Fatalf("%s: first %v, then %v", identity, got, again)
					}
					if got.Nanosecond() != 0 {
						t.Fatalf("%s: a fraction of a second cannot be stored: %v", identity, got)
					}
				}
			})
		}
	}
}

func TestRefreshAt_SpreadsEvenly(t *testing.T) {
	const identities, slots = 10_000, 10
	for name, identity := range map[string]func(int) string{
		"customers with one token each":   func(i int) string { return fmt.Sprintf("8a5d7f5c-98e4-4c2f-9d6b-%012x/xdr", i) },
		"names that differ at the end":    func(i int) string { return fmt.Sprintf("soc/customer-%d", i) },
		"names that differ at the front":  func(i int) string { return fmt.Sprintf("%d-soc/customer", i) },
		"identities of a few characters":  func(i int) string { return fmt.Sprint(i) },
		"tokens of one customer, by name": func(i int) string { return fmt.Sprintf("8a5d7f5c-98e4-4c2f-9d6b-2d1c3b4a5f60/token-%d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			l := life(10 * time.Hour) // spread over one hour
			var count [slots]int
			for i := range identities {
				early := 5*time.Hour - l.RefreshAt(50, identity(i)).Sub(l.IssuedAt)
				count[min(int(early*slots/time.Hour), slots-1)]++
			}
			for i, n := range count {
				if n < 850 || n > 1150 { // five standard deviations from 1000
					t.Errorf("%d of 10,000 in slot %d: %v", n, i, count)
				}
			}
		})
	}
}

func TestRefreshAt_ZeroPercentMeansFifty(t *testing.T) {
	for _, identity := range []string{"", "a", "b"} {
		if got, want := life(time.Hour).RefreshAt(0, identity), life(time.Hour).RefreshAt(50, identity); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", identity, got, want)
		}
	}
}

// The annotations of a Secret outlive the operator: what is written there must be what a
// later version works out.
func TestRefreshAt_StaysAsItIs(t *testing.T) {
	for identity, want := range map[string]string{
		"8a5d7f5c-98e4-4c2f-9d6b-2d1c3b4a5f60/xdr":   "2026-05-04T10:29:44Z",
		"8a5d7f5c-98e4-4c2f-9d6b-2d1c3b4a5f60/graph": "2026-05-04T10:34:32Z",
		"": "2026-05-04T10:29:27Z",
	} {
		if got := life(time.Hour).RefreshAt(50, identity).Format(time.RFC3339); got != want {
			t.Errorf("%q: %s, want %s", identity, got, want)
		}
	}
}

func TestDeadAt(t *testing.T) {
	for name, test := range map[string]struct {
		life, margin time.Duration
	}{
		"a day: 60 seconds before its end":              {24 * time.Hour, time.Minute},
		"an hour: 60 seconds before its end":            {time.Hour, time.Minute},
		"twenty minutes: 60 seconds are 5 % of it":      {20 * time.Minute, time.Minute},
		"five minutes: 5 % of it":                       {5 * time.Minute, 15 * time.Second},
		"twenty seconds: 5 % of it":                     {20 * time.Second, time.Second},
		"a life of no length: at its end and not after": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := life(test.life)
			if got := l.ExpiresAt.Sub(l.DeadAt()); got != test.margin {
				t.Errorf("got %v, want %v", got, test.margin)
			}
			if l.DeadAt().Before(l.RefreshAt(80, "any")) {
				t.Error("dead before it is due")
			}
		})
	}
}

func TestSpread(t *testing.T) {
	for i := range 1000 {
		identity := fmt.Sprint(i)
		got := token.Spread(time.Minute, identity)
		if got > time.Minute || got < 54*time.Second || got != token.Spread(time.Minute, identity) {
			t.Errorf("%s: %v", identity, got)
		}
	}
	if token.Spread(0, "a") != 0 {
		t.Error("nothing cannot be spread")
	}
}
