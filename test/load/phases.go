package main

import (
	"context"
	"time"
)

// results are what the phases found.
type results struct {
	empty, filled, worked memoryState
	fill                  fillResult
	steady                window
	late                  latenesses
	restart               restartResult
	idle                  window
	floor                 window
}

// phases measure one after the other, so that no process disturbs another's numbers.
func (b *bench) phases(ctx context.Context) (*report, error) {
	var r results
	o, err := b.startEmpty(ctx, &r)
	if err != nil {
		return nil, err
	}
	if err := o.stop(); err != nil {
		return nil, err
	}
	b.say("Creating %d DefenderTenants while the operator is stopped", b.tenants)
	if err := createTenants(ctx, b.api, b.tenants); err != nil {
		return nil, err
	}
	if o, err = b.fill(ctx, &r); err != nil {
		return nil, err
	}
	if err := b.steady(ctx, o, &r); err != nil {
		return nil, err
	}
	if o, err = b.restart(ctx, o, &r); err != nil {
		return nil, err
	}
	if err := o.stop(); err != nil {
		return nil, err
	}
	if err := b.bare(ctx, &r); err != nil {
		return nil, err
	}
	return b.conclude(r), nil
}

// startEmpty looks at an operator that has nothing to do.
func (b *bench) startEmpty(ctx context.Context, r *results) (*operator, error) {
	b.say("Starting the operator without any tenant")
	o, err := b.startOperator(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, b.quiet/2, o.process); err != nil {
		return nil, err
	}
	r.empty, err = o.memory(ctx)
	return o, err
}

// steady lets all tokens be short-lived and watches the operator at its daily work.
func (b *bench) steady(ctx context.Context, o *operator, r *results) error {
	b.say("Replacing all tokens by ones that live for %s", b.lifetime())
	if err := b.entra.setLifetime(ctx, b.lifetime()); err != nil {
		return err
	}
	if err := requestRefresh(ctx, b.api); err != nil {
		return err
	}
	if err := b.awaitTokens(ctx, o.process, b.tenants); err != nil {
		return err
	}
	if err := pause(ctx, b.lifetime()/2, o.process); err != nil {
		return err
	}
	b.say("Watching refreshes, about %.1f per second, for %s", b.dueRate(), b.window)
	plan, _, err := schedule(ctx, b.api, b.tenants)
	if err != nil {
		return err
	}
	if r.steady, err = b.meters.observe(ctx, b.window, o.process); err != nil {
		return err
	}
	ended := time.Now()
	if r.worked, err = o.memory(ctx); err != nil {
		return err
	}
	requests, err := b.entra.requests(ctx)
	if err != nil {
		return err
	}
	for tenant, due := range plan {
		if due.After(ended) { // memory took some seconds, so that what was late has come
			delete(plan, tenant)
		}
	}
	r.late = lateness(plan, requests, b.lifetime()/5)
	return nil
}
