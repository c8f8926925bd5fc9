package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/defender-tenant/operator/test/entra"
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
		machineLines(b.world.kubernetes)...)}
	countRows(out, r)
	cpuRows(out, r)
	memoryRows(out, r, b.tenants)
	b.paceRows(out, r)
	restartRows(out, r.restart)
	notes(out, r, b.dueRate())
	return out
}

// notes tell how the numbers came about and how far they can be trusted.
func notes(out *report, r results, planned float64) {
	out.note("Counts are exact: they were taken while nothing was under way. CPU is that of one window, in which the operator and the floor worked at the same time, each with an API server and an emulator of its own.")
	for _, w := range []struct {
		name string
		window
	}{{"operator", r.steady}, {"floor", r.floor}} {
		out.note("Window of the %s: %.1f s, %d refreshes, %.1f per second (planned %.1f), cores %.0f %% busy.",
			w.name, w.length.Seconds(), w.tokens, w.perSecond(), planned, w.busy*100)
	}
	out.note("Load average of the last 1, 5 and 15 minutes: %s.", loadAverages())
	const crowded = 0.9
	if r.steady.busy > crowded || r.steady.perSecond() < crowded*planned || r.floor.perSecond() < crowded*planned {
		out.note("THE MACHINE WAS TOO BUSY: times and lateness say little, and ratios less than they should.")
	}
	for _, phase := range []struct {
		name     string
		requests apiRequests
	}{{"the first tokens", r.fill.api}, {"the refreshes", r.refreshes.api}, {"the restart", r.restart.api}, {"the floor", r.bare.api}} {
		out.note("Other requests to the API server, of all its clients, with %s: %s.", phase.name, others(phase.requests))
	}
}

// countRows compare counts that were taken while nothing was under way, so that they are exact.
func countRows(out *report, r results) {
	per := func(count, tokens int) string {
		return fmt.Sprintf("%.3f (%d for %d)", share(count, tokens), count, tokens)
	}
	refreshes := r.refreshes.entra.Tokens
	requests, secrets, status := r.refreshes.entra.Requests[entra.Token], r.refreshes.api.writes(secretsResource), r.refreshes.api.writes(statusResource)
	other := r.refreshes.entra.Requests[entra.OpenIDConfiguration]
	out.add(
		row{"token requests per refresh", per(requests, refreshes), "1", "1", holds(requests == refreshes)},
		row{"other requests to Entra ID", fmt.Sprint(other), "0", "0", holds(other == 0)},
		row{"Secret writes per refresh", per(secrets, refreshes), "1", "1", holds(secrets == refreshes)},
		row{"status writes per refresh", per(status, refreshes), "<= 1", "<= 1", holds(status <= refreshes)},
		row{"the same per first token", firstTokens(r.fill), "", "2, 1, 1", none},
	)
}

func firstTokens(f fillResult) string {
	return fmt.Sprintf("%.3f requests, %.3f Secret, %.3f status", share(f.entra.asked(), f.entra.Tokens),
		share(f.api.writes(secretsResource), f.entra.Tokens), share(f.api.writes(statusResource), f.entra.Tokens))
}

func share(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }

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

// enough refreshes to judge CPU by: it is counted in hundredths of a second.
const enoughRefreshes = 500

func cpuRows(out *report, r results) {
	cpu := func(what string, mine, bare, goal, bound float64) {
		judged := none
		if min(r.steady.tokens, r.floor.tokens) >= enoughRefreshes {
			judged = judge(mine/bare, goal, bound)
		}
		out.add(
			row{what + " CPU per refresh", fmt.Sprintf("%.2f ms = %.2f x floor", mine, mine/bare), times(bound), times(goal), judged},
			row{"  floor", fmt.Sprintf("%.2f ms", bare), "", "", none},
		)
	}
	cpu("operator", r.steady.each(r.steady.worker), r.floor.each(r.floor.worker), goalWorkerCPU, boundWorkerCPU)
	cpu("kube-apiserver", r.steady.each(r.steady.server), r.floor.each(r.floor.server), goalServerCPU, boundServerCPU)
	idle := r.idle.server.Seconds() / r.idle.length.Seconds() * 1000
	out.add(row{"  without any work", fmt.Sprintf("%.1f ms per second", idle), "", "", none})
}

