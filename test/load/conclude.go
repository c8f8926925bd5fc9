package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The goals of the design, and the bounds that a run with a thousand tenants must keep on any machine.
const (
	goalWorkerCPU, boundWorkerCPU   = 1.5, 1.8   // times the floor
	goalServerCPU, boundServerCPU   = 1.25, 1.4  // times the floor
	goalPerTenant, boundPerTenant   = 10.0, 25.0 // KiB
	goalBase                        = 64.0       // MiB
	goalLateness                    = time.Second
	goalFill                        = 0.95 // of the configured rate
	goalScheduled                   = 30 * time.Second
	mib                             = 1 << 20
	kib                             = 1 << 10
	secretsResource, statusResource = "secrets", "defendertenants/status"
)

// conclude compares what was measured with the goals.
func (b *bench) conclude(r results) *report {
	out := &report{heading: append(
		[]string{fmt.Sprintf("%d tenants, tokens of %s, %s", b.tenants, b.lifetime(), time.Now().UTC().Format(time.DateTime))},
		machineLines(b.kubernetes)...)}
	countRows(out, r)
	cpuRows(out, r)
	memoryRows(out, r, b.tenants)
	b.paceRows(out, r)
	restartRows(out, r.restart)
	loadNotes(out, r)
	return out
}

// exactly tells whether a count is one for each refresh. A refresh that was under way at an edge of the window may be
// counted on one side only.
func exactly(w window, count int) verdict {
	const edges = 2
	return holds(w.tokens > 0 && max(count-w.tokens, w.tokens-count) <= edges)
}

func countRows(out *report, r results) {
	w := r.steady
	secrets, status := w.api.writes(secretsResource), w.api.writes(statusResource)
	per := func(count int) string { return fmt.Sprintf("%.3f (%d for %d)", w.over(count), count, w.tokens) }
	statusVerdict := exactly(w, status)
	if status < w.tokens {
		statusVerdict = good
	}
	out.add(
		row{"token requests per refresh", per(w.tokenRequests), "1", "1", exactly(w, w.tokenRequests)},
		row{"other requests to Entra ID", fmt.Sprint(w.configurations), "0", "0", holds(w.configurations == 0)},
		row{"Secret writes per refresh", per(secrets), "1", "1", exactly(w, secrets)},
		row{"status writes per refresh", per(status), "<= 1", "<= 1", statusVerdict},
	)
	out.note("Other requests to the API server in the operator's window: %s; in the floor's: %s.", others(w.api), others(r.floor.api))
}

// others lists what the API server was asked besides the two writes of a refresh.
func others(requests apiRequests) string {
	kinds := slices.SortedFunc(maps.Keys(requests), func(a, b apiRequest) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.verb, b.verb))
	})
	var texts []string
	for _, kind := range kinds {
		if expected := kind.resource == secretsResource && kind.verb == "PUT" || kind.resource == statusResource && kind.verb == "PATCH"; !expected && kind.resource != "" {
			texts = append(texts, fmt.Sprintf("%s %s %d", kind.verb, kind.resource, requests[kind]))
		}
	}
	return cmp.Or(strings.Join(texts, ", "), "none")
}

func cpuRows(out *report, r results) {
	cpu := func(what string, mine, bare, goal, bound float64) {
		if bare == 0 {
			return
		}
		out.add(
			row{what + " CPU per refresh", fmt.Sprintf("%.2f ms = %.2f x floor", mine, mine/bare), times(bound), times(goal), judge(mine/bare, goal, bound)},
			row{"  floor", fmt.Sprintf("%.2f ms", bare), "", "", none},
		)
	}
	cpu("operator", r.steady.each(r.steady.worker), r.floor.each(r.floor.worker), goalWorkerCPU, boundWorkerCPU)
	cpu("kube-apiserver", r.steady.each(r.steady.apiServer), r.floor.each(r.floor.apiServer), goalServerCPU, boundServerCPU)
	idle := r.idle.apiServer.Seconds() / r.idle.length.Seconds() * 1000
	out.add(row{"  of that without any work", fmt.Sprintf("%.1f ms per second", idle), "", "", none})
}

