package chaos

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTheMatrixIsListed compares docs/fault-matrix.md with the rows: each is named beside its number, in
// bold if it is played for every change, and no other is.
func TestTheMatrixIsListed(t *testing.T) {
	listed := map[string]bool{}
	text, err := os.ReadFile("../../docs/fault-matrix.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		names, played := strings.CutPrefix(strings.TrimSpace(cells[3]), "suite: ")
		names, _, _ = strings.Cut(names, ". ")
		if !played {
			continue
		}
		for name := range strings.SplitSeq(names, "; ") {
			if !strings.HasPrefix(name, "`") {
				listed[strings.TrimSpace(cells[1])+" "+name] = true
			}
		}
	}
	for _, r := range slices.Concat(slices.Concat(apart(), inTurn(), [][]row{processRows(), crashRows(), apiServerRows()})...) {
		name := r.matrix + " " + r.name
		if r.always {
			name = r.matrix + " **" + r.name + "**"
		}
		if !listed[name] {
			t.Errorf("docs/fault-matrix.md does not list %s", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("docs/fault-matrix.md lists %s, which is not played", name)
	}
}
