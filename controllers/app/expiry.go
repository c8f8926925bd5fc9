package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/keyring"
)

// warnings are how long before its end a credential is warned of, longest first.
func warnings() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{30 * day, 7 * day, day, 0}
}

// ending is a credential whose end is known.
type ending struct {
	name string // as in a sentence
	at   time.Time
}

// endings are the known ends, the first of them first. The former version of a credential
// counts while it is in use.
func endings(entries []keyring.Entry) []ending {
	var all []ending
	add := func(name string, c credential.Credential) {
		if !c.ExpiresAt.IsZero() {
			all = append(all, ending{name: name, at: c.ExpiresAt})
		}
	}
	for _, entry := range entries {
		add("Credential "+entry.Name, entry.Credential)
		if entry.Former != nil {
			add("The former version of credential "+entry.Name, *entry.Former)
		}
	}
	slices.SortStableFunc(all, func(a, b ending) int { return a.at.Compare(b.at) })
	return all
}

// setExpiring warns of every credential that ends soon, in words that change with each
// stage and at no other time: one event for each stage.
func setExpiring(set setter, entries []keyring.Entry, now time.Time) {
	var sentences []string
	for _, e := range endings(entries) {
		if stage := e.stage(now); stage != "" {
			sentences = append(sentences, fmt.Sprintf("%s %s (%s).", e.name, stage, e.at.Format(time.DateOnly)))
		}
	}
	if sentences == nil {
		set(v1alpha1.ConditionCredentialExpiring, metav1.ConditionFalse, v1alpha1.ReasonAsExpected, "No credential is known to end within 30 days.")
		return
	}
	sentences = append(sentences, renewal(entries, now))
	set(v1alpha1.ConditionCredentialExpiring, metav1.ConditionTrue, v1alpha1.ReasonCredentialExpiring, strings.Join(sentences, " "))
}

// renewal says what to do about an end: nothing is urgent where the credential in use lasts.
func renewal(entries []keyring.Entry, now time.Time) string {
	const add = "The platform team must add a new credential beside it and remove it once the new one is accepted."
	used := inUse(entries)
	if used == nil || used.Former != nil || len(entries) == 1 {
		return add
	}
	text := fmt.Sprintf("Credential %s is in use. ", used.Name)
	if (ending{at: used.Credential.ExpiresAt}).stage(now) == "" || used.Credential.ExpiresAt.IsZero() {
		return text + "The platform team can remove what it does not need any more."
	}
	return text + add
}

// stage is how far away the end is, nothing if that is no matter yet.
func (e ending) stage(now time.Time) string {
	stage := ""
	for _, warning := range warnings() {
		if !now.Before(e.at.Add(-warning)) {
			stage = within(warning)
		}
	}
	return stage
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

// nextStage is how long it takes until something else has to be said of an end, at most
// the given time.
func nextStage(entries []keyring.Entry, now time.Time, atMost time.Duration) time.Duration {
	for _, e := range endings(entries) {
		for _, warning := range warnings() {
			if until := e.at.Add(-warning).Sub(now); until > 0 {
				atMost = min(atMost, until)
			}
		}
	}
	return atMost
}
