package main

import (
	"context"
	"time"
)

// settle waits until all tokens are long-lived again, so that nothing is due, and stops the operator.
func (b *bench) settle(ctx context.Context, o *operator) error {
	b.say("Waiting until all tokens are long-lived again")
	if err := b.world.entra.setLifetime(ctx, time.Hour); err != nil {
		return err
	}
	err := await(ctx, question{"no token is due soon", 2*b.lifetime() + time.Minute, time.Second, func() (bool, error) {
		n, err := lastsUntil(ctx, b.world.api, time.Now().Add(time.Hour/2))
		return n == b.tenants, err
	}}, o.process)
	if err != nil {
		return err
	}
	return o.stop()
}

// restartResult is what a restart costs while nothing is due.
type restartResult struct {
	counts
	ready, scheduled time.Duration
	cpu              time.Duration
	memory           memoryState
}

// restart starts the operator again and watches what it does beyond what had been counted before.
func (b *bench) restart(ctx context.Context, before counts, r *results) error {
	b.say("Starting the operator again and watching it for %s", b.quiet)
	o, err := b.startOperator(ctx)
	if err != nil {
		return err
	}
	r.restart.ready = time.Since(o.started)
	err = await(ctx, question{"every DefenderTenant has been looked at", time.Minute, pollInterval, func() (bool, error) {
		n, err := o.metric(ctx, reconcilesMetric)
		return int(n) >= b.tenants, err
	}}, o.process)
	if err != nil {
		return err
	}
	r.restart.scheduled = time.Since(o.started)
	if r.restart.cpu, err = cpuOf(o.pid); err != nil {
		return err
	}
	if err := pause(ctx, b.quiet, o.process); err != nil {
		return err
	}
	if r.restart.memory, err = o.memory(ctx); err != nil {
		return err
	}
	if err := o.stop(); err != nil {
		return err
	}
	after, err := b.world.count(ctx)
	r.restart.counts = after.since(before)
	return err
}
