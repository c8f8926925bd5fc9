package main

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

// operator is the running operator and where it answers.
type operator struct {
	*process
	metrics string
	probe   string
}

// startOperator starts the operator and waits until it is ready.
func (b *bench) startOperator(ctx context.Context) (*operator, error) {
	metrics, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	probe, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.launch(ctx, b.world.dir, "operator", filepath.Join(b.dir, "operator"),
		"--kubeconfig", b.world.kubeconfig, "--authority-url", b.world.entra.url, "--ca-bundle", b.world.caFile, "--min-token-lifetime", "1s",
		"--token-requests-per-second", strconv.FormatFloat(b.requestRate, 'f', -1, 64),
		"--metrics-bind-address", metrics, "--health-probe-bind-address", probe)
	if err != nil {
		return nil, err
	}
	o := &operator{process: p, metrics: "http://" + metrics + "/metrics", probe: "http://" + probe + "/readyz"}
	return o, await(ctx, question{"the operator is ready", time.Minute, pollInterval, func() (bool, error) {
		_, err := scrape(ctx, http.DefaultClient, o.probe)
		return err == nil, err
	}}, p)
}

// The operator's own metrics that are shown.
const (
	liveHeapMetric   = "go_gc_heap_live_bytes"
	reconcilesMetric = "controller_runtime_reconcile_total"
)

// metric adds the samples of a metric of the operator; of reconciles, those of DefenderTenants.
func (o *operator) metric(ctx context.Context, name string) (float64, error) {
	samples, err := scrape(ctx, http.DefaultClient, o.metrics, name)
	sum := 0.0
	for _, s := range samples {
		if controller, labelled := s.labels["controller"]; !labelled || controller == "defendertenant" {
			sum += s.value
		}
	}
	return sum, err
}

// memoryState is what the operator needs at a stage of the run.
type memoryState struct {
	memoryUse
	liveHeap float64
}

// memory averages over some seconds, in which garbage comes and goes.
func (o *operator) memory(ctx context.Context) (m memoryState, err error) {
	const samples = 5
	for range samples {
		if err := pause(ctx, time.Second, o.process); err != nil {
			return m, err
		}
		now, err := memoryOf(o.pid)
		if err != nil {
			return m, err
		}
		m.resident += now.resident / samples
		m.own += now.own / samples
		m.peak = now.peak
	}
	m.liveHeap, err = o.metric(ctx, liveHeapMetric)
	return m, err
}