func times(factor float64) string { return fmt.Sprintf("<= %.2f x", factor) }

// enoughTenants to divide memory by: with fewer the working of the first is all that shows.
const enoughTenants = 500

func memoryRows(out *report, r results, tenants int) {
	show := func(m memoryState) string {
		return fmt.Sprintf("%.1f MiB (own %.1f, peak %.1f, live heap %.1f)",
			float64(m.resident)/mib, float64(m.own)/mib, float64(m.peak)/mib, m.liveHeap/mib)
	}
	each := float64(r.worked.resident-r.empty.resident) / kib / float64(tenants)
	most := goalBase + goalPerTenant*float64(tenants)/kib
	total := float64(r.worked.resident) / mib
	bounded := none
	if tenants >= enoughTenants {
		bounded = holds(each <= boundPerTenant)
	}
	out.add(
		row{"memory per tenant over the empty operator", fmt.Sprintf("%.1f KiB", each), fmt.Sprintf("<= %.0f KiB", boundPerTenant), "", bounded},
		row{"  own memory, without the program's file", fmt.Sprintf("%.1f KiB", float64(r.worked.own-r.empty.own)/kib/float64(tenants)), "", "", none},
		row{"  live heap per tenant", fmt.Sprintf("%.1f KiB", (r.worked.liveHeap-r.empty.liveHeap)/kib/float64(tenants)), "", "", none},
		row{"memory at work", show(r.worked), "", fmt.Sprintf("<= %.0f MiB", most), holds(total <= most)},
		row{"  empty", show(r.empty), "", "", none},
		row{"  after the first tokens", show(r.filled), "", "", none},
		row{"  after a restart", show(r.restart.memory), "", "", none},
	)
}

func (b *bench) paceRows(out *report, r results) {
	part := r.fill.rate / b.requestRate
	judged := holds(part >= goalFill)
	if r.fill.rate == 0 {
		judged = none
	}
	p99 := r.late.percentile(99)
	out.add(
		row{"first tokens of all tenants", fmt.Sprintf("%.1f s, CPU of the operator %.1f ms each", r.fill.seconds, r.fill.cpu.Seconds()*1000/float64(b.tenants)), "", "", none},
		row{"  requests to Entra ID after the burst", fmt.Sprintf("%.1f/s = %.0f %% of the limit", r.fill.rate, part*100), "", fmt.Sprintf(">= %.0f %%", goalFill*100), judged},
		row{"refresh lateness, p99", milliseconds(p99), "", "< " + goalLateness.String(), holds(p99 < goalLateness && r.late.missed == 0)},
		row{"  p50, longest, missing", fmt.Sprintf("%s, %s, %d of %d", milliseconds(r.late.percentile(50)), milliseconds(r.late.percentile(100)), r.late.missed, len(r.late.sorted)+r.late.missed), "", "", none},
	)
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.0f ms", d.Seconds()*1000) }

func restartRows(out *report, r restartResult) {
	asked := r.entra.asked()
	writes := r.api.writes(secretsResource) + r.api.writes(statusResource)
	out.add(
		row{"requests to Entra ID after a restart", fmt.Sprint(asked), "0", "0", holds(asked == 0)},
		row{"writes of Secrets and status after a restart", fmt.Sprint(writes), "0", "0", holds(writes == 0)},
		row{"  ready, schedule complete", fmt.Sprintf("%s, %s", milliseconds(r.ready), milliseconds(r.scheduled)), "", "< " + goalScheduled.String(), holds(r.scheduled < goalScheduled)},
		row{"  CPU of the operator until then", milliseconds(r.cpu), "", "", none},
	)
}
