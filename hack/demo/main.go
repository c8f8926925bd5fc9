// Command demo shows the operator at work: on a control plane of its own, with an emulated Entra ID, from the
// first customer to a withdrawn grant. Nothing leaves the machine, and nothing stays on it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything running at the end, until Ctrl-C")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

// run plays all chapters and cleans up, however they end.
func run(ctx context.Context, out io.Writer, keep bool) (err error) {
	ctrl.SetLogger(logr.Discard()) // what starts the control plane would talk in between
	tell := newNarrator(out)
	alive, s, err := newStage(ctx, tell)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			tell.logTail(s.operatorLog())
		}
		err = errors.Join(err, s.clear())
	}()
	if err := play(alive, s, chapters()); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return err
	}
	if keep {
		s.tell.say(s.invitation()...)
		<-alive.Done()
		if ctx.Err() == nil { // the operator ended by itself; Ctrl-C is the ordinary end
			return context.Cause(alive)
		}
	}
	return nil
}

// chapter is one step of the story.
type chapter struct {
	title string
	play  func(context.Context, *stage) error
}

// play goes through the chapters and stops at the first that fails.
func play(ctx context.Context, s *stage, story []chapter) error {
	for i, c := range story {
		s.tell.heading(i+1, len(story), c.title)
		started := time.Now()
		if err := c.play(ctx, s); err != nil {
			return fmt.Errorf("step %d, %q: %w", i+1, c.title, err)
		}
		s.tell.took(time.Since(started))
	}
	s.tell.end()
	return nil
}
