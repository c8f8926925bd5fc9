// Command load measures the operator at work: its build, a real API server and the emulator of Entra ID run as
// processes of their own, so that what each of them uses can be read from /proc. At the same time, and so under the same
// disturbances, it measures the floor beside an API server of its own: a bare loop that does nothing but what a refresh
// cannot do without.
//
// It prints what it measured with the goals beside. A goal that was missed is no failure of the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// floorCommand makes this program the floor instead of the driver.
const floorCommand = "floor"

// settings are the flags.
type settings struct {
	tenants      int
	requestRate  float64
	refreshRate  float64
	window       time.Duration
	quiet        time.Duration
	out          string
	logs         string
	floorWorkers int
}

func main() {
	ctrl.SetLogger(logr.Discard()) // of libraries; errors are returned
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1)
	}
}

// run is the driver, or the floor if the first argument says so.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == floorCommand {
		return runFloor(ctx, args[1:])
	}
	s, err := parse(args)
	if err != nil {
		return err
	}
	result, err := measure(ctx, s)
	if err != nil {
		return err
	}
	fmt.Println()
	fmt.Print(result.text())
	if s.out == "" {
		return nil
	}
	return os.WriteFile(s.out, []byte(result.markdown()), 0o644)
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.IntVar(&s.tenants, "n", 1000, "DefenderTenants, with one token each.")
	flags.Float64Var(&s.requestRate, "token-requests-per-second", 50, "The operator's flag of that name.")
	flags.Float64Var(&s.refreshRate, "refreshes-per-second", 37, "Wanted rate of refreshes; the tokens' lifetime follows from it.")
	flags.DurationVar(&s.window, "window", time.Minute, "How long CPU and writes are counted, for the operator and for the floor.")
	flags.DurationVar(&s.quiet, "quiet", 20*time.Second, "How long to watch when nothing should happen.")
	flags.StringVar(&s.out, "out", "", "File to write the result to as well, as Markdown.")
	flags.StringVar(&s.logs, "logs", "", "Folder to keep the logs of all processes in.")
	flags.IntVar(&s.floorWorkers, "floor-workers", 8, "Refreshes that the floor does at the same time.")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.tenants < 1 || s.requestRate <= 0 || s.refreshRate <= 0 || s.window < time.Second || s.quiet < time.Second || s.floorWorkers < 1 {
		return s, errors.New("numbers must be positive, and times at least a second")
	}
	return s, nil
}

// The middle of the operator's refresh times, as a part of a token's life: 40 to 50 percent.
const middleOfRefresh = 0.45

// lifetime makes tokens live so long that their refreshes come at the wanted rate.
func (s settings) lifetime() time.Duration {
	const shortest = 10 * time.Second
	wanted := time.Duration(float64(s.tenants) / s.refreshRate / middleOfRefresh * float64(time.Second))
	return max(wanted.Truncate(time.Second), shortest)
}

// dueRate is the rate of refreshes that the lifetime makes.
func (s settings) dueRate() float64 {
	return float64(s.tenants) / (middleOfRefresh * s.lifetime().Seconds())
}
