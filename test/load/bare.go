package main

import (
	"context"
	"os"
	"strconv"
)

// bare measures the API server alone, and then the floor.
func (b *bench) bare(ctx context.Context, r *results) error {
	b.say("Watching the API server alone for %s", b.quiet)
	start, err := b.meters.read(ctx, 0)
	if err != nil {
		return err
	}
	if err := pause(ctx, b.quiet); err != nil {
		return err
	}
	end, err := b.meters.read(ctx, 0)
	if err != nil {
		return err
	}
	r.idle = end.since(start)

	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := b.entra.setLifetime(ctx, b.lifetime()); err != nil {
		return err
	}
	rate := float64(r.steady.tokens) / r.steady.length.Seconds()
	b.say("Watching the floor, %.1f refreshes per second, for %s", rate, b.window)
	p, err := b.launch(ctx, "floor", nil, self, floorCommand, "--kubeconfig", b.kubeconfig, "--emulator", b.entra.url, "--ca-file", b.caFile,
		"--rate", strconv.FormatFloat(rate, 'f', -1, 64), "--workers", strconv.Itoa(b.floorWorkers))
	if err != nil {
		return err
	}
	if err := b.awaitTokens(ctx, p, 1); err != nil {
		return err
	}
	if err := pause(ctx, b.quiet/2, p); err != nil {
		return err
	}
	if r.floor, err = b.meters.observe(ctx, b.window, p); err != nil {
		return err
	}
	return p.stop()
}
