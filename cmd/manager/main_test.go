package main

import (
	"os/exec"
	"testing"
)

func TestPrintsItsVersion(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), build(t), "--version").CombinedOutput()
	if err != nil || string(out) != "defender-tenant-operator dev\n" {
		t.Errorf("got %q and %v", out, err)
	}
}
