// Command entra-emulator runs an Entra ID with the Defender APIs behind it, for people and for tests of whole systems.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/test/entra"
)

// ledgerLimit bounds the memory of an emulator that runs for weeks.
const ledgerLimit = 100_000

type settings struct {
	listen, caFile, config, hosts string
	lifetime                      time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:8443", "address to listen on; port 0 takes any free one")
	flag.StringVar(&s.hosts, "hosts", "", "further names and IP addresses for the server certificate, comma-separated")
	flag.StringVar(&s.caFile, "ca-file", "", "file to write the trust root to, as PEM")
	flag.StringVar(&s.config, "config", "", "YAML or JSON file with apps and tenants")
	flag.DurationVar(&s.lifetime, "lifetime", time.Hour, "lifetime of tokens, in whole seconds")
	flag.Parse()
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "entra-emulator:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It writes the URL as soon as clients can connect, and never a secret.
func run(ctx context.Context, s settings, out io.Writer) error {
	o := entra.Options{LoginAddr: s.listen, Lifetime: s.lifetime, LedgerLimit: ledgerLimit}
	if s.hosts != "" {
		o.Hosts = strings.Split(s.hosts, ",")
	}
	e, err := entra.Start(o)
	if err != nil {
		return err
	}
	defer e.Close()
	if s.caFile != "" {
		if err := os.WriteFile(s.caFile, e.CAPEM(), 0o644); err != nil {
			return fmt.Errorf("write trust root: %w", err)
		}
	}
	if s.config != "" {
		if err := configure(e, s.config); err != nil {
			return fmt.Errorf("read %s: %w", s.config, err)
		}
	}
	if _, err := fmt.Fprintln(out, "Serving Entra ID and the Defender APIs at", e.URL()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func configure(e *entra.Emulator, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c entra.Config
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return err
	}
	return e.Configure(c)
}
