package tenant

import (
	"errors"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
)

// TestWithoutTheRightToReportAllElseKeepsItsPace, and the report is tried again before long.
func TestWithoutTheRightToReportAllElseKeepsItsPace(t *testing.T) {
	for planned, want := range map[time.Duration]time.Duration{
		0: time.Minute, time.Millisecond: time.Millisecond, 15 * time.Second: 15 * time.Second, time.Hour: time.Minute,
	} {
		result := ctrl.Result{RequeueAfter: planned}
		(&Reconciler{}).unreported(t.Context(), "soc", errors.New("forbidden"), noon(), &result)
		if result.RequeueAfter != want {
			t.Errorf("the next look was planned in %s and is in %s, want %s", planned, result.RequeueAfter, want)
		}
	}
}
