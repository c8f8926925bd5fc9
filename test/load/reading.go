package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/defender-tenant/operator/test/entra"
)

// requestsMetric is what the API server counts its requests in.
const requestsMetric = "apiserver_request_total"

// meters are where the numbers come from.
type meters struct {
	emulator  *control
	apiURL    string
	apiClient *http.Client
	apiServer int // process
}

func newMeters(emulator *control, config *rest.Config, apiServer int) (meters, error) {
	client, err := rest.HTTPClientFor(config)
	return meters{emulator: emulator, apiURL: strings.TrimSuffix(config.Host, "/"), apiClient: client, apiServer: apiServer}, err
}

// reading is what all meters show at one moment.
type reading struct {
	at        time.Time
	entra     entraStats
	api       apiRequests
	worker    time.Duration // CPU of the operator or of the floor
	apiServer time.Duration // CPU
	machine   machineTime
}

// window is what happened between two readings.
type window struct {
	length            time.Duration
	tokens            int // issued: one for each refresh
	tokenRequests     int
	configurations    int
	api               apiRequests
	worker, apiServer time.Duration
	busy, ours        float64 // parts of all cores' time
	load              string
}

// read takes a reading while nothing is under way, so that no refresh is counted in part. worker is a process, or zero.
func (m meters) read(ctx context.Context, worker int) (reading, error) {
	const tries = 10
	for try := 1; ; try++ {
		before, err := m.lull(ctx)
		if err != nil {
			return reading{}, err
		}
		seen, err := m.readOnce(ctx, worker)
		if err != nil {
			return reading{}, err
		}
		if seen.entra.asked() == before.asked() || try == tries {
			return seen, nil
		}
	}
}

// lull waits until no request has come for a moment. It gives up after a while: then the edges of the window are not
// exact.
func (m meters) lull(ctx context.Context) (entraStats, error) {
	const patience = 30
	last, err := m.emulator.stats(ctx)
	for range patience {
		if err != nil {
			return last, err
		}
		if err := pause(ctx, 60*time.Millisecond); err != nil {
			return last, err
		}
		now, err := m.emulator.stats(ctx)
		if err != nil || now.asked() == last.asked() {
			return now, err
		}
		last = now
	}
	return last, nil
}

func (m meters) readOnce(ctx context.Context, worker int) (r reading, err error) {
	samples, err := scrape(ctx, m.apiClient, m.apiURL+"/metrics", requestsMetric)
	if err != nil {
		return r, fmt.Errorf("read the API server's metrics: %w", err)
	}
	r.api = countRequests(samples)
	if r.entra, err = m.emulator.stats(ctx); err != nil {
		return r, err
	}
	if worker != 0 {
		if r.worker, err = cpuOf(worker); err != nil {
			return r, err
		}
	}
	if r.apiServer, err = cpuOf(m.apiServer); err != nil {
		return r, err
	}
	r.at = time.Now()
	r.machine, err = readMachineTime()
	return r, err
}

// since is the window between two readings.
func (r reading) since(start reading) window {
	w := window{
		length:         r.at.Sub(start.at),
		tokens:         r.entra.Tokens - start.entra.Tokens,
		tokenRequests:  r.entra.Requests[entra.Token] - start.entra.Requests[entra.Token],
		configurations: r.entra.Requests[entra.OpenIDConfiguration] - start.entra.Requests[entra.OpenIDConfiguration],
		api:            r.api.since(start.api),
		worker:         r.worker - start.worker,
		apiServer:      r.apiServer - start.apiServer,
		load:           load(),
	}
	if total := r.machine.total - start.machine.total; total > 0 {
		w.busy = float64(r.machine.busy-start.machine.busy) / float64(total)
		w.ours = float64(w.worker+w.apiServer) / float64(total)
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

// over is a count divided by the refreshes of the window.
func (w window) over(count int) float64 {
	if w.tokens == 0 {
		return 0
	}
	return float64(count) / float64(w.tokens)
}

// observe takes a window of the given length while a process works.
func (m meters) observe(ctx context.Context, length time.Duration, worker *process) (window, error) {
	start, err := m.read(ctx, worker.pid)
	if err != nil {
		return window{}, err
	}
	if err := pause(ctx, length, worker); err != nil {
		return window{}, err
	}
	end, err := m.read(ctx, worker.pid)
	return end.since(start), err
}
