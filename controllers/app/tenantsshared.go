package app

import (
	"fmt"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// maxNamed bounds the customers, and the namespaces of each, that a message names.
const maxNamed = 5

// setTenantsShared tells the platform team, and nobody else, of customers that several namespaces want: a
// DefenderTenant says nothing of other namespaces.
func (r *Reconciler) setTenantsShared(app *v1alpha1.DefenderApp, now time.Time) {
	shared := r.roster.shared(app.Name)
	if len(shared) == 0 {
		apimeta.RemoveStatusCondition(&app.Status.Conditions, v1alpha1.ConditionTenantsShared)
		return
	}
	setterOf(&app.Status, now)(v1alpha1.ConditionTenantsShared, metav1.ConditionTrue, v1alpha1.ReasonSeveralNamespaces, sharingMessage(shared))
}

func sharingMessage(shared []sharing) string {
	var tenants []string
	for _, s := range shared {
		tenants = append(tenants, fmt.Sprintf("%s (%s)", s.tenantID, enumerate(s.namespaces)))
	}
	return "DefenderTenants in more than one namespace want the same customer: " + enumerate(tenants) +
		". If one of them should not, the platform team must take its namespace out of the DefenderGrants."
}

// enumerate lists the first few and says how many more there are.
func enumerate(items []string) string {
	if more := len(items) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:maxNamed], ", "), more)
	}
	return strings.Join(items, ", ")
}
