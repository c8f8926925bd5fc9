package node

import (
	"os"
	"path/filepath"
)

const (
	roleVariable = "DEFENDER_NODE_ROLE"
	dirVariable  = "DEFENDER_NODE_DIR"
	// KeepVariable set to anything leaves the cluster running after the tests, until Ctrl-C.
	KeepVariable = "KEEP"

	roleFirst  = "first"  // of the processes in the namespaces
	roleTester = "tester" // the one that runs the tests

	logFolder  = "log"
	resultFile = "result" // how the tests ended, for a cluster that is kept
)

// place is where the things of one cluster are.
type place struct {
	dir    string // all its files
	cgroup string // the name of its cgroups
}

// here is the place that Isolate made.
func here() (place, bool) {
	dir := os.Getenv(dirVariable)
	return place{dir: dir, cgroup: filepath.Base(dir)}, os.Getenv(roleVariable) == roleTester
}

func (p place) file(name ...string) string {
	return filepath.Join(append([]string{p.dir}, name...)...)
}
