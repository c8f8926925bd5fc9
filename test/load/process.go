package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to end by itself.
const stopPatience = 20 * time.Second

// errUntold is for a process that ended well, but too soon.
var errUntold = errors.New("nobody told it to")

// process is a program that the run has started.
type process struct {
	name    string
	pid     int
	started time.Time
	logPath string

	command *exec.Cmd
	done    chan struct{} // closed when it has ended
	err     error         // valid after done
}

// launch starts a program. Its output goes to a file of its name, after what former ones of that name wrote.
func launch(ctx context.Context, logs, name, path string, args ...string) (*process, error) {
	p := &process{name: name, logPath: filepath.Join(logs, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p.command = exec.CommandContext(ctx, path, args...)
	p.command.Env = append(os.Environ(), "POD_NAMESPACE="+operatorNamespace)
	p.command.Stdout, p.command.Stderr = log, log
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.WaitDelay = stopPatience
	p.started = time.Now()
	if err := p.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	p.pid = p.command.Process.Pid
	go func() {
		p.err = errors.Join(p.command.Wait(), log.Close())
		close(p.done)
	}()
	return p, nil
}

// stop ends the process. One that ended before, or badly, has failed.
func (p *process) stop() error {
	if err := p.failure(); err != nil {
		return err
	}
	p.terminate()
	if p.err != nil {
		return fmt.Errorf("end %s: %w (log: %s)", p.name, p.err, p.logPath)
	}
	return nil
}

// terminate ends the process, by force if it takes too long, and waits for its end.
func (p *process) terminate() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended, which done tells
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
		_ = p.command.Process.Kill()
		<-p.done
	}
}

// failure tells whether the process has ended although nobody told it to.
func (p *process) failure() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %w (log: %s)", p.name, cmp.Or(p.err, errUntold), p.logPath)
	default:
		return nil
	}
}

// question is something that is asked until the answer is yes.
type question struct {
	that     string // completes "wait until …"
	patience time.Duration
	every    time.Duration
	ask      func() (bool, error)
}

// await asks until the answer is yes. It ends early if one of the processes does.
func await(ctx context.Context, q question, needed ...*process) error {
	deadline := time.Now().Add(q.patience)
	for {
		yes, err := q.ask()
		if yes {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("waited %s in vain until %s", q.patience, q.that), err)
		}
		if err := pause(ctx, q.every, needed...); err != nil {
			return fmt.Errorf("wait until %s: %w", q.that, err)
		}
	}
}

// pause lets time go by. It ends early with an error if ctx or one of the processes does.
func pause(ctx context.Context, d time.Duration, needed ...*process) error {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(min(d, time.Second))
	defer tick.Stop()
	for {
		for _, p := range needed {
			if err := p.failure(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-tick.C:
		}
	}
}
