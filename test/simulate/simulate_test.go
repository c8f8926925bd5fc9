package simulate

import (
	"flag"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

var (
	tenants = flag.Int("tenants", fleetSize, "tenants in each day")
	seed    = flag.Uint64("seed", 1, "seed of each day")
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // of libraries
	flag.Parse()
	os.Exit(m.Run())
}

// relive goes through a day and measures how long that really took.
func relive(t *testing.T, d day) (*report, []entry) {
	t.Helper()
	var r *report
	var ledger []entry
	started := time.Now()
	synctest.Test(t, func(t *testing.T) {
		w, err := d.live(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, ledger = newReport(w), w.ledger.entries
	})
	r.took = time.Since(started)
	return r, ledger
}

// goal is a number that a day must not exceed.
type goal struct {
	what     string
	got, max float64
}

// goalsOf are the goals of every day, and those of each.
func goalsOf(r *report) []goal {
	n := float64(r.day.tenants)
	// At nine tenths of the configured rate everybody has been served within this.
	allServed := n * float64(max(1, r.perTenant)) / (0.9 * requestRate)
	lost := goal{"tenant-seconds lost", r.lost.Seconds(), 1.1 * r.atRate.Seconds()}
	innocent := goal{"tenant-seconds lost by those who could have had a token", r.innocent.Seconds(), 0}
	meanwhile := goal{"requests meanwhile", float64(r.during), 1000}
	beside := goal{"requests beside first contacts and tokens", float64(r.requests - r.unanswered - 2*r.day.tenants - r.published), 0}
	const secondly = 0
	all := []goal{
		secondly: {"requests within a second", float64(r.peakSecond), requestRate},
		{"wrong tokens published", float64(r.foreign), 0},
		{"tenants that never caught up", float64(r.stale), 0},
		{"p99 of lateness in seconds", r.p99.Seconds(), 1},
		{"seconds until everyone was fresh", r.fresh.Seconds(), max(300, 30+allServed)},
	}
	switch r.day.scenario.name {
	case "calm", "lifetimes":
		return append(all, lost, beside)
	case "down25", "silent25":
		lost.max = 0
		return append(all, lost, meanwhile)
	case "throttled":
		lost.max, meanwhile.max = 0, 100
		return append(all, lost, meanwhile)
	case "down40":
		return append(all, lost, meanwhile)
	case "rotation":
		// A turn is counted when it is given. With a new credential each has two requests, and the second
		// goes out a moment later, so that some of one second fall into the next.
		all[secondly].max *= 1.25
		return append(all, lost, meanwhile)
	case "suspended":
		// The sweep comes up to 30 s after the machine woke.
		lost.max = r.atRate.Seconds() + 31*float64(r.losers)
		return append(all, lost, beside)
	case "ahead", "behind":
		// By its clock every token is dead at the jump ahead. That costs one token for each, and no more.
		lost.max, beside.max = n*(31+allServed), n
		meanwhile.max = 4 * n
		return append(all, lost, beside, meanwhile)
	default:
		return append(all, lost, innocent)
	}
}

// TestDay goes through every scenario and holds what came of it against the goals.
func TestDay(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r, _ := relive(t, day{tenants: *tenants, seed: *seed, scenario: s})
			t.Logf("\n%s", r)
			for _, g := range goalsOf(r) {
				if g.got > g.max {
					t.Errorf("%s: %v, want at most %v", g.what, g.got, g.max)
				}
			}
		})
	}
}

// TestReplay: the same seed gives the same day, to the nanosecond of each request, whatever the machine does beside; and
// another seed gives another.
func TestReplay(t *testing.T) {
	later := func(o ordeal, by time.Duration) ordeal {
		o.from, o.to = o.from+by, o.to+by
		return o
	}
	everything := scenario{
		name: "everything", lifetime: lifetimes{time.Hour, 90 * time.Minute}, foreign: 50,
		ordeals: []ordeal{
			later(slowness(time.Hour), -4*time.Hour), later(outage(40*time.Minute, down, 0), -2*time.Hour),
			later(suspension(40*time.Minute), -time.Hour), outage(10*time.Minute, throttled, 0),
			later(jump(2*time.Hour), time.Hour), later(jump(-2*time.Hour), 3*time.Hour), later(expiry(time.Hour), 5*time.Hour),
		},
	}
	lived := func(seed uint64) []entry {
		_, ledger := relive(t, day{tenants: 40, seed: seed, scenario: everything})
		return ledger
	}
	first := lived(7)
	if again := lived(7); !slices.Equal(first, again) {
		n := min(len(first), len(again))
		for i := range n {
			if first[i] != again[i] {
				n = i
				break
			}
		}
		t.Errorf("the days part at request %d of %d and %d", n, len(first), len(again))
	}
	if slices.Equal(first, lived(8)) {
		t.Error("another seed gave the same day")
	}
}

// TestScenarios_AreAllThere: a scenario that is taken out would be missed by nobody else.
func TestScenarios_AreAllThere(t *testing.T) {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	want := []string{"calm", "down25", "down40", "silent25", "throttled", "rotation", "foreign", "suspended", "ahead", "behind", "lifetimes", "slow"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
