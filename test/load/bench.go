package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/test/cluster"
)

// pollInterval is how often cheap questions are asked.
const pollInterval = 100 * time.Millisecond

// bench is one run.
type bench struct {
	settings
	dir        string // programs, files and, unless they are kept, logs
	began      time.Time
	plane      *cluster.Cluster
	kubeconfig string
	kubernetes string // version
	api        client.Client
	running    []*process
	entra      *control
	caFile     string
	meters     meters
	said       time.Time // when progress was last shown
}

// measure does the whole run and leaves nothing behind.
func measure(ctx context.Context, s settings) (result *report, err error) {
	dir, err := os.MkdirTemp("", "defender-load-")
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, dir: dir, began: time.Now()}
	if b.logs == "" {
		b.logs = dir
	}
	defer func() {
		err = errors.Join(err, b.end())
		if err == nil || b.logs != dir {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	return b.phases(ctx)
}

// say tells how far the run is.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// progress is say, but not more often than every ten seconds.
func (b *bench) progress(format string, args ...any) {
	const interval = 10 * time.Second
	if time.Since(b.said) > interval {
		b.said = time.Now()
		b.say(format, args...)
	}
}

// prepare builds the programs and starts everything but what is measured.
func (b *bench) prepare(ctx context.Context) error {
	b.say("Building the operator and the emulator")
	if err := os.MkdirAll(b.logs, 0o750); err != nil {
		return err
	}
	for name, path := range map[string]string{"operator": "./cmd/manager", "emulator": "./test/entra/cmd/entra-emulator"} {
		if err := b.build(ctx, name, path); err != nil {
			return err
		}
	}
	b.say("Starting a control plane")
	var err error
	if b.plane, err = cluster.Start(ctx, cluster.Options{LogDir: b.logs}); err != nil {
		return err
	}
	if err := b.connect(); err != nil {
		return err
	}
	b.say("Starting the emulator with %d tenants", b.tenants)
	if err := b.startEmulator(ctx); err != nil {
		return err
	}
	server, err := b.plane.APIServerPID()
	if err != nil {
		return err
	}
	if b.meters, err = newMeters(b.entra, b.plane.Config, server); err != nil {
		return err
	}
	for _, object := range surroundings() {
		if err := b.api.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// build makes a program as the image has it.
func (b *bench) build(ctx context.Context, name, path string) error {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(b.dir, name), path)
	command.Dir = string(module[:len(module)-1])
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", path, err, out)
	}
	return nil
}

func (b *bench) connect() error {
	b.kubeconfig = filepath.Join(b.dir, "kubeconfig")
	if err := b.plane.WriteKubeconfig(b.kubeconfig); err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	if b.api, err = client.New(unpaced(b.plane.Config), client.Options{Scheme: scheme}); err != nil {
		return err
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(b.plane.Config)
	if err != nil {
		return err
	}
	version, err := discoverer.ServerVersion()
	if err == nil {
		b.kubernetes = version.GitVersion
	}
	return err
}

func (b *bench) startEmulator(ctx context.Context) error {
	config, err := json.Marshal(emulatorConfig(b.tenants))
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "emulator.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	b.caFile = filepath.Join(b.dir, "ca.pem")
	emulator, err := b.launch(ctx, "emulator", nil, filepath.Join(b.dir, "emulator"), "--listen", address, "--ca-file", b.caFile, "--config", file)
	if err != nil {
		return err
	}
	b.entra = &control{url: "https://" + address}
	return await(ctx, question{"the emulator answers", time.Minute, pollInterval, func() (bool, error) {
		if b.entra.client, err = trusting(b.caFile); err != nil {
			return false, err
		}
		_, err := b.entra.stats(ctx)
		return err == nil, err
	}}, emulator)
}

// launch starts a program that end will stop if nobody else does.
func (b *bench) launch(ctx context.Context, name string, environment []string, path string, args ...string) (*process, error) {
	p, err := launch(ctx, b.logs, name, environment, path, args...)
	if err == nil {
		b.running = append(b.running, p)
	}
	return p, err
}

// freeAddress is one on loopback that nobody listens on at the moment.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// end stops everything that was started.
func (b *bench) end() error {
	for _, p := range slices.Backward(b.running) {
		p.terminate()
	}
	if b.plane == nil {
		return nil
	}
	return b.plane.Stop()
}
