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
func (r *Reconciler) addShared(before, app *v1alpha1.DefenderApp, now time.Time) {
	set := setterOf(&app.Status, now)
	host := r.Catalog.Login(app.Spec.Cloud).Host()
	standing := r.Health.Of(host)
	setReachable(set, app.Status.Conditions, host, standing)
	cause := r.Health.OfApp(app.Name, now)
	switch {
	case app.Spec.Suspend:
	case cause != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, cause.Reason, cause.Message)
	case !standing.Known:
		keepTrouble(set, before, app)
	}
	keepTimes(before.Status.Conditions, app.Status.Conditions)
}

// keepTrouble goes on telling what many customers reported before a restart: nobody has been
// asked since then. The credentials of an application never have these reasons.
func keepTrouble(set setter, before, app *v1alpha1.DefenderApp) {
	was := apimeta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	if was == nil || was.Status != metav1.ConditionFalse || was.ObservedGeneration != app.Generation ||
		!apimeta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady) {
		return
	}
	if was.Reason == v1alpha1.ReasonAppMisconfigured || was.Reason == v1alpha1.ReasonAppDisabled {
		set(v1alpha1.ConditionReady, was.Status, was.Reason, was.Message)
	}
}

// keepTimes undoes what setting a condition twice in one pass does to the time of its change.
func keepTimes(former, conditions []metav1.Condition) {
	for i := range conditions {
		was := apimeta.FindStatusCondition(former, conditions[i].Type)
		if was != nil && was.Status == conditions[i].Status {
			conditions[i].LastTransitionTime = was.LastTransitionTime
		}
	}
}

// setReachable says once what would otherwise be said by every tenant. After a restart nobody
// has been asked yet: what was last known of the host stays. Each message begins with the host.
func setReachable(set setter, former []metav1.Condition, host string, standing health.Standing) {
	last := apimeta.FindStatusCondition(former, v1alpha1.ConditionEntraReachable)
	switch {
	case !standing.Known && last != nil && speaksOf(last.Message, host):
		set(v1alpha1.ConditionEntraReachable, last.Status, last.Reason, last.Message)
	case !standing.Known:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionUnknown, v1alpha1.ReasonPending, host+" has not been asked yet.")
	case standing.Fault == nil:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionTrue, v1alpha1.ReasonEntraReachable, host+" answers.")
	default:
		set(v1alpha1.ConditionEntraReachable, metav1.ConditionFalse, standing.Fault.Reason,
			host+": "+standing.Fault.Message+" Until then one customer at a time asks for all; the others keep their tokens and wait.")
	}
}

func speaksOf(message, host string) bool {
	return strings.HasPrefix(message, host+" ") || strings.HasPrefix(message, host+": ")
}
