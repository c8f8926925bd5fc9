package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// patience is long because the programs may share two cores with a compiler.
const patience = 2 * time.Minute

// daemon is a program that runs as long as the cluster. The end of the namespaces ends it.
type daemon struct {
	name    string
	args    []string
	log     string
	process *os.Process
	ended   chan struct{}
}

// run starts a program. Its log is in the folder of logs, and grows with each start.
func (p place) run(name string, args ...string) (*daemon, error) {
	d := &daemon{name: name, args: args, log: p.file(logFolder, name+".log")}
	return d, d.start()
}

func (d *daemon) start() error {
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	command := exec.CommandContext(context.Background(), d.name, d.args...)
	command.Stdout, command.Stderr = log, log
	if err := errors.Join(command.Start(), log.Close()); err != nil { // the process has a handle of its own
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	ended := make(chan struct{})
	d.process, d.ended = command.Process, ended
	go func() {
		_ = command.Wait() // that it ended is enough to know
		close(ended)
	}()
	return nil
}

// stop asks the program to end and waits for it.
func (d *daemon) stop() error {
	if err := d.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-d.ended
	return nil
}

// await waits until the program does what it is there for.
func (d *daemon) await(ctx context.Context, works func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		select {
		case <-d.ended:
			return false, errors.New("it ended by itself")
		default:
			last = works(ctx)
			return last == nil, nil
		}
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", d.name, errors.Join(err, last))
	}
	return nil
}
