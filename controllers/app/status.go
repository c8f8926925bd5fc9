package app

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

// statusOf is the whole status, from what the keyring says.
func statusOf(app *v1alpha1.DefenderApp, entries []keyring.Entry, consentURL string, now time.Time) v1alpha1.DefenderAppStatus {
	status := v1alpha1.DefenderAppStatus{
		ObservedGeneration: app.Generation,
		ConsentURL:         consentURL,
		Conditions:         slices.Clone(app.Status.Conditions),
	}
	for _, entry := range entries {
		status.Credentials = append(status.Credentials, credentialStatus(entry, app.Status.Credentials))
	}
	set := setterOf(&status, now)
	setReady(set, app, entries)
	setAccepted(set, entries)
	setExpiring(set, entries, now)
	return status
}

// setter sets one condition of a status.
type setter func(kind string, state metav1.ConditionStatus, reason, message string)

func setterOf(status *v1alpha1.DefenderAppStatus, now time.Time) setter {
	return func(kind string, state metav1.ConditionStatus, reason, message string) {
		apimeta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: kind, Status: state, Reason: reason, Message: message,
			ObservedGeneration: status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now.UTC().Truncate(time.Second)),
		})
	}
}

// setReady also sets Stalled: without a usable credential somebody must edit something.
func setReady(set setter, app *v1alpha1.DefenderApp, entries []keyring.Entry) {
	usable, refused, unusable := sortOut(entries)
	if usable == nil && refused == nil && unusable != nil && unusable.Err.Cure != token.ByRetry {
		set(v1alpha1.ConditionStalled, metav1.ConditionTrue, unusable.Err.Reason, unusable.Err.Message)
	} else {
		set(v1alpha1.ConditionStalled, metav1.ConditionFalse, v1alpha1.ReasonAsExpected, "Nothing in the cluster has to be edited.")
	}
	switch {
	case usable != nil && app.Spec.Suspend:
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSuspended, "No token is requested with this application. The platform team ends that with spec.suspend: false.")
	case usable != nil && away(*usable) != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, away(*usable).Reason, away(*usable).Message)
	case usable != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonCredentialReady, fmt.Sprintf("Credential %s can be used.", usable.Name))
	case refused != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, refused.Verdict.Refused.Reason, refused.Verdict.Refused.Message)
	case unusable != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, unusable.Err.Reason, unusable.Err.Message)
	}
}

// sortOut gives the credential that can be used, which is the one in use or else the first
// that is not known to be refused, the first that Entra ID refuses, and the first that
// cannot be used at all.
func sortOut(entries []keyring.Entry) (usable, refused, unusable *keyring.Entry) {
	usable = inUse(entries)
	for i := range entries {
		entry := &entries[i]
		switch {
		case entry.Err != nil:
			unusable = cmp.Or(unusable, entry)
		case entry.Verdict != nil && entry.Verdict.Refused != nil:
			refused = cmp.Or(refused, entry)
		case usable == nil || away(*usable) != nil && entry.Away == nil:
			usable = entry
		}
	}
	return usable, refused, unusable
}

// away is why nothing comes of a credential at the moment, though Entra ID says nothing
// against it.
func away(entry keyring.Entry) *token.Fault {
	if entry.Former != nil {
		return entry.FormerAway
	}
	return entry.Away
}

// works tells whether Entra ID accepts a credential, be it in its former version.
func works(entry keyring.Entry) bool {
	return entry.Former != nil || entry.Verdict != nil && entry.Verdict.Refused == nil
}

// inUse is the credential that tokens are requested with, nil before one was accepted.
func inUse(entries []keyring.Entry) *keyring.Entry {
	if i := slices.IndexFunc(entries, func(e keyring.Entry) bool { return works(e) && away(e) == nil }); i >= 0 {
		return &entries[i]
	}
	if i := slices.IndexFunc(entries, works); i >= 0 {
		return &entries[i]
	}
	return nil
}