func times(factor float64) string { return fmt.Sprintf("<= %.2f x", factor) }

func memoryRows(out *report, r results, tenants int) {
	show := func(m memoryState) string {
		return fmt.Sprintf("%.1f MiB (Pss %.1f, peak %.1f, live heap %.1f)",
			float64(m.resident)/mib, float64(m.proportional)/mib, float64(m.peak)/mib, m.liveHeap/mib)
	}
	each := float64(r.worked.resident-r.empty.resident) / kib / float64(tenants)
	most := goalBase + goalPerTenant*float64(tenants)/kib
	total := float64(r.worked.resident) / mib
	out.add(
		row{"memory per tenant over the empty operator", fmt.Sprintf("%.1f KiB", each), fmt.Sprintf("<= %.0f KiB", boundPerTenant), "", holds(each <= boundPerTenant)},
		row{"  live heap per tenant", fmt.Sprintf("%.1f KiB", (r.worked.liveHeap-r.empty.liveHeap)/kib/float64(tenants)), "", "", none},
		row{"memory at work", show(r.worked), "", fmt.Sprintf("<= %.0f MiB", most), holds(total <= most)},
		row{"  empty", show(r.empty), "", "", none},
		row{"  after the first tokens", show(r.filled), "", "", none},
		row{"  after a restart", show(r.restart.memory), "", "", none},
	)
}

func (b *bench) paceRows(out *report, r results) {
	fill, share := r.fill, r.fill.rate/b.requestRate
	verdict := holds(share >= goalFill)
	if fill.rate == 0 {
		verdict = none
	}
	p99 := r.late.percentile(99)
	out.add(
		row{"first tokens of all tenants", fmt.Sprintf("%.1f s, %d requests, %.0f ms CPU of the operator each", fill.seconds, fill.requests, fill.cpu.Seconds()*1000/float64(b.tenants)), "", "", none},
		row{"  request rate after the burst", fmt.Sprintf("%.1f/s = %.0f %% of the limit", fill.rate, share*100), "", fmt.Sprintf(">= %.0f %%", goalFill*100), verdict},
		row{"refresh lateness, p99", milliseconds(p99), "", "< " + goalLateness.String(), holds(p99 < goalLateness && r.late.missed == 0)},
		row{"  p50, longest, missing", fmt.Sprintf("%s, %s, %d of %d", milliseconds(r.late.percentile(50)), milliseconds(r.late.percentile(100)), r.late.missed, len(r.late.sorted)+r.late.missed), "", "", none},
		row{"refreshes per second", fmt.Sprintf("%.1f (planned %.1f; floor %.1f)", perSecond(r.steady), b.dueRate(), perSecond(r.floor)), "", "", none},
	)
}

func perSecond(w window) float64 { return float64(w.tokens) / w.length.Seconds() }

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.0f ms", d.Seconds()*1000) }

func restartRows(out *report, r restartResult) {
	asked := r.tokenRequests + r.configurations
	writes := r.api.writes(secretsResource) + r.api.writes(statusResource)
	out.add(
		row{"requests to Entra ID after a restart", fmt.Sprint(asked), "0", "0", holds(asked == 0)},
		row{"writes of Secrets and status after a restart", fmt.Sprint(writes), "0", "0", holds(writes == 0)},
		row{"  ready, schedule complete", fmt.Sprintf("%s, %s", milliseconds(r.ready), milliseconds(r.scheduled)), "", "< " + goalScheduled.String(), holds(r.scheduled < goalScheduled)},
		row{"  CPU of the operator until then", milliseconds(r.cpu), "", "", none},
	)
	out.note("Requests to the API server around the restart: %s.", others(r.api))
}

// loadNotes tell how far the numbers can be trusted.
func loadNotes(out *report, r results) {
	for _, w := range []struct {
		name string
		window
	}{{"operator", r.steady}, {"floor", r.floor}} {
		out.note("Window of the %s: %.1f s, %d refreshes, load average %s, cores %.0f %% busy, of which %.0f points with it and the API server.",
			w.name, w.length.Seconds(), w.tokens, w.load, w.busy*100, w.ours*100)
	}
}
