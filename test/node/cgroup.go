package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// hierarchies are where cgroups can be made: one folder with version 2, one per controller with version 1.
func hierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			found = append(found, fields[1])
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted")
	}
	return found, nil
}

// makeCgroups makes those in which the kubelet makes its own, so that it touches no others.
func (p place) makeCgroups() error {
	all, err := hierarchies()
	for _, hierarchy := range all {
		err = errors.Join(err, delegate(hierarchy), os.Mkdir(filepath.Join(hierarchy, p.cgroup), 0o755), inheritCPUs(hierarchy, p.cgroup))
	}
	return err
}

// delegate lets new cgroups have the controllers without which the kubelet does not start. In version 2 they are switched
// on in the cgroup above; in version 1 there is no such file.
func delegate(hierarchy string) error {
	given, err := os.ReadFile(filepath.Join(hierarchy, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var wanted []string
	for controller := range strings.FieldsSeq(string(given)) {
		if slices.Contains([]string{"cpu", "cpuset", "hugetlb", "memory", "pids"}, controller) {
			wanted = append(wanted, "+"+controller)
		}
	}
	if err != nil || len(wanted) == 0 { // all of them may be in hierarchies of version 1
		return err
	}
	return os.WriteFile(filepath.Join(hierarchy, "cgroup.subtree_control"), []byte(strings.Join(wanted, " ")), 0o644)
}

// inheritCPUs lets processes run in a new cgroup: in version 1 it starts without processors and memory.
func inheritCPUs(hierarchy, cgroup string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		given, err := os.ReadFile(filepath.Join(hierarchy, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // another controller, or version 2
		}
		if err := errors.Join(err, os.WriteFile(filepath.Join(hierarchy, cgroup, file), given, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroups waits for those to become empty whose processes were killed a moment ago.
func (p place) removeCgroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(context.Background(), 50*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		last = nil
		for _, hierarchy := range all {
			last = errors.Join(last, removeCgroup(filepath.Join(hierarchy, p.cgroup)))
		}
		return last == nil, nil
	})
	return errors.Join(err, last)
}

// removeCgroup removes a cgroup and those in it, which have to go first. The files in them are none.
func removeCgroup(root string) error {
	var folders []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	for _, folder := range slices.Backward(folders) {
		err = errors.Join(err, os.Remove(folder))
	}
	return err
}
