package app

import (
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
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

// addShared adds what concerns all tenants of an application.
func (r *Reconciler) addShared(app *v1alpha1.DefenderApp, now time.Time) {
	set := setterOf(&app.Status, now)
	host := r.Catalog.Login(app.Spec.Cloud).Host()
	setReachable(set, app.Status.Conditions, host, r.Health.Of(host))
	if cause := r.Health.OfApp(app.Name, now); cause != nil && !app.Spec.Suspend {
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, cause.Reason, cause.Message)
	}
}

// setReachable says once what would otherwise be said by every tenant. After a restart nobody has been asked yet: what was
// last known of the host stays.
func setReachable(set setter, former []metav1.Condition, host string, standing health.Standing) {
	last := apimeta.FindStatusCondition(former, v1alpha1.ConditionEntraReachable)
	switch {
	case !standing.Known && last != nil && strings.Contains(last.Message, host):
		set(v1alpha1.ConditionEntraReachable, last.Status, last.Reason, last.Message)
	case !standing.Known:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionUnknown, v1alpha1.ReasonPending, host+" has not been asked yet.")
	case standing.Fault == nil:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionTrue, v1alpha1.ReasonEntraReachable, host+" answers.")
	default:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionFalse, standing.Fault.Reason,
			standing.Fault.Message+" Until then one customer at a time asks for all; the others keep their tokens and wait.")
	}
}
