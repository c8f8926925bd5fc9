package tenant_test

import (
	"strings"
	"testing"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// Entra ID has been asked when the operator is told to stop. The answer is not thrown away.
func TestATokenOnItsWayIsStoredAlthoughTheOperatorStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	former := w.token("contoso-xdr")
	stop := w.operator.stop
	w.entra.Inject(customer, emulator.Fault{Mutate: func(map[string]any) { stop() }}, 1)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", "now") })
	w.must(<-w.operator.done)
	w.operator = nil
	if w.token("contoso-xdr") == former {
		t.Error("the token that was on its way is lost")
	}
	if got := w.tenant().Status.LastHandledRefresh; got != "now" {
		t.Errorf("the status acknowledges %q", got)
	}
	if strings.Contains(w.log.String(), "Reconciler error") {
		t.Error("stopping is logged as an error")
	}
}
