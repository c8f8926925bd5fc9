package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/defender-tenant/operator/test/cluster"
)

// pollInterval is how often cheap questions are asked.
const pollInterval = 100 * time.Millisecond

// bench is one run.
type bench struct {
	settings
	dir     string // programs and, unless they are kept, logs
	began   time.Time
	said    time.Time // when progress was last shown
	planes  []*cluster.Cluster
	running []*process
	world   *world // the operator's
	bare    *world // the floor's
}

// measure does the whole run and leaves nothing behind.
func measure(ctx context.Context, s settings) (result *report, err error) {
	dir, err := os.MkdirTemp("", "defender-load-")
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, dir: dir, began: time.Now()}
	if b.logs == "" {
		b.logs = filepath.Join(dir, "logs")
	}
	defer func() {
		err = errors.Join(err, b.end())
		if err == nil || s.logs != "" || ctx.Err() != nil { // otherwise the logs tell why
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	b.say("Building the operator and the emulator")
	for name, path := range map[string]string{"operator": "./cmd/manager", "emulator": "./test/entra/cmd/entra-emulator"} {
		if err := b.build(ctx, name, path); err != nil {
			return nil, err
		}
	}
	return b.phases(ctx)
}

// say tells how far the run is.
func (b *bench) say(format string, args ...any) {
	b.said = time.Now()
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// progress is say, but only if nothing has been said for a while.
func (b *bench) progress(format string, args ...any) {
	const interval = 10 * time.Second
	if time.Since(b.said) > interval {
		b.say(format, args...)
	}
}

// build makes a program as the image has it.
func (b *bench) build(ctx context.Context, name, path string) error {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(b.dir, name), path)
	command.Dir = strings.TrimSpace(string(module))
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", path, err, out)
	}
	return nil
}

// launch starts a program that end will stop if nobody else does.
func (b *bench) launch(ctx context.Context, logs, name, path string, args ...string) (*process, error) {
	p, err := launch(ctx, logs, name, path, args...)
	if err == nil {
		b.running = append(b.running, p)
	}
	return p, err
}

// end stops everything that was started.
func (b *bench) end() error {
	for _, p := range slices.Backward(b.running) {
		p.terminate()
	}
	var problems []error
	for _, plane := range b.planes {
		problems = append(problems, plane.Stop())
	}
	return errors.Join(problems...)
}
