package main

import (
	"context"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

// fillResult is what the first tokens took.
type fillResult struct {
	counts
	seconds float64 // from the start of the process until every object is Ready
	rate    float64 // requests to Entra ID per second, less the burst that the limiter gives away
	cpu     time.Duration
}

// fill starts the operator beside tenants that have no token yet.
func (b *bench) fill(ctx context.Context, r *results) (*operator, error) {
	b.say("Creating %d DefenderTenants while the operator is stopped", b.tenants)
	if err := createTenants(ctx, b.world.api, b.tenants); err != nil {
		return nil, err
	}
	before, err := b.world.count(ctx)
	if err != nil {
		return nil, err
	}
	b.say("Starting the operator: first tokens, at most %v requests per second", b.requestRate)
	o, err := b.startOperator(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.awaitFirst(ctx, o); err != nil {
		return nil, err
	}
	r.fill.seconds = time.Since(o.started).Seconds()
	if r.fill.cpu, err = cpuOf(o.pid); err != nil {
		return nil, err
	}
	requests, err := b.world.entra.requests(ctx)
	if err != nil {
		return nil, err
	}
	r.fill.rate = rateOf(requests, b.requestRate)
	if r.filled, err = o.memory(ctx); err != nil {
		return nil, err
	}
	after, err := b.world.count(ctx)
	r.fill.counts = after.since(before)
	return o, err
}

// awaitFirst waits until every tenant has its first token.
func (b *bench) awaitFirst(ctx context.Context, o *operator) error {
	if err := b.awaitTokens(ctx, o.process, b.tenants); err != nil {
		return err
	}
	return await(ctx, question{"every DefenderTenant is Ready", time.Minute, 2 * pollInterval, func() (bool, error) {
		n, err := ready(ctx, b.world.api)
		return n == b.tenants, err
	}}, o.process)
}

// rateOf is the rate at which requests came after the burst of one second's worth that the limiter gives away.
func rateOf(requests []entra.Request, limit float64) float64 {
	var times []time.Time
	for _, r := range requests {
		if r.Kind == entra.Token || r.Kind == entra.OpenIDConfiguration {
			times = append(times, r.Time)
		}
	}
	paced := float64(len(times)) - limit
	if paced <= 0 {
		return 0
	}
	return paced / times[len(times)-1].Sub(times[0]).Seconds()
}

// awaitTokens waits until so many more tokens have been issued.
func (b *bench) awaitTokens(ctx context.Context, worker *process, more int) error {
	start, err := b.world.entra.stats(ctx)
	if err != nil {
		return err
	}
	patience := 2*time.Minute + time.Duration(4*float64(more)/b.requestRate*float64(time.Second))
	return await(ctx, question{"every tenant has a token", patience, pollInterval, func() (bool, error) {
		now, err := b.world.entra.stats(ctx)
		b.progress("%d of %d tokens", now.Tokens-start.Tokens, more)
		return now.Tokens-start.Tokens >= more, err
	}}, worker)
}
