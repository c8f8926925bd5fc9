package main

import (
	"context"
	"time"
)

// restartResult is what a restart costs while nothing is due.
type restartResult struct {
	window
	ready, scheduled time.Duration
	cpu              time.Duration
	memory           memoryState
}

// restart gives all tokens a long life and starts the operator anew.
func (b *bench) restart(ctx context.Context, o *operator, r *results) (*operator, error) {
	b.say("Waiting until all tokens are long-lived again")
	if err := b.entra.setLifetime(ctx, time.Hour); err != nil {
		return nil, err
	}
	patience := 2*b.lifetime() + time.Minute
	err := await(ctx, question{"no token is due soon", patience, time.Second, func() (bool, error) {
		plan, ends, err := schedule(ctx, b.api, b.tenants)
		return len(plan) == b.tenants && time.Until(ends) > time.Hour/2, err
	}}, o.process)
	if err != nil {
		return nil, err
	}
	if err := o.stop(); err != nil {
		return nil, err
	}
	start, err := b.meters.read(ctx, 0)
	if err != nil {
		return nil, err
	}
	b.say("Starting the operator again and watching it for %s", b.quiet)
	if o, err = b.startOperator(ctx); err != nil {
		return nil, err
	}
	r.restart.ready = time.Since(o.started)
	err = await(ctx, question{"every tenant has been looked at", time.Minute, pollInterval, func() (bool, error) {
		n, err := o.metric(ctx, reconcilesMetric)
		return int(n) >= b.tenants, err
	}}, o.process)
	if err != nil {
		return nil, err
	}
	r.restart.scheduled = time.Since(o.started)
	if r.restart.cpu, err = cpuOf(o.pid); err != nil {
		return nil, err
	}
	if err := pause(ctx, b.quiet, o.process); err != nil {
		return nil, err
	}
	if r.restart.memory, err = o.memory(ctx); err != nil {
		return nil, err
	}
	end, err := b.meters.read(ctx, 0)
	r.restart.window = end.since(start)
	return o, err
}
