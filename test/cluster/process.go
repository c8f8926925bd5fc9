package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

// Process is the cluster's kube-apiserver or etcd, to be ended, started again and paused. It needs /proc. Its methods are
// called one after another.
type Process struct {
	argv   []string // of the process that Start of the cluster started; the data and the port are in it
	log    *os.File
	health func(context.Context) error
	pid    int
	reaped chan struct{} // nil for the first process, which the cluster's environment reaps
}

// APIServer finds kube-apiserver.
func (c *Cluster) APIServer() (*Process, error) {
	client, err := rest.HTTPClientFor(c.Config)
	if err != nil {
		return nil, err
	}
	server := c.env.ControlPlane.APIServer
	return c.process(apiServerName, "--cert-dir="+server.CertDir, func(ctx context.Context) error {
		return healthy(ctx, client, server.SecureServing.URL("https", "/readyz").String())
	})
}

// Etcd finds etcd.
func (c *Cluster) Etcd() (*Process, error) {
	etcd := c.env.ControlPlane.Etcd
	return c.process(etcdName, "--data-dir="+etcd.DataDir, func(ctx context.Context) error {
		return healthy(ctx, http.DefaultClient, etcd.URL.JoinPath("health").String())
	})
}

func (c *Cluster) process(name, own string, health func(context.Context) error) (*Process, error) {
	if p, ok := c.processes[name]; ok {
		return p, nil
	}
	pid, argv, err := find(name, own)
	if err != nil {
		return nil, err
	}
	for _, log := range c.logs {
		if filepath.Base(log.Name()) == name+".log" {
			c.processes[name] = &Process{argv: argv, log: log, health: health, pid: pid}
		}
	}
	return c.processes[name], nil
}

// find looks for the process that was given an argument that only one can have.
func find(name, own string) (int, []string, error) {
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, nil, err
	}
	for _, process := range processes {
		line, err := os.ReadFile(process)
		argv := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if err == nil && filepath.Base(argv[0]) == name && slices.Contains(argv, own) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(process)))
			return pid, argv, err
		}
	}
	return 0, nil, fmt.Errorf("no process in /proc is this cluster's %s", name)
}

// PID is 0 after Kill.
func (p *Process) PID() int { return p.pid }

// Kill ends the process without a warning (SIGKILL) and returns when it is gone.
func (p *Process) Kill(ctx context.Context) error {
	if p.pid == 0 {
		return nil
	}
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
		return err
	}
	if p.reaped != nil {
		<-p.reaped
	}
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return errors.Is(syscall.Kill(p.pid, 0), syscall.ESRCH), nil
	})
	p.pid, p.reaped = 0, nil
	return err
}

// Start starts it again, with the same data and on the same port, and returns when it is healthy.
func (p *Process) Start(ctx context.Context) error {
	if p.pid != 0 {
		return nil
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), p.argv[0], p.argv[1:]...) // ctx is for starting only
	command.Stdout, command.Stderr = p.log, p.log
	if err := command.Start(); err != nil {
		return err
	}
	reaped := make(chan struct{})
	p.pid, p.reaped = command.Process.Pid, reaped
	go func() {
		_ = command.Wait() // it is killed in the end
		close(reaped)
	}()
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		select {
		case <-reaped:
			return false, fmt.Errorf("%s ended by itself", filepath.Base(p.argv[0]))
		default:
			last = p.health(ctx)
			return last == nil, nil
		}
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

// Pause lets the process hang (SIGSTOP): its connections stay open and nobody answers.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(signal syscall.Signal) error {
	if p.pid == 0 {
		return fmt.Errorf("%s does not run", filepath.Base(p.argv[0]))
	}
	return syscall.Kill(p.pid, signal)
}

// stop leaves a process that the environment started to it, but lets it run: a paused one would not end.
func (p *Process) stop() error {
	switch {
	case p.pid == 0:
		return nil
	case p.reaped == nil:
		return p.Resume()
	}
	return p.Kill(context.Background())
}

func healthy(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
