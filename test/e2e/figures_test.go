package e2e

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// revisionVariable holds what git says of the tree: here, in namespaces of another, git would not trust it.
const revisionVariable = "REVISION"

// figures are what a run has measured, for docs/e2e.md.
type figures struct {
	t    *testing.T
	rows [][2]string
}

func (f *figures) add(what, value string) { f.rows = append(f.rows, [2]string{what, value}) }

// took adds a time, to the tenth of a second.
func (f *figures) took(what string, d time.Duration) {
	f.add(what, fmt.Sprintf("%.1f s", d.Seconds()))
}

// show gives them as a table, those of a run that failed as well.
func (f *figures) show() {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "\nTree %s on machine %s: %s, %d cores, kernel %s; %s\n\n| what | measured |\n|---|---|\n", os.Getenv(revisionVariable),
		host, processor(), runtime.NumCPU(), firstLine("/proc/sys/kernel/osrelease"), time.Now().UTC().Format(time.DateOnly))
	for _, row := range f.rows {
		fmt.Fprintf(&out, "| %s | %s |\n", row[0], row[1])
	}
	f.t.Log(out.String())
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
