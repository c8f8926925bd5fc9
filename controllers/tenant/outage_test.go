package tenant_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// fleet applies n customers, whose tokens live an hour, and waits for the first ones.
func (w *world) fleet(n int) []*v1alpha1.DefenderTenant {
	w.t.Helper()
	grant := &v1alpha1.DefenderGrant{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Spec:       v1alpha1.DefenderGrantSpec{App: w.app, Namespaces: []string{w.namespace}, TenantIDs: []string{"*"}, APIs: []string{"DefenderXDR"}},
	}
	w.create(grant)
	var all []*v1alpha1.DefenderTenant
	for i := range n {
		id := emulator.TenantID("f", i)
		w.entra.AddTenant(id)
		w.entra.Consent(id, clientID)
		object := &v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("customer-%02d", i)},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: id, App: w.app},
		}
		w.create(object)
		all = append(all, object)
	}
	w.eventually("every customer has a token", func() bool { return w.readyOf(all) == n })
	return all
}

// readyOf counts those whose token works by their status.
func (w *world) readyOf(all []*v1alpha1.DefenderTenant) int {
	w.t.Helper()
	return w.count(all, v1alpha1.ConditionReady, "True", v1alpha1.ReasonTokensReady)
}

func (w *world) count(all []*v1alpha1.DefenderTenant, kind string, status metav1.ConditionStatus, reason string) int {
	w.t.Helper()
	n := 0
	for _, object := range all {
		w.must(w.Get(w.ctx, client.ObjectKeyFromObject(object), object))
		for _, c := range object.Status.Conditions {
			if c.Type == kind && c.Status == status && c.Reason == reason {
				n++
			}
		}
	}
	return n
}

// TestOutage_OneCanaryAsksForTheWholeFleet: everybody is due, nobody loses a token, and the
// login host sees a canary and no crowd.
func TestOutage_OneCanaryAsksForTheWholeFleet(t *testing.T) {
	w := newWorld(t)
	all := w.fleet(24)
	w.entra.Inject("", emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.pass(31 * time.Minute) // all are due by now, and the breaker is open
	if n := w.count(all, v1alpha1.ConditionDegraded, "True", v1alpha1.ReasonRefreshFailing); n != 24 {
		t.Errorf("%d of 24 say that their renewal fails", n)
	}
	requests := w.requests()
	w.pass(20 * time.Minute)
	// The clock of the test goes in strides of 15 s: 80 of them. Each on its own, they would have been 960.
	if n := w.requests() - requests; n < 40 || n > 80 {
		t.Errorf("%d requests in 20 minutes, want one canary per stride", n)
	}
	if n := w.readyOf(all); n != 24 {
		t.Errorf("%d of 24 are ready during the outage", n)
	}

	// A request of a person waits with the others, and is not forgotten.
	annotated := all[7]
	edit(w, annotated, func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", "now") })
	w.pass(time.Minute)
	w.entra.Clear("")
	requests = w.requests()
	w.pass(time.Minute)
	if n := w.count(all, v1alpha1.ConditionDegraded, "False", v1alpha1.ReasonAsExpected); n != 24 {
		t.Errorf("%d of 24 are well a minute after the outage", n)
	}
	if n := w.requests() - requests; n < 24 || n > 26 {
		t.Errorf("%d requests after the outage, want one for each of 24", n)
	}
	for _, object := range all {
		if left := object.Status.ExpiresAt.Sub(w.clock.Now()); left < 55*time.Minute {
			t.Errorf("%s was not renewed, its token has %s left", object.Name, left)
		}
	}
	w.must(w.Get(w.ctx, client.ObjectKeyFromObject(annotated), annotated))
	if annotated.Status.LastHandledRefresh != "now" {
		t.Error("the refresh that a person asked for was forgotten")
	}
}

// TestThrottled_AllWaitAsLongAsEntraSays: after two customers were told to wait, nobody asks.
func TestThrottled_AllWaitAsLongAsEntraSays(t *testing.T) {
	w := newWorld(t)
	all := w.fleet(24)
	w.entra.Inject("", emulator.Fault{Status: 429, Body: "{}", RetryAfter: "240"}, 0)
	w.pass(31 * time.Minute)
	requests := w.requests()
	w.pass(4 * time.Minute)
	if n := w.requests() - requests; n > 2 {
		t.Errorf("%d requests in four minutes, want a canary or two", n)
	}
	w.entra.Clear("")
	w.pass(6 * time.Minute)
	if n := w.count(all, v1alpha1.ConditionDegraded, "False", v1alpha1.ReasonAsExpected); n != 24 {
		t.Errorf("%d of 24 are well after Entra ID has ended it", n)
	}
}