// setAccepted speaks of the credential in use, or else of the first that Entra ID refuses.
func setAccepted(set setter, entries []keyring.Entry) {
	if used := inUse(entries); used != nil {
		set(v1alpha1.ConditionCredentialAccepted, metav1.ConditionTrue, v1alpha1.ReasonCredentialAccepted, acceptance(*used))
		return
	}
	if _, refused, _ := sortOut(entries); refused != nil {
		set(v1alpha1.ConditionCredentialAccepted, metav1.ConditionFalse, refused.Verdict.Refused.Reason, refused.Verdict.Refused.Message)
		return
	}
	for _, entry := range entries {
		if entry.Suspected != nil {
			set(v1alpha1.ConditionCredentialAccepted, metav1.ConditionUnknown, v1alpha1.ReasonCredentialRefused,
				fmt.Sprintf("Entra ID has accepted no credential yet, and it refused %s for those who asked so far. %s", entry.Name, entry.Suspected.Message))
			return
		}
	}
	set(v1alpha1.ConditionCredentialAccepted, metav1.ConditionUnknown, v1alpha1.ReasonPending, "No credential has been used yet.")
}

// acceptance says which version of a credential is in use, and why not the stored one.
func acceptance(used keyring.Entry) string {
	if used.Former == nil {
		return fmt.Sprintf("Entra ID accepts credential %s.", used.Name)
	}
	text := fmt.Sprintf("Entra ID accepts the former version of credential %s, which stays in use until it accepts a new one.", used.Name)
	switch {
	case used.Err != nil:
		text += " " + used.Err.Message
	case used.Verdict != nil:
		text += " " + used.Verdict.Refused.Message
	}
	return text
}

// credentialStatus tells of one credential. Times of use move at most once an hour.
func credentialStatus(entry keyring.Entry, former []v1alpha1.CredentialStatus) v1alpha1.CredentialStatus {
	status := v1alpha1.CredentialStatus{Name: entry.Name}
	if entry.Err != nil {
		status.Reason = entry.Err.Reason
		return status
	}
	status.Fingerprint = entry.Credential.Fingerprint
	if !entry.Credential.ExpiresAt.IsZero() {
		status.ExpiresAt = stamp(entry.Credential.ExpiresAt)
	}
	i := slices.IndexFunc(former, func(c v1alpha1.CredentialStatus) bool {
		return c.Name == entry.Name && c.Fingerprint == status.Fingerprint
	})
	status.Reason = reasonOf(entry)
	if entry.Verdict == nil {
		return status
	}
	accepted := entry.Verdict.Refused == nil
	status.Accepted = &accepted
	status.CheckedAt = stamp(entry.Verdict.CheckedAt)
	if !entry.Verdict.LastUsedAt.IsZero() {
		status.LastUsedAt = stamp(entry.Verdict.LastUsedAt)
	}
	if i >= 0 && status.LastUsedAt == nil {
		status.LastUsedAt = former[i].LastUsedAt // by the process before this one
	}
	if i >= 0 && former[i].Accepted != nil && *former[i].Accepted == accepted {
		status.CheckedAt = hourly(former[i].CheckedAt, status.CheckedAt)
		status.LastUsedAt = hourly(former[i].LastUsedAt, status.LastUsedAt)
	}
	return status
}

// reasonOf is what stands against the stored version of a credential that can be read.
func reasonOf(entry keyring.Entry) string {
	switch {
	case entry.Verdict != nil && entry.Verdict.Refused != nil:
		return entry.Verdict.Refused.Reason
	case entry.Away != nil:
		return entry.Away.Reason
	case entry.Verdict == nil && entry.Former != nil:
		return v1alpha1.ReasonCredentialOnTrial
	}
	return ""
}

func hourly(former, fresh *metav1.Time) *metav1.Time {
	if former != nil && fresh != nil && fresh.Sub(former.Time) < lookInterval {
		return former
	}
	return fresh
}

func stamp(t time.Time) *metav1.Time {
	at := metav1.NewTime(t.UTC().Truncate(time.Second))
	return &at
}
