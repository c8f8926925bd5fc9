package chaos

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

// everything is set by `make chaos`.
var everything = flag.Bool("everything", false, "play all rows of the fault matrix, and not only those that are played for every change")

func TestMain(m *testing.M) {
	flag.Parse()
	// Rows wait more than they work: more of them fit side by side than there are cores.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestFaults plays the rows of the matrix.
func TestFaults(t *testing.T) {
	abreast(t)
	s := newStage(t)
	t.Run("apart", func(t *testing.T) {
		witnesses := s.witnesses(t)
		t.Run("rows", func(t *testing.T) {
			for _, r := range chosen(apart()...) {
				t.Run(r.title(), func(t *testing.T) {
					t.Parallel()
					s.perform(t, r)
				})
			}
		})
		witnesses.judge()
	})
	for _, r := range chosen(inTurn()...) {
		t.Run(r.title(), func(t *testing.T) { s.perform(t, r) })
	}
}

// abreast lets a test run beside the other ones, on a stage of its own. `make chaos` has more time than cores for the
// rows that are about load.
func abreast(t *testing.T) {
	t.Helper()
	if !*everything {
		t.Parallel()
	}
}

// apart are rows that concern one customer or one application.
func apart() [][]row { return [][]row{answerRows(), customerRows(), throttleRows(), objectRows()} }

// inTurn are rows that concern everybody.
func inTurn() [][]row { return [][]row{outageRows(), networkRows(), crowdRows()} }

func (r row) title() string { return r.matrix + "_" + strings.ReplaceAll(r.name, " ", "_") }

// chosen are the rows to play.
func chosen(tables ...[]row) []row {
	var rows []row
	for _, table := range tables {
		for _, r := range table {
			if r.always || *everything {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// witnesses are customers whom no fault of another one may concern. Each second one of them asks for a
// refresh: failures of others that come between two good answers are never taken for an outage.
func (s *stage) witnesses(t *testing.T) *scene {
	t.Helper()
	sc := s.set(t, row{name: "witnesses", tenants: 16, life: 40 * time.Second, budget: 10_000})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := sc.wish(ctx, i%len(sc.tenantIDs)); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
	return sc
}
