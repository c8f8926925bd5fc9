package tenant_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// With one request a second the second token of a tenant has to queue.
func TestARefreshRequestReachesATokenThatHasToQueue(t *testing.T) {
	w := worldWithRate(t, 1)
	w.grant()
	w.entra.SetLifetime(customer, 40*time.Minute)
	w.entra.Consent(customer, clientID)
	w.apply(v1alpha1.TokenSpec{Name: "xdr", API: "DefenderXDR"}, v1alpha1.TokenSpec{Name: "graph", API: "MicrosoftGraph"})
	w.eventually("both tokens are there", func() bool { return w.token("contoso-xdr") != "" && w.token("contoso-graph") != "" })
	w.pass(time.Minute)
	xdrBefore, graphBefore := w.token("contoso-xdr"), w.token("contoso-graph")
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", "now") })
	w.pass(3 * time.Minute)
	if got := w.tenant().Status.LastHandledRefresh; got != "now" {
		t.Errorf("acknowledged %q", got)
	}
	if w.token("contoso-xdr") == xdrBefore {
		t.Error("token xdr was not renewed")
	}
	if w.token("contoso-graph") == graphBefore {
		t.Error("token graph was not renewed")
	}
	asked := w.requests()
	w.pass(5 * time.Minute)
	if more := w.requests() - asked; more != 0 {
		t.Errorf("%d requests after both tokens were renewed", more)
	}
}

// Six customers have not consented. After a restart all but one have to queue before they are asked again.
func TestARestartKeepsWhatIsKnownOfThoseWhoHaveToQueue(t *testing.T) {
	w := worldWithRate(t, 1)
	w.create(&v1alpha1.DefenderGrant{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Spec:       v1alpha1.DefenderGrantSpec{App: w.app, Namespaces: []string{w.namespace}, TenantIDs: []string{"*"}, APIs: []string{"DefenderXDR"}},
	})
	var all []*v1alpha1.DefenderTenant
	for i := range 6 {
		id := emulator.TenantID("f", i)
		w.entra.AddTenant(id)
		o := &v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("customer-%02d", i)},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: id, App: w.app},
		}
		w.create(o)
		all = append(all, o)
	}
	w.pass(10 * time.Minute)
	if n := w.count(all, v1alpha1.ConditionReady, "False", v1alpha1.ReasonConsentRequired); n != 6 {
		t.Fatalf("%d of 6 say ConsentRequired before the restart", n)
	}
	asked := w.requests()
	_, written := w.writes.totals()
	w.halt()
	w.start()
	w.settle()
	if n := w.requests() - asked; n == 6 {
		t.Fatal("nobody had to queue")
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionConsentGranted} {
		if n := w.count(all, kind, "False", v1alpha1.ReasonConsentRequired); n != 6 {
			t.Errorf("%d of 6 still say %s ConsentRequired after the restart", n, kind)
		}
	}
	if _, now := w.writes.totals(); now != written {
		t.Errorf("the restart wrote %d times", now-written)
	}
}
