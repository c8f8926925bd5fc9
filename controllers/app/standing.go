package app

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

// Health tells what the tenants of an application have in common.
type Health interface {
	// Of tells how a login host stands.
	Of(host string) health.Standing
	// OfApp is what many tenants of an application suffer from alike, or nil.
	OfApp(app string, now time.Time) *token.Fault
}

// setReachable says once what would otherwise be said by every tenant.
func setReachable(set setter, host string, standing health.Standing) {
	switch {
	case !standing.Known:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionUnknown, v1alpha1.ReasonPending, host+" has not been asked yet.")
	case standing.Fault == nil:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionTrue, v1alpha1.ReasonEntraReachable, host+" answers.")
	default:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionFalse, standing.Fault.Reason,
			standing.Fault.Message+" Until then one customer at a time asks for all; the others keep their tokens and wait.")
	}
}
