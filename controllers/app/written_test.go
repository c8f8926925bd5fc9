package app

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

func shownAs(uid, version string) *v1alpha1.DefenderApp {
	app := partner()
	app.UID, app.ResourceVersion = types.UID(uid), version
	return app
}

func TestWritten_WaitsForItsOwnWriteToShow(t *testing.T) {
	var w written
	if w.behind(shownAs("a", "5")) {
		t.Error("behind although nothing was written")
	}
	w.note(shownAs("a", "9"))
	for _, step := range []struct {
		uid, version string
		want         bool
	}{{"a", "5", true}, {"a", "8", true}, {"b", "5", false}, {"a", "9", false}, {"a", "5", false}} {
		if got := w.behind(shownAs(step.uid, step.version)); got != step.want {
			t.Errorf("version %s of %s: behind is %t, want %t", step.version, step.uid, got, step.want)
		}
	}
	w.note(shownAs("a", "9"))
	lags := 0
	for w.behind(shownAs("a", "5")) { // restored from a backup: it never shows
		lags++
	}
	if lags != maxLags {
		t.Errorf("gave up after %d looks, want %d", lags, maxLags)
	}
}
