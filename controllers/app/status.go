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

// warnings are how long before its end a credential is warned of, longest first.
func warnings() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{30 * day, 7 * day, day, 0}
}

// statusOf is the whole status, from what the keyring says.
func statusOf(app *v1alpha1.DefenderApp, entries []keyring.Entry, consentURL string, now time.Time) v1alpha1.DefenderAppStatus {
	status := v1alpha1.DefenderAppStatus{
		ObservedGeneration: app.Generation,
		ConsentURL:         consentURL,
		Conditions:         slices.Clone(app.Status.Conditions),
	}
	entries = slices.Clone(entries)
	for i := range entries {
		entries[i].Verdict = cmp.Or(entries[i].Verdict, remembered(entries[i], app.Status))
		status.Credentials = append(status.Credentials, credentialStatus(entries[i], app.Status.Credentials))
	}
	set := func(kind string, state metav1.ConditionStatus, reason, message string) {
		apimeta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: kind, Status: state, Reason: reason, Message: message,
			ObservedGeneration: app.Generation, LastTransitionTime: metav1.NewTime(now.UTC().Truncate(time.Second)),
		})
	}
	setReady(set, app, entries)
	setAccepted(set, entries)
	setExpiring(set, entries, now)
	return status
}

// remembered is the verdict that the former status tells of: after a restart nothing has
// been used yet, and what was seen before still holds.
func remembered(entry keyring.Entry, former v1alpha1.DefenderAppStatus) *keyring.Verdict {
	i := slices.IndexFunc(former.Credentials, func(c v1alpha1.CredentialStatus) bool {
		return c.Name == entry.Name && c.Fingerprint == entry.Credential.Fingerprint
	})
	if entry.Err != nil || i < 0 || former.Credentials[i].Accepted == nil || former.Credentials[i].CheckedAt == nil {
		return nil
	}
	known := former.Credentials[i]
	verdict := &keyring.Verdict{Fingerprint: known.Fingerprint, CheckedAt: known.CheckedAt.Time}
	if known.LastUsedAt != nil {
		verdict.LastUsedAt = known.LastUsedAt.Time
	}
	if !*known.Accepted {
		verdict.Refused = &token.Fault{
			Reason:  known.Reason,
			Message: fmt.Sprintf("Entra ID refuses credential %s. The platform team must compare it with the application registration.", entry.Name),
		}
		if c := apimeta.FindStatusCondition(former.Conditions, v1alpha1.ConditionCredentialAccepted); c != nil && c.Status == metav1.ConditionFalse {
			verdict.Refused.Message = c.Message
		}
	}
	return verdict
}

type setter func(kind string, state metav1.ConditionStatus, reason, message string)

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
	case usable != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonCredentialReady, fmt.Sprintf("Credential %s can be used.", usable.Name))
	case refused != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialRefused, refused.Verdict.Refused.Message)
	case unusable != nil:
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, unusable.Err.Reason, unusable.Err.Message)
	}
}

// sortOut gives the first credential that can be used, the first that Entra ID refuses,
// and the first that cannot be used at all.
func sortOut(entries []keyring.Entry) (usable, refused, unusable *keyring.Entry) {
	for i := range entries {
		entry := &entries[i]
		switch {
		case entry.Err != nil:
			unusable = cmp.Or(unusable, entry)
		case entry.Verdict != nil && entry.Verdict.Refused != nil:
			refused = cmp.Or(refused, entry)
		default:
			usable = cmp.Or(usable, entry)
		}
	}
	return usable, refused, unusable
}

// setAccepted speaks of the credentials that Entra ID has judged.
func setAccepted(set setter, entries []keyring.Entry) {
	var refused *keyring.Entry
	for i := range entries {
		switch v := entries[i].Verdict; {
		case v == nil:
		case v.Refused == nil:
			set(v1alpha1.ConditionCredentialAccepted, metav1.ConditionTrue, v1alpha1.ReasonCredentialAccepted, fmt.Sprintf("Entra ID accepts credential %s.", entries[i].Name))
			return
		case refused == nil:
			refused = &entries[i]
		}
	}
	if refused != nil {
		set(v1alpha1.ConditionCredentialAccepted, metav1.ConditionFalse, v1alpha1.ReasonCredentialRefused, refused.Verdict.Refused.Message)
		return
	}
	set(v1alpha1.ConditionCredentialAccepted, metav1.ConditionUnknown, v1alpha1.ReasonPending, "No credential has been used yet.")
}

// setExpiring warns of the credential that ends first.
func setExpiring(set setter, entries []keyring.Entry, now time.Time) {
	var first *keyring.Entry
	for i := range entries {
		ends := entries[i].Credential.ExpiresAt
		if !ends.IsZero() && (first == nil || ends.Before(first.Credential.ExpiresAt)) {
			first = &entries[i]
		}
	}
	if first != nil {
		ends := first.Credential.ExpiresAt
		stage := ""
		for _, warning := range warnings() {
			if !now.Before(ends.Add(-warning)) {
				stage = within(warning)
			}
		}
		if stage != "" {
			set(v1alpha1.ConditionCredentialExpiring, metav1.ConditionTrue, v1alpha1.ReasonCredentialExpiring,
				fmt.Sprintf("Credential %s %s (%s). The platform team must add a new credential beside it and remove it once the new one is accepted.", first.Name, stage, ends.Format(time.DateOnly)))
			return
		}
	}
	set(v1alpha1.ConditionCredentialExpiring, metav1.ConditionFalse, v1alpha1.ReasonAsExpected, "No credential is known to end within 30 days.")
}

func within(warning time.Duration) string {
	if warning == 0 {
		return "has ended"
	}
	if warning == 24*time.Hour {
		return "ends within a day"
	}
	return fmt.Sprintf("ends within %d days", int(warning.Hours()/24))
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
	if entry.Verdict == nil {
		return status
	}
	accepted := entry.Verdict.Refused == nil
	status.Accepted = &accepted
	if !accepted {
		status.Reason = entry.Verdict.Refused.Reason
	}
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
