package node

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDelegate(t *testing.T) {
	for _, test := range []struct{ name, given, want string }{
		{"version 2", "cpuset cpu io memory hugetlb pids rdma\n", "+cpuset +cpu +memory +hugetlb +pids"},
		{"version 2 beside version 1, which has all of them", "\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			hierarchy := t.TempDir()
			write(t, filepath.Join(hierarchy, "cgroup.controllers"), test.given)
			write(t, filepath.Join(hierarchy, "cgroup.subtree_control"), "")
			if err := delegate(hierarchy); err != nil {
				t.Fatal(err)
			}
			if got := read(t, filepath.Join(hierarchy, "cgroup.subtree_control")); got != test.want {
				t.Errorf("%q was written, want %q", got, test.want)
			}
		})
	}
	t.Run("version 1", func(t *testing.T) {
		hierarchy := t.TempDir()
		if err := delegate(hierarchy); err != nil {
			t.Fatal(err)
		}
		if files, err := os.ReadDir(hierarchy); err != nil || len(files) != 0 {
			t.Errorf("%v were made: %v", files, err)
		}
	})
}

// TestLinkLogs deletes a Pod's log after its last lines, as the kubelet does.
func TestLinkLogs(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	log := filepath.Join("soc_reader_1", "reader", "0.log")
	if err := os.MkdirAll(filepath.Join(from, filepath.Dir(log)), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(from, log), "first\n")
	for range 2 {
		if err := linkLogs(from, to); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(from, log), "first\nlast\n")
	if err := os.RemoveAll(filepath.Join(from, "soc_reader_1")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(to, log)); got != "first\nlast\n" {
		t.Errorf("kept is %q", got)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
