package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPageExplainsValues(t *testing.T) {
	got := page(`# Of all of them.

# How many.
# At least 1.
replicas: 2

image:
  repository: here
  # Empty: the chart's.
  tag: ""

# Who pays.
bill:
  to: you
`)
	want := "Of all of them.\n\n" +
		"| Value | Default | Meaning |\n|---|---|---|\n" +
		"| `replicas` | `2` | How many. At least 1. |\n" +
		"| `image.repository` | `here` |  |\n" +
		"| `image.tag` | `\"\"` | Empty: the chart's. |\n" +
		"| `bill` | | Who pays. |\n" +
		"| `bill.to` | `you` |  |\n"
	if !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at the end\n%s", got, want)
	}
}

func TestSharesWhatIsThereAndNothingElse(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "files")
	for _, path := range []string{filepath.Join(from, "role.yaml"), filepath.Join(from, "kustomization.yaml")} {
		if err := os.WriteFile(path, []byte("kind: Role\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(to, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "gone-since.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := share(from, to); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if !slices.Equal(names, []string{"role.yaml"}) {
		t.Errorf("got %v", names)
	}
}
