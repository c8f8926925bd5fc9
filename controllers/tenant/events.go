package tenant

import (
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// tell emits events for what changed, never for what merely went on.
func (r *Reconciler) tell(before, after *v1alpha1.DefenderTenant, out outcome) {
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionDegraded, v1alpha1.ConditionConsentGranted} {
		was, is := find(before.Status.Conditions, kind), find(after.Status.Conditions, kind)
		if kind == v1alpha1.ConditionDegraded && out.quiet {
			continue // what reaches every tenant is told once, on the DefenderApp
		}
		if kind == v1alpha1.ConditionDegraded && !apimeta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionReady) {
			continue // with the token itself its failing renewal ends, which is no recovery
		}
		if reason, eventType := worthTelling(was, is); reason != "" {
			r.Events.Eventf(after, nil, eventType, reason, "Reconcile", "%s", is.Message)
		}
	}
	for _, res := range out.results {
		// The related Secret keeps two of them from being merged into one event.
		related := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: after.Namespace, Name: res.slot.secretName}}
		switch res.notice {
		case v1alpha1.EventAccessRevoked:
			r.Events.Eventf(after, related, corev1.EventTypeWarning, res.notice, "Empty", "Secret %s was emptied: no DefenderGrant allows its token any more.", res.slot.secretName)
		case v1alpha1.EventSecretRepaired:
			r.Events.Eventf(after, related, corev1.EventTypeWarning, res.notice, "Publish", "Secret %s was changed by somebody else; it holds a new token now.", res.slot.secretName)
		}
	}
}

// worthTelling is the reason and the type of an event for a change of a condition, or nothing.
func worthTelling(was, is *metav1.Condition) (reason, eventType string) {
	if is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return "", ""
	}
	good := metav1.ConditionTrue
	if is.Type == v1alpha1.ConditionDegraded {
		good = metav1.ConditionFalse
	}
	recovered := was != nil && was.Status != good
	switch {
	case is.Status == good && is.Type == v1alpha1.ConditionDegraded && recovered:
		return v1alpha1.EventRefreshRecovered, corev1.EventTypeNormal
	case is.Status == good && (is.Type == v1alpha1.ConditionReady || is.Type == v1alpha1.ConditionConsentGranted && recovered):
		return is.Reason, corev1.EventTypeNormal
	case is.Type == v1alpha1.ConditionReady, is.Type == v1alpha1.ConditionDegraded && is.Status == metav1.ConditionTrue,
		is.Reason == v1alpha1.ReasonConsentWithdrawn:
		return is.Reason, corev1.EventTypeWarning
	}
	return "", ""
}
