package simulate

import (
	"flag"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

var (
	tenants = flag.Int("tenants", fleetSize, "tenants in each day")
	seed    = flag.Uint64("seed", 1, "seed of each day")
	only    = flag.String("scenario", "", "the one scenario to live through; all if empty")
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // of libraries
	flag.Parse()
	os.Exit(m.Run())
}

// relive runs a day and measures how long it really took.
func relive(t *testing.T, d day) *report {
	t.Helper()
	started := time.Now()
	var r *report
	synctest.Test(t, func(t *testing.T) {
		lived, err := d.live(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r = lived
	})
	r.took = time.Since(started)
	t.Logf("\n%s", r)
	return r
}

func TestDay(t *testing.T) {
	for _, s := range scenarios() {
		if *only != "" && *only != s.name {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			relive(t, day{tenants: *tenants, seed: *seed, scenario: s})
		})
	}
}
