package main

import (
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

func TestParseStatOfAProcess(t *testing.T) {
	used, err := parseStat("42 (a) b (c) S 1 42 42 0 -1 4194560 900 0 1 0 1234 766 0 0 20 0 9 0 100 200 300")
	if err != nil || used != 20*time.Second {
		t.Errorf("got %s, %v, want 20s", used, err)
	}
	for _, line := range []string{"", "42 (a) S 1", "42 (a) S 1 42 42 0 -1 4194560 900 0 1 0 x y 0"} {
		if _, err := parseStat(line); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}

func TestParseMachineTime(t *testing.T) {
	m, err := parseMachineTime("cpu  100 10 40 800 50 0 0 0 77 0\ncpu0 1 2 3 4\n")
	if err != nil || m.busy != 1500*time.Millisecond || m.total != 10*time.Second {
		t.Errorf("got %+v, %v, want 1.5s of 10s: guests are in user time already", m, err)
	}
	if _, err := parseMachineTime("intr 1 2 3 4 5"); err == nil {
		t.Error("no error for another line")
	}
}

func TestKilobytes(t *testing.T) {
	text := []byte("VmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n")
	if n := kilobytes(text, "VmRSS:"); n != 1<<20 {
		t.Errorf("got %d", n)
	}
	if n := kilobytes(text, "RssAnon:"); n != 0 {
		t.Errorf("got %d for a line that is not there", n)
	}
}

const page = `# HELP apiserver_request_total Counter of requests.
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",resource="secrets",subresource="",verb="PUT"} 1.2e+02
apiserver_request_total{code="409",resource="secrets",subresource="",verb="PUT"} 3
apiserver_request_total{code="200",resource="defendertenants",subresource="status",verb="PATCH"} 7
apiserver_request_total{code="200",resource="secrets",subresource="",verb="LIST"} 9
apiserver_request_total_other{verb="PUT",resource="secrets"} 1000
plain{text="a \"quoted\", {braced} = text"} 4
bare 5 1700000000
`

func TestCountRequests(t *testing.T) {
	samples, err := parseSamples(strings.NewReader(page), requestsMetric)
	if err != nil {
		t.Fatal(err)
	}
	counts := countRequests(samples)
	want := apiRequests{{"PUT", "secrets"}: 123, {"PATCH", "defendertenants/status"}: 7, {"LIST", "secrets"}: 9}
	if !maps.Equal(counts, want) {
		t.Errorf("got %v, want %v", counts, want)
	}
	grown := counts.since(apiRequests{{"PUT", "secrets"}: 100, {"LIST", "secrets"}: 9})
	if grown.writes(secretsResource) != 23 || grown.writes(statusResource) != 7 || len(grown) != 2 {
		t.Errorf("got %v since then", grown)
	}
}

func TestParseSamples(t *testing.T) {
	samples, err := parseSamples(strings.NewReader(page), "plain", "bare")
	if err != nil || len(samples) != 2 {
		t.Fatalf("got %v, %v", samples, err)
	}
	if s := samples[0]; s.labels["text"] != `a "quoted", {braced} = text` || s.value != 4 {
		t.Errorf("got %+v", s)
	}
	if s := samples[1]; len(s.labels) != 0 || s.value != 5 {
		t.Errorf("got %+v", s)
	}
	for _, line := range []string{`bare`, `bare{a=b} 1`, `bare{a="b"}`, `bare x`, `bare{a="b` + "\n"} {
		if found, err := parseSamples(strings.NewReader(line), "bare"); err == nil && len(found) > 0 {
			t.Errorf("%q: got %v", line, found)
		}
	}
}

func TestLateness(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(tenant string, kind entra.Kind, after time.Duration) entra.Request {
		return entra.Request{Tenant: tenant, Kind: kind, Time: start.Add(after)}
	}
	plan := map[string]time.Time{"a": start.Add(30 * time.Second), "b": start.Add(40 * time.Second), "c": start.Add(50 * time.Second)}
	l := lateness(plan, []entra.Request{
		at("a", entra.Token, 3*time.Second), // the one before
		at("a", entra.OpenIDConfiguration, 29*time.Second),
		at("a", entra.Token, 30*time.Second+20*time.Millisecond),
		at("b", entra.Token, 42*time.Second),
		at("b", entra.Token, 70*time.Second), // the one after
		at("c", entra.Token, 20*time.Second),
	}, 10*time.Second)
	if l.missed != 1 || len(l.sorted) != 2 || l.percentile(50) != 20*time.Millisecond || l.percentile(99) != 2*time.Second {
		t.Errorf("got %+v", l)
	}
}

func TestPercentile(t *testing.T) {
	var l latenesses
	if l.percentile(99) != 0 {
		t.Error("a percentile of nothing")
	}
	for i := range 200 {
		l.sorted = append(l.sorted, time.Duration(i+1))
	}
	for p, want := range map[float64]time.Duration{0: 1, 50: 100, 99: 198, 99.9: 200, 100: 200} {
		if got := l.percentile(p); got != want {
			t.Errorf("percentile %v is %d, want %d", p, got, want)
		}
	}
}

func TestRateOf(t *testing.T) {
	var requests []entra.Request
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 200 { // 50 at once, then 50 per second
		requests = append(requests, entra.Request{Kind: entra.Token, Time: start.Add(time.Duration(max(0, i+1-50)) * 20 * time.Millisecond)})
	}
	requests = append(requests, entra.Request{Kind: entra.Discovery, Time: start.Add(time.Hour)})
	if rate := rateOf(requests, 50); math.Abs(rate-50) > 0.01 {
		t.Errorf("got %v per second", rate)
	}
	if rate := rateOf(requests[:10], 50); rate != 0 {
		t.Errorf("got %v per second within the burst", rate)
	}
}

func TestLifetimeMakesTheRate(t *testing.T) {
	for tenants, want := range map[int]time.Duration{5: 10 * time.Second, 1000: time.Minute, 10_000: 10 * time.Minute} {
		if got := (settings{tenants: tenants, refreshRate: 37}).lifetime(); got != want {
			t.Errorf("%d tenants: %s, want %s", tenants, got, want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for value, want := range map[float64]verdict{1.5: good, 1.6: enough, 1.8: enough, 1.9: missed} {
		if got := judge(value, 1.5, 1.8); got != want {
			t.Errorf("%v: %q, want %q", value, got, want)
		}
	}
}

func TestReport(t *testing.T) {
	r := report{heading: []string{"Machine x"}}
	r.add(row{"Secret writes", "1.000", "1", "1", good}, row{"CPU", "2.0 ms = 1.3 ×", "", "", none})
	r.note("Load %d", 3)
	want := "Machine x\n\nwhat           measured        bound  goal\nSecret writes  1.000           1      1     ok\nCPU            2.0 ms = 1.3 ×\n\nLoad 3\n"
	if got := r.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := r.markdown(); !strings.Contains(got, "| Secret writes | 1.000 | 1 | 1 | ok |\n") || !strings.Contains(got, "|---|---|---|---|---|\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestParseRefusesNonsense(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-window", "0s"}, {"-unknown"}, {"-floor-workers", "0"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
