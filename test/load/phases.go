package main

import (
	"context"
	"os"
	"strconv"
	"time"
)

// results are what the phases found.
type results struct {
	empty, filled, worked memoryState
	fill                  fillResult
	refreshes             counts // from the last first token until the operator is stopped
	bare                  counts // from the floor's start until it is stopped
	steady, floor, idle   window
	late                  latenesses
	restart               restartResult
}

// phases measure one after the other.
func (b *bench) phases(ctx context.Context) (*report, error) {
	var r results
	if err := b.startEmpty(ctx, &r); err != nil {
		return nil, err
	}
	o, err := b.fill(ctx, &r)
	if err != nil {
		return nil, err
	}
	if err := b.furnishBare(ctx); err != nil {
		return nil, err
	}
	quiet, err := b.world.count(ctx) // nothing is due for half an hour
	if err != nil {
		return nil, err
	}
	if err := b.shorten(ctx, o, &r); err != nil {
		return nil, err
	}
	if err := b.compare(ctx, o, &r); err != nil {
		return nil, err
	}
	if err := b.settle(ctx, o); err != nil {
		return nil, err
	}
	end, err := b.world.count(ctx)
	if err != nil {
		return nil, err
	}
	r.refreshes = end.since(quiet)
	if err := b.restart(ctx, end, &r); err != nil {
		return nil, err
	}
	return b.conclude(r), nil
}

// startEmpty looks at an operator that has nothing to do, and stops it.
func (b *bench) startEmpty(ctx context.Context, r *results) error {
	b.say("Starting a control plane and an emulator with %d tenants", b.tenants)
	var err error
	if b.world, err = b.startWorld(ctx, "operator"); err != nil {
		return err
	}
	for _, object := range surroundings() {
		if err := b.world.api.Create(ctx, object); err != nil {
			return err
		}
	}
	b.say("Starting the operator without any DefenderTenant")
	o, err := b.startOperator(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, b.quiet/2, o.process); err != nil {
		return err
	}
	if r.empty, err = o.memory(ctx); err != nil {
		return err
	}
	return o.stop()
}

// furnishBare starts a second world with the same tenants as the first, for the floor.
func (b *bench) furnishBare(ctx context.Context) error {
	b.say("Starting another control plane and emulator, with copies of all objects, for the floor")
	var err error
	if b.bare, err = b.startWorld(ctx, "floor"); err != nil {
		return err
	}
	for _, object := range surroundings() {
		if err := b.bare.api.Create(ctx, object); err != nil {
			return err
		}
	}
	return copyTenants(ctx, b.world.api, b.bare.api)
}

// shorten lets all tokens be short-lived, and watches the floor's API server, which has nothing to do meanwhile.
func (b *bench) shorten(ctx context.Context, o *operator, r *results) error {
	b.say("Replacing all tokens by ones that live for %s", b.lifetime())
	alone, err := b.bare.read(ctx, nil)
	if err != nil {
		return err
	}
	if err := b.world.entra.setLifetime(ctx, b.lifetime()); err != nil {
		return err
	}
	if err := requestRefresh(ctx, b.world.api); err != nil {
		return err
	}
	if err := b.awaitTokens(ctx, o.process, b.tenants); err != nil {
		return err
	}
	still, err := b.bare.read(ctx, nil)
	r.idle = still.since(alone)
	return err
}

// compare watches the operator and the floor at their daily work, at the same time.
func (b *bench) compare(ctx context.Context, o *operator, r *results) error {
	before, err := b.bare.count(ctx)
	if err != nil {
		return err
	}
	floor, err := b.startFloor(ctx)
	if err != nil {
		return err
	}
	// By then the first of the new tokens are due, and the floor works evenly.
	if err := pause(ctx, b.lifetime()/2, o.process, floor); err != nil {
		return err
	}
	b.say("Watching operator and floor, about %.1f refreshes per second each, for %s", b.dueRate(), b.window)
	plan, err := schedule(ctx, b.world.api, b.tenants)
	if err != nil {
		return err
	}
	windows, err := observe(ctx, b.window, subject{b.world, o.process}, subject{b.bare, floor})
	if err != nil {
		return err
	}
	r.steady, r.floor = windows[0], windows[1]
	ended := time.Now()
	if err := floor.stop(); err != nil {
		return err
	}
	after, err := b.bare.count(ctx)
	if err != nil {
		return err
	}
	r.bare = after.since(before)
	if r.worked, err = o.memory(ctx); err != nil {
		return err
	}
	r.late, err = b.late(ctx, plan, ended)
	return err
}

// startFloor starts this program once more, as the floor.
func (b *bench) startFloor(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := b.bare.entra.setLifetime(ctx, b.lifetime()); err != nil {
		return nil, err
	}
	return b.launch(ctx, b.bare.dir, "floor", self, floorCommand,
		"--kubeconfig", b.bare.kubeconfig, "--emulator", b.bare.entra.url, "--ca-file", b.bare.caFile,
		"--rate", strconv.FormatFloat(b.dueRate(), 'f', -1, 64), "--workers", strconv.Itoa(b.floorWorkers))
}

// late compares the plan, as far as it was due by the end, with what the emulator saw until some seconds later.
func (b *bench) late(ctx context.Context, plan map[string]time.Time, ended time.Time) (latenesses, error) {
	requests, err := b.world.entra.requests(ctx)
	if err != nil {
		return latenesses{}, err
	}
	for tenant, due := range plan {
		if due.After(ended) {
			delete(plan, tenant)
		}
	}
	return lateness(plan, requests, b.lifetime()/5), nil
}
