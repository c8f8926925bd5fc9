package chaos

import (
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
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestFaults plays the rows of the matrix.
func TestFaults(t *testing.T) {
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

// apart are rows that concern one customer or one application.
func apart() [][]row { return [][]row{answerRows(), customerRows(), objectRows()} }

// inTurn are rows that concern everybody.
func inTurn() [][]row { return [][]row{throttleRows(), outageRows(), networkRows(), crowdRows()} }

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

// witnesses are customers whom no fault of another one may concern. Their tokens are short, so that many
// are renewed meanwhile.
func (s *stage) witnesses(t *testing.T) *scene {
	t.Helper()
	return s.set(t, row{name: "witnesses", tenants: 8, life: 20 * time.Second, budget: 1000})
}
