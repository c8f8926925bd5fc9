package simulate

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestMoved_TheWallClockJumpsAndTheMonotonicOneDoesNot: this is what time.Now gives on a machine whose clock is set, and
// what tells a jump from time that passed.
func TestMoved_TheWallClockJumpsAndTheMonotonicOneDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		for _, by := range []time.Duration{0, 2 * time.Hour, -2 * time.Hour} {
			before := moved(time.Now(), 0)
			<-time.NewTimer(1500 * time.Millisecond).C
			after := moved(time.Now(), by)
			if got, want := after.UnixNano(), time.Now().Add(by).UnixNano(); got != want {
				t.Errorf("moved by %s, the wall clock shows %d, want %d", by, got, want)
			}
			if got := after.Sub(before); got != 1500*time.Millisecond {
				t.Errorf("moved by %s, %s seem to have passed, want 1.5s", by, got)
			}
			if got := after.Round(0).Sub(started); got != after.Sub(started) {
				t.Errorf("against a time without a monotonic reading the wall clock counts: got %s", got)
			}
		}
	})
}
