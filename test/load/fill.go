package main

import (
	"context"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

// fillResult is how long the first tokens took.
type fillResult struct {
	seconds  float64 // from the start of the process until every object is Ready
	requests int
	rate     float64 // requests per second, less the burst that the limiter gives away
	cpu      time.Duration
}

// fill starts the operator beside tenants that have no token yet.
func (b *bench) fill(ctx context.Context, r *results) (*operator, error) {
	if err := b.entra.forget(ctx); err != nil {
		return nil, err
	}
	b.say("Starting the operator: first tokens for %d tenants at %v requests per second", b.tenants, b.requestRate)
	o, err := b.startOperator(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.awaitTokens(ctx, o.process, b.tenants); err != nil {
		return nil, err
	}
	err = await(ctx, question{"every DefenderTenant is Ready", time.Minute, 2 * pollInterval, func() (bool, error) {
		n, err := ready(ctx, b.api)
		return n == b.tenants, err
	}}, o.process)
	if err != nil {
		return nil, err
	}
	r.fill.seconds = time.Since(o.started).Seconds()
	if r.fill.cpu, err = cpuOf(o.pid); err != nil {
		return nil, err
	}
	requests, err := b.entra.requests(ctx)
	if err != nil {
		return nil, err
	}
	r.fill.requests, r.fill.rate = rateOf(requests, b.requestRate)
	if r.filled, err = o.memory(ctx); err != nil {
		return nil, err
	}
	b.say("All are Ready")
	return o, nil
}

// rateOf is the rate at which requests came after the burst of one second's worth that the limiter gives away.
func rateOf(requests []entra.Request, limit float64) (count int, rate float64) {
	var times []time.Time
	for _, r := range requests {
		if r.Kind == entra.Token || r.Kind == entra.OpenIDConfiguration {
			times = append(times, r.Time)
		}
	}
	paced := float64(len(times)) - limit
	if paced <= 0 {
		return len(times), 0
	}
	return len(times), paced / times[len(times)-1].Sub(times[0]).Seconds()
}

// awaitTokens waits until so many more tokens have been issued.
func (b *bench) awaitTokens(ctx context.Context, worker *process, more int) error {
	start, err := b.entra.stats(ctx)
	if err != nil {
		return err
	}
	patience := 2*time.Minute + time.Duration(4*float64(more)/b.requestRate*float64(time.Second))
	return await(ctx, question{"every tenant has a token", patience, pollInterval, func() (bool, error) {
		now, err := b.entra.stats(ctx)
		b.progress("%d of %d tokens", now.Tokens-start.Tokens, more)
		return now.Tokens-start.Tokens >= more, err
	}}, worker)
}
