package node

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Logs is the folder with what the processes of the cluster write, those in Pods included.
func (n *Node) Logs() string { return n.file(logFolder) }

// KeptLogs is the one in it with what containers wrote whose Pods may be gone, as NAMESPACE_POD_UID/CONTAINER/N.log.
func (n *Node) KeptLogs() string { return n.file(logFolder, "kept") }

// podLogs is where the kubelet keeps them, until it deletes those of a Pod together with it.
func (n *Node) podLogs() string { return n.file(logFolder, "pods") }

// keepLogs gives each of them a second name, under which it also gets what is written later.
func (n *Node) keepLogs(context.Context) error {
	if err := os.MkdirAll(n.podLogs(), 0o700); err != nil {
		return err
	}
	if err := linkLogs(n.podLogs(), n.KeptLogs()); err != nil {
		return err
	}
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			_ = linkLogs(n.podLogs(), n.KeptLogs()) // a file may be deleted at this moment; the rest has its turn at the next
		}
	}()
	return nil
}

// linkLogs links the files of one folder into another.
func linkLogs(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		kept := filepath.Join(to, name)
		if entry.IsDir() {
			return os.MkdirAll(kept, 0o700)
		}
		if _, err := os.Lstat(kept); err == nil {
			return nil
		}
		return os.Link(path, kept)
	})
}
