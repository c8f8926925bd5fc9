package health_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

const login = "login.example"

// desk is a Health on a clock that only the test moves.
type desk struct {
	*health.Health
	t       *testing.T
	now     time.Time
	changed []string

	changedApps []string
}

func newDesk(t *testing.T, limit float64, workers int) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)}
	d.Health = health.New(health.Options{
		RequestsPerSecond: limit, Workers: workers,
		Changed:    func(host string) { d.changed = append(d.changed, host) },
		AppChanged: func(app string) { d.changedApps = append(d.changedApps, app) },
	})
	return d
}

// visitor is a tenant that was served before and whose token has 40 minutes left.
func (d *desk) visitor(namespace string, n int, changes ...func(*health.Visitor)) health.Visitor {
	v := health.Visitor{
		Key:      types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("tenant-%03d", n)},
		TenantID: fmt.Sprintf("customer-%s-%d", namespace, n),
		Host:     login, App: "partner", Served: true, ExpiresAt: d.now.Add(40 * time.Minute),
	}
	for _, change := range changes {
		change(&v)
	}
	return v
}

func neverServed(v *health.Visitor) { v.Served, v.ExpiresAt = false, time.Time{} }

func refusedApp(v *health.Visitor) { v.Refused = credentialRefused() }

func endsIn(d *desk, left time.Duration) func(*health.Visitor) {
	return func(v *health.Visitor) { v.ExpiresAt = d.now.Add(left) }
}

func hostAway() *token.Fault {
	return &token.Fault{Reason: v1alpha1.ReasonEntraUnavailable, Message: "It is away.", Scope: token.ScopeHost, TraceID: "of one answer"}
}

func throttled(after time.Duration) *token.Fault {
	return &token.Fault{Reason: v1alpha1.ReasonThrottled, Message: "Fewer requests, please.", Scope: token.ScopeHost, After: after}
}

func credentialRefused() *token.Fault {
	return &token.Fault{Reason: v1alpha1.ReasonCredentialRefused, Message: "The credential is refused.", Scope: token.ScopeCredential}
}

func notConsented() *token.Fault {
	return &token.Fault{Reason: v1alpha1.ReasonConsentRequired, Scope: token.ScopeTenant}
}

// ask enters and must get a turn.
func (d *desk) ask(v health.Visitor) health.Turn {
	d.t.Helper()
	turn, hold := d.Enter(v, d.now)
	if hold != nil {
		d.t.Fatalf("%s got no turn: %+v", v.Key, hold.Fault)
	}
	return turn
}

// waits enters and must get none.
func (d *desk) waits(v health.Visitor) {
	d.t.Helper()
	_ = d.told(v)
}

// told enters, must get no turn, and gives what the visitor waits for.
func (d *desk) told(v health.Visitor) *token.Fault {
	d.t.Helper()
	_, hold := d.Enter(v, d.now)
	if hold == nil {
		d.t.Fatalf("%s got a turn", v.Key)
	}
	return hold.Fault
}

// ends asks and ends at once with an outcome.
func (d *desk) ends(v health.Visitor, outcome *token.Fault) {
	d.t.Helper()
	d.Leave(d.ask(v), outcome, d.now)
}

// called are the names of those whose turn has come.
func (d *desk) called() []string {
	d.t.Helper()
	visitors, _ := d.Call(d.now)
	var names []string
	for _, v := range visitors {
		names = append(names, v.Key.String())
	}
	return names
}

func (d *desk) expectCalled(want ...string) {
	d.t.Helper()
	if got := d.called(); !slices.Equal(got, want) {
		d.t.Fatalf("called at %s: %v, want %v", d.now.Format(time.TimeOnly), got, want)
	}
}

func (d *desk) pass(by time.Duration) { d.now = d.now.Add(by) }

// breakDown makes the host fail until the breaker is open. Turns come one by one.
func (d *desk) breakDown() {
	d.t.Helper()
	for i := range 10 {
		d.ends(d.visitor("soc", 900+i), hostAway())
		d.pass(time.Second)
	}
	if d.Of(login).Fault == nil {
		d.t.Fatal("ten failures of ten tenants that were served did not open the breaker")
	}
}
