// Command manager is the operator. See its flags with --help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/defender-tenant/operator/internal/redacted"
)

// version is stamped by the build.
var version = "dev"

// collectAt is how much the heap may grow before garbage is collected, in percent. Most of
// the heap is cache that lives long; collecting early costs little and saves a third of
// the memory. The variable GOGC overrides it.
const collectAt = 33

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	options, err := parse(args, flag.NewFlagSet("manager", flag.ContinueOnError))
	if err != nil {
		return err
	}
	log := redacted.Logger(zap.New(zap.UseFlagOptions(&options.log)))
	ctrl.SetLogger(log)
	klog.SetLogger(log)

	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	// A core dump would hold credentials and tokens.
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	log.WithName("start").Info("Starting", "version", version, "namespace", options.ownNamespace)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return operate(ctx, options)
}
