package main

import (
	"context"
	"time"
)

// reading is what has been used up to a moment.
type reading struct {
	at             time.Time
	tokens         int
	worker, server time.Duration // CPU of the operator or the floor, and of its API server
	machine        machineTime
}

// read looks at a process that works in this world; nil leaves it out.
func (w *world) read(ctx context.Context, worker *process) (r reading, err error) {
	stats, err := w.entra.stats(ctx)
	if err != nil {
		return r, err
	}
	r.tokens = stats.Tokens
	if worker != nil {
		if r.worker, err = cpuOf(worker.pid); err != nil {
			return r, err
		}
	}
	if r.server, err = cpuOf(w.server); err != nil {
		return r, err
	}
	r.at = time.Now()
	r.machine, err = readMachineTime()
	return r, err
}

// window is what was used between two readings.
type window struct {
	length         time.Duration
	tokens         int // one for each refresh
	worker, server time.Duration
	busy           float64 // part of the cores' time, whoever used it
}

func (r reading) since(start reading) window {
	w := window{
		length: r.at.Sub(start.at),
		tokens: r.tokens - start.tokens,
		worker: r.worker - start.worker,
		server: r.server - start.server,
	}
	if total := r.machine.total - start.machine.total; total > 0 {
		w.busy = float64(r.machine.busy-start.machine.busy) / float64(total)
	}
	return w
}

// each is a time divided by the refreshes of the window, in milliseconds.
func (w window) each(d time.Duration) float64 {
	if w.tokens == 0 {
		return 0
	}
	return d.Seconds() * 1000 / float64(w.tokens)
}

func (w window) perSecond() float64 { return float64(w.tokens) / w.length.Seconds() }

// subject is one of those that are compared.
type subject struct {
	world  *world
	worker *process
}

// observe takes a window of the same length for all subjects at once.
func observe(ctx context.Context, length time.Duration, subjects ...subject) ([]window, error) {
	starts := make([]reading, len(subjects))
	windows := make([]window, len(subjects))
	var workers []*process
	for i, s := range subjects {
		workers = append(workers, s.worker)
		var err error
		if starts[i], err = s.world.read(ctx, s.worker); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, length, workers...); err != nil {
		return nil, err
	}
	for i, s := range subjects {
		end, err := s.world.read(ctx, s.worker)
		if err != nil {
			return nil, err
		}
		windows[i] = end.since(starts[i])
	}
	return windows, nil
}
