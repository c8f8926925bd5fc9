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

	"github.com/go-logr/logr"
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
	if len(args) > 0 && args[0] == emptySecretsCommand {
		return runFarewell(args[1:])
	}
	flags := newFlags()
	printVersion := flags.Bool("version", false, "Print the version and end.")
	options, err := parse(args, flags)
	if err != nil {
		return err
	}
	if *printVersion {
		fmt.Println("defender-tenant-operator", version)
		return nil
	}
	log := setLogger(&options.log)
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

func runFarewell(args []string) error {
	options, err := parseFarewell(args, flag.NewFlagSet("manager "+emptySecretsCommand, flag.ContinueOnError))
	if err != nil {
		return err
	}
	setLogger(&options.log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return emptySecrets(ctx, options)
}

func newFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprintf(flags.Output(), "manager [flags] runs the operator. Before an uninstall, manager %s [flags] takes the tokens\n"+
			"out of all Secrets; it has flags of its own.\n\nFlags of the operator:\n", emptySecretsCommand)
		flags.PrintDefaults()
	}
	return flags
}

// setLogger makes everything log through the one that redacts.
func setLogger(options *zap.Options) logr.Logger {
	log := redacted.Logger(zap.New(zap.UseFlagOptions(options)))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	return log
}
