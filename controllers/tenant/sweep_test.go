package tenant

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

func TestLate_TellsWhatATimerShouldHaveDone(t *testing.T) {
	for name, row := range map[string]struct {
		refreshAt string
		at        time.Duration
		want      bool
	}{
		"before the renewal":                    {"2026-11-02T12:27:00Z", 10 * time.Minute, false},
		"at the renewal":                        {"2026-11-02T12:27:00Z", 27 * time.Minute, false},
		"half a minute after the renewal":       {"2026-11-02T12:27:00Z", 27*time.Minute + 30*time.Second, false},
		"more than half a minute after it":      {"2026-11-02T12:27:00Z", 27*time.Minute + 31*time.Second, true},
		"after its end, whatever was planned":   {"2027-11-02T12:27:00Z", 59*time.Minute + time.Second, true},
		"without a plan":                        {"", 5 * time.Hour, false},
		"with a plan that nobody can read":      {"tomorrow", 5 * time.Hour, false},
		"the clock was set back after the plan": {"2026-11-02T12:27:00Z", -5 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := goodHolding()
			h.secret.Annotations = map[string]string{"defender.tenant-operator.dev/refresh-at": row.refreshAt}
			if got := late(h, after(row.at)); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestSweepCheck_FailsWhenTheSweepIsSilent(t *testing.T) {
	clk := clocktesting.NewFakeClock(noon())
	s := newSweep(&Reconciler{Clock: clk})
	check := func(name string, healthy bool) {
		t.Helper()
		if err := s.check(nil); (err == nil) != healthy {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("a replica that does not lead", true)
	clk.Step(time.Hour)
	check("a replica that did not lead for an hour", true)
	s.last.Store(clk.Now().UnixNano())
	check("the controller has just started", true)
	clk.Step(90 * time.Second)
	check("the sweep is late by two rounds", true)
	clk.Step(time.Second)
	check("the sweep is silent", false)
	if err := s.check(nil); err == nil || err.Error() != "the sweep has been silent for 1m31s" {
		t.Errorf("got %v", err)
	}
	s.last.Store(clk.Now().UnixNano())
	check("the sweep is back", true)
}

// sweptQueue notes who is woken.
type sweptQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	woken []string
}

func (q *sweptQueue) Add(r reconcile.Request) { q.woken = append(q.woken, r.Namespace+"/"+r.Name) }

// shownSecret is a token Secret as the cache shows it.
func shownSecret(t *testing.T, name, owner string, change func(*corev1.Secret)) *corev1.Secret {
	t.Helper()
	secret := filled()
	secret.Name, secret.ResourceVersion, secret.OwnerReferences[0].Name = name, "", owner
	secret = strip(t, secret)
	change(secret)
	return secret
}

func TestSweep_WakesWhatIsOverdueAndCountsIt(t *testing.T) {
	planned := func(refresh, expires string) func(*corev1.Secret) {
		return func(s *corev1.Secret) {
			s.Annotations["defender.tenant-operator.dev/refresh-at"] = refresh
			s.Annotations["defender.tenant-operator.dev/expires-at"] = expires
		}
	}
	unseen := func(name string, age time.Duration, observed int64) *v1alpha1.DefenderTenant {
		tenant := shownWith(name, 1, observed, 0, noon())
		tenant.ResourceVersion, tenant.CreationTimestamp = "", metav1.NewTime(after(time.Hour-age))
		return tenant
	}
	ended := shownSecret(t, "ended", "ended", func(*corev1.Secret) {})
	endedSecret := filled()
	newHolding(strip(t, filled())).emptied(goodSlot(), v1alpha1.StateExpired).writeTo(endedSecret)
	ended.Data = strip(t, endedSecret).Data
	objects := []client.Object{
		shownSecret(t, "comfortable", "comfortable", planned("2026-11-02T13:20:00Z", "2026-11-02T14:00:00Z")),
		shownSecret(t, "overdue", "overdue", planned("2026-11-02T12:50:00Z", "2026-11-02T13:30:00Z")),
		shownSecret(t, "dead", "dead", planned("2026-11-02T12:30:00Z", "2026-11-02T12:59:00Z")),
		shownSecret(t, "orphan", "orphan", func(s *corev1.Secret) {
			planned("2026-11-02T12:50:00Z", "2026-11-02T13:30:00Z")(s)
			s.OwnerReferences = nil
		}),
		ended,
		unseen("never-seen", time.Minute, -1), unseen("just-made", 10*time.Second, -1), unseen("seen", time.Minute, 1),
	}
	registry := prometheus.NewRegistry()
	api := fake.NewClientBuilder().WithScheme(withTenants(t)).WithObjects(objects...).WithStatusSubresource().Build()
	r := &Reconciler{
		Client: api, Secrets: inView(t, api),
		Clock:   clocktesting.NewFakeClock(after(time.Hour)),
		Metrics: NewMetrics(registry), Health: health.New(health.Options{RequestsPerSecond: 50, Workers: 64}),
	}
	q := &sweptQueue{}
	newSweep(r).round(t.Context(), q, after(time.Hour))
	slices.Sort(q.woken)
	if want := []string{"soc/dead", "soc/never-seen", "soc/overdue"}; !slices.Equal(q.woken, want) {
		t.Errorf("woken: %v, want %v", q.woken, want)
	}
	for name, want := range map[string]float64{"defender_tenant_overdue_tokens": 3, "defender_tenant_token_min_remaining_seconds": -60} {
		if got := gauge(t, registry, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestMetrics_CountByOutcome(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	m.requested(nil)
	m.requested(nil)
	m.requested(&token.Fault{Reason: "ConsentRequired"})
	m.wrote()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			got[name] = metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"defender_tenant_token_requests_total outcome=Issued":          2,
		"defender_tenant_token_requests_total outcome=ConsentRequired": 1,
		"defender_tenant_secret_writes_total":                          1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	var silent *Metrics
	silent.requested(nil)
	silent.wrote()
	silent.swept(1, 1)
}

// TestSweep_RunsEveryHalfMinuteOnTheOperatorsClock until the controller stops.
func TestSweep_RunsEveryHalfMinuteOnTheOperatorsClock(t *testing.T) {
	clk := clocktesting.NewFakeClock(noon())
	api := fake.NewClientBuilder().WithScheme(withTenants(t)).Build()
	s := newSweep(&Reconciler{Client: api, Secrets: inView(t, api), Clock: clk, Health: health.New(health.Options{RequestsPerSecond: 50, Workers: 64})})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := s.start(ctx, &sweptQueue{}); err != nil {
		t.Fatal(err)
	}
	for round := 1; round <= 5; round++ {
		clk.Step(30 * time.Second)
		want := clk.Now().UnixNano()
		patience := time.NewTimer(30 * time.Second)
		tick := time.NewTicker(time.Millisecond)
		for s.last.Load() != want {
			select {
			case <-tick.C:
			case <-patience.C:
				t.Fatalf("round %d did not come", round)
			}
		}
		patience.Stop()
		tick.Stop()
	}
}

func withTenants(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, addTo := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := addTo(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}
