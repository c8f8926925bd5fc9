package app

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/keyring"
)

// tell emits an event for each condition that changed for better or worse.
func (r *Reconciler) tell(before, after *v1alpha1.DefenderApp, entries []keyring.Entry) {
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionCredentialAccepted, v1alpha1.ConditionCredentialExpiring, v1alpha1.ConditionEntraReachable} {
		was := apimeta.FindStatusCondition(before.Status.Conditions, kind)
		is := apimeta.FindStatusCondition(after.Status.Conditions, kind)
		if is == nil || is.Status == metav1.ConditionUnknown || was != nil && was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message {
			continue
		}
		good := metav1.ConditionTrue
		if kind == v1alpha1.ConditionCredentialExpiring {
			good = metav1.ConditionFalse
		}
		switch {
		case is.Status != good:
			r.Events.Eventf(after, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
		case was != nil && (was.Status != good || kind == v1alpha1.ConditionCredentialAccepted): // or another one is in use now
			r.Events.Eventf(after, nil, corev1.EventTypeNormal, is.Reason, "Reconcile", "%s", is.Message)
		}
	}
	for _, c := range newlyBroken(before.Status.Credentials, after) {
		r.Events.Eventf(after, nil, corev1.EventTypeWarning, c.Reason, "Reconcile", "%s", broken(c, entries))
	}
}

// newlyBroken are the credentials that began to be refused or unusable while the
// application as a whole goes on: no condition tells of them.
func newlyBroken(before []v1alpha1.CredentialStatus, after *v1alpha1.DefenderApp) []v1alpha1.CredentialStatus {
	if !apimeta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionCredentialAccepted) {
		return nil
	}
	var found []v1alpha1.CredentialStatus
	for _, c := range after.Status.Credentials {
		known := slices.ContainsFunc(before, func(b v1alpha1.CredentialStatus) bool {
			return b.Name == c.Name && b.Fingerprint == c.Fingerprint && b.Reason == c.Reason
		})
		if c.Reason != "" && c.Reason != v1alpha1.ReasonCredentialOnTrial && !known && !isReason(after, c.Reason) {
			found = append(found, c)
		}
	}
	return found
}

// isReason tells whether the application as a whole is not ready for the same reason.
func isReason(app *v1alpha1.DefenderApp, reason string) bool {
	ready := apimeta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == reason
}

func broken(c v1alpha1.CredentialStatus, entries []keyring.Entry) string {
	for _, entry := range entries {
		if entry.Name == c.Name && entry.Away != nil && c.Reason == entry.Away.Reason {
			return entry.Away.Message + " Another one is used meanwhile."
		}
	}
	if c.Fingerprint == "" {
		return fmt.Sprintf("Credential %s as it is stored cannot be used, while another one works. The platform team must mend or remove it before that one ends.", c.Name)
	}
	return fmt.Sprintf("Entra ID refuses credential %s as it is stored, while another one works. The platform team must replace or remove it before that one ends.", c.Name)
}
