package app

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	day  = 24 * time.Hour
	link = "https://login.microsoftonline.com/common/oauth2/authorize"
)

func noon() time.Time { return time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC) }

func partner() *v1alpha1.DefenderApp {
	return &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: "partner", Generation: 3}}
}

// entry is a credential that was never used.
func entry(name string, changes ...func(*keyring.Entry)) keyring.Entry {
	e := keyring.Entry{Name: name, Credential: credential.Credential{Name: name, Fingerprint: "print-of-" + name}}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func accepted(at time.Time) func(*keyring.Entry) {
	return func(e *keyring.Entry) {
		e.Verdict = &keyring.Verdict{CheckedAt: at, LastUsedAt: at}
	}
}

func refused(at, lastUsed time.Time) func(*keyring.Entry) {
	return func(e *keyring.Entry) {
		e.Verdict = &keyring.Verdict{
			CheckedAt: at, LastUsedAt: lastUsed,
			Refused: &token.Fault{Reason: "CredentialRefused", Message: "Entra ID refuses " + e.Name + "."},
		}
	}
}

func unusable(reason string) func(*keyring.Entry) {
	return func(e *keyring.Entry) {
		e.Credential = credential.Credential{}
		e.Err = &token.Fault{Reason: reason, Cure: token.ByPoll, Message: "Credential " + e.Name + " cannot be used."}
	}
}

// former is an accepted version that stays in use in place of the stored one.
func former(e *keyring.Entry) {
	e.Former = &credential.Credential{Name: e.Name, Fingerprint: "print-1"}
}

// awayNow could not be used the last time, as its vault is away.
func awayNow(e *keyring.Entry) {
	e.Away = &token.Fault{Reason: "VaultUnavailable", Message: "The vault of " + e.Name + " is away.", Cure: token.ByRetry, Unsent: true}
}

func version(fingerprint string) func(*keyring.Entry) {
	return func(e *keyring.Entry) { e.Credential.Fingerprint = fingerprint }
}

func suspected(e *keyring.Entry) {
	e.Suspected = &token.Fault{Reason: "CredentialRefused", Message: "Entra ID refuses " + e.Name + "."}
}

func endsIn(d time.Duration) func(*keyring.Entry) {
	return func(e *keyring.Entry) { e.Credential.ExpiresAt = noon().Add(d) }
}

func TestStatusOf_Conditions(t *testing.T) {
	const fine = "False AsExpected: Nothing in the cluster has to be edited."
	for name, test := range map[string]struct {
		entries                  []keyring.Entry
		suspend                  bool
		ready, accepted, stalled string
	}{
		"a credential that was never used": {
			entries: []keyring.Entry{entry("a")},
			ready:   "True CredentialReady: Credential a can be used.", accepted: "Unknown Pending: No credential has been used yet.", stalled: fine,
		},
		"a credential that Entra ID accepts": {
			entries: []keyring.Entry{entry("a", accepted(noon()))},
			ready:   "True CredentialReady: Credential a can be used.", accepted: "True CredentialAccepted: Entra ID accepts credential a.", stalled: fine,
		},
		"a credential that Entra ID refuses": {
			entries: []keyring.Entry{entry("a", refused(noon(), time.Time{}))},
			ready:   "False CredentialRefused: Entra ID refuses a.", accepted: "False CredentialRefused: Entra ID refuses a.",
			stalled: "False AsExpected: Nothing in the cluster has to be edited.",
		},
		"a credential that is unusable": {
			entries: []keyring.Entry{entry("a", unusable("CredentialUnusable"))},
			ready:   "False CredentialUnusable: Credential a cannot be used.", accepted: "Unknown Pending: No credential has been used yet.",
			stalled: "True CredentialUnusable: Credential a cannot be used.",
		},
		"a vault that does not let us in": {
			entries: []keyring.Entry{entry("a", unusable("VaultRefused"))},
			ready:   "False VaultRefused: Credential a cannot be used.", accepted: "Unknown Pending: No credential has been used yet.",
			stalled: "True VaultRefused: Credential a cannot be used.",
		},
		"refused, and another one accepted": {
			entries: []keyring.Entry{entry("a", refused(noon(), noon())), entry("b", accepted(noon()))},
			ready:   "True CredentialReady: Credential b can be used.", accepted: "True CredentialAccepted: Entra ID accepts credential b.", stalled: fine,
		},
		"refused, and another one never used": {
			entries: []keyring.Entry{entry("a", refused(noon(), noon())), entry("b")},
			ready:   "True CredentialReady: Credential b can be used.", accepted: "False CredentialRefused: Entra ID refuses a.", stalled: fine,
		},
		"unreadable, and another one never used": {
			entries: []keyring.Entry{entry("a", unusable("CredentialUnusable")), entry("b")},
			ready:   "True CredentialReady: Credential b can be used.", accepted: "Unknown Pending: No credential has been used yet.", stalled: fine,
		},
		"unreadable, and another one refused": {
			entries: []keyring.Entry{entry("a", unusable("CredentialUnusable")), entry("b", refused(noon(), noon()))},
			ready:   "False CredentialRefused: Entra ID refuses b.", accepted: "False CredentialRefused: Entra ID refuses b.",
			stalled: "False AsExpected: Nothing in the cluster has to be edited.",
		},
		"all refused: the preferred one speaks": {
			entries: []keyring.Entry{entry("a", refused(noon(), noon())), entry("b", refused(noon(), noon()))},
			ready:   "False CredentialRefused: Entra ID refuses a.", accepted: "False CredentialRefused: Entra ID refuses a.",
			stalled: "False AsExpected: Nothing in the cluster has to be edited.",
		},
		"all unreadable: the preferred one speaks": {
			entries: []keyring.Entry{entry("a", unusable("CredentialUnusable")), entry("b", unusable("VaultRefused"))},
			ready:   "False CredentialUnusable: Credential a cannot be used.", accepted: "Unknown Pending: No credential has been used yet.",
			stalled: "True CredentialUnusable: Credential a cannot be used.",
		},
		"suspected before anybody got a token": {
			entries:  []keyring.Entry{entry("a", suspected)},
			ready:    "True CredentialReady: Credential a can be used.",
			accepted: "Unknown CredentialRefused: Entra ID has accepted no credential yet, and it refused a for those who asked so far. Entra ID refuses a.",
			stalled:  fine,
		},
		"accepted and suspected": {
			entries: []keyring.Entry{entry("a", accepted(noon()), suspected)},
			ready:   "True CredentialReady: Credential a can be used.", accepted: "True CredentialAccepted: Entra ID accepts credential a.", stalled: fine,
		},
		"a new version on trial": {
			entries:  []keyring.Entry{entry("a", version("print-2"), former)},
			ready:    "True CredentialReady: Credential a can be used.",
			accepted: "True CredentialAccepted: Entra ID accepts the former version of credential a, which stays in use until it accepts a new one.", stalled: fine,
		},
		"a new version that is refused, and another credential": {
			entries:  []keyring.Entry{entry("a", version("print-2"), former, refused(noon(), time.Time{})), entry("b", accepted(noon()))},
			ready:    "True CredentialReady: Credential a can be used.",
			accepted: "True CredentialAccepted: Entra ID accepts the former version of credential a, which stays in use until it accepts a new one. Entra ID refuses a.", stalled: fine,
		},
		"a new version that cannot be read": {
			entries:  []keyring.Entry{entry("a", former, unusable("CredentialUnusable"))},
			ready:    "True CredentialReady: Credential a can be used.",
			accepted: "True CredentialAccepted: Entra ID accepts the former version of credential a, which stays in use until it accepts a new one. Credential a cannot be used.", stalled: fine,
		},
		"never used, and the next one accepted": {
			entries: []keyring.Entry{entry("a"), entry("b", accepted(noon()))},
			ready:   "True CredentialReady: Credential b can be used.", accepted: "True CredentialAccepted: Entra ID accepts credential b.", stalled: fine,
		},
		"accepted, and its vault is away": {
			entries: []keyring.Entry{entry("a", accepted(noon()), awayNow)},
			ready:   "False VaultUnavailable: The vault of a is away.", accepted: "True CredentialAccepted: Entra ID accepts credential a.", stalled: fine,
		},
		"its vault is away, and the next one works": {
			entries: []keyring.Entry{entry("a", accepted(noon()), awayNow), entry("b", accepted(noon()))},
			ready:   "True CredentialReady: Credential b can be used.", accepted: "True CredentialAccepted: Entra ID accepts credential b.", stalled: fine,
		},
		"its vault is away, and the next one was never used": {
			entries: []keyring.Entry{entry("a", accepted(noon()), awayNow), entry("b")},
			ready:   "True CredentialReady: Credential b can be used.", accepted: "True CredentialAccepted: Entra ID accepts credential a.", stalled: fine,
		},
		"never used, and its vault is away": {
			entries: []keyring.Entry{entry("a", awayNow)},
			ready:   "False VaultUnavailable: The vault of a is away.", accepted: "Unknown Pending: No credential has been used yet.", stalled: fine,
		},
		"a new version whose vault is away": {
			entries:  []keyring.Entry{entry("a", version("print-2"), former, awayNow)},
			ready:    "True CredentialReady: Credential a can be used.",
			accepted: "True CredentialAccepted: Entra ID accepts the former version of credential a, which stays in use until it accepts a new one.", stalled: fine,
		},
		"the vault of both versions is away": {
			entries:  []keyring.Entry{entry("a", version("print-2"), former, awayNow, func(e *keyring.Entry) { e.FormerAway = e.Away })},
			ready:    "False VaultUnavailable: The vault of a is away.",
			accepted: "True CredentialAccepted: Entra ID accepts the former version of credential a, which stays in use until it accepts a new one.", stalled: fine,
		},
		"suspended": {
			entries: []keyring.Entry{entry("a", accepted(noon()))}, suspend: true,
			ready:    "False Suspended: No token is requested with this application. The platform team ends that with spec.suspend: false.",
			accepted: "True CredentialAccepted: Entra ID accepts credential a.", stalled: fine,
		},
		"suspended, and nothing can be read: that has to be mended first": {
			entries: []keyring.Entry{entry("a", unusable("CredentialUnusable"))}, suspend: true,
			ready: "False CredentialUnusable: Credential a cannot be used.", accepted: "Unknown Pending: No credential has been used yet.",
			stalled: "True CredentialUnusable: Credential a cannot be used.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := partner()
			app.Spec.Suspend = test.suspend
			status := statusOf(app, test.entries, link, noon())
			for kind, want := range map[string]string{"Ready": test.ready, "CredentialAccepted": test.accepted, "Stalled": test.stalled} {
				if got := show(status, kind); got != want {
					t.Errorf("%s: got  %s\nwant %s", kind, got, want)
				}
			}
			if len(status.Conditions) != 4 || status.ObservedGeneration != 3 || status.ConsentURL != link || len(status.Credentials) != len(test.entries) {
				t.Errorf("got %+v", status)
			}
			for _, c := range status.Conditions {
				if c.ObservedGeneration != 3 || !c.LastTransitionTime.Time.Equal(noon()) {
					t.Errorf("got %+v", c)
				}
			}
		})
	}
}

func TestStatusOf_WarnsOfTheEndOfACredential(t *testing.T) {
	const fine = "False AsExpected: No credential is known to end within 30 days."
	warning := func(name, stage, date string) string {
		return fmt.Sprintf("True CredentialExpiring: Credential %s %s (%s). The platform team must add a new credential beside it and remove it once the new one is accepted.", name, stage, date)
	}
	for name, test := range map[string]struct {
		entries []keyring.Entry
		want    string
	}{
		"no end is known":   {[]keyring.Entry{entry("a")}, fine},
		"more than 30 days": {[]keyring.Entry{entry("a", endsIn(30*day+time.Second))}, fine},
		"30 days":           {[]keyring.Entry{entry("a", endsIn(30*day))}, warning("a", "ends within 30 days", "2026-06-03")},
		"more than 7 days":  {[]keyring.Entry{entry("a", endsIn(7*day+time.Second))}, warning("a", "ends within 30 days", "2026-05-11")},
		"7 days":            {[]keyring.Entry{entry("a", endsIn(7*day))}, warning("a", "ends within 7 days", "2026-05-11")},
		"more than a day":   {[]keyring.Entry{entry("a", endsIn(day+time.Second))}, warning("a", "ends within 7 days", "2026-05-05")},
		"a day":             {[]keyring.Entry{entry("a", endsIn(day))}, warning("a", "ends within a day", "2026-05-05")},
		"a second":          {[]keyring.Entry{entry("a", endsIn(time.Second))}, warning("a", "ends within a day", "2026-05-04")},
		"now":               {[]keyring.Entry{entry("a", endsIn(0))}, warning("a", "has ended", "2026-05-04")},
		"long ago":          {[]keyring.Entry{entry("a", endsIn(-365*day))}, warning("a", "has ended", "2025-05-04")},
		"each is named, the first to end first": {
			[]keyring.Entry{entry("a", endsIn(20*day)), entry("b", endsIn(-day), accepted(noon())), entry("c", endsIn(90*day))},
			"True CredentialExpiring: Credential b has ended (2026-05-03). Credential a ends within 30 days (2026-05-24). Credential b is in use. " +
				"The platform team must add a new credential beside it and remove it once the new one is accepted.",
		},
		"the former version is in use": {
			[]keyring.Entry{entry("a", endsIn(90*day), func(e *keyring.Entry) { e.Former = &credential.Credential{ExpiresAt: noon().Add(day)} })},
			"True CredentialExpiring: The former version of credential a ends within a day (2026-05-05). " +
				"The platform team must add a new credential beside it and remove it once the new one is accepted.",
		},
		"one that never ends is not the first": {[]keyring.Entry{entry("a"), entry("b", endsIn(6*day))}, warning("b", "ends within 7 days", "2026-05-10")},
		"one that cannot be read is left out":  {[]keyring.Entry{entry("a", endsIn(day), unusable("CredentialUnusable")), entry("b", endsIn(90*day))}, fine},
		"a fresh one beside it does not hide the one that ends": {
			[]keyring.Entry{entry("new", endsIn(700*day), accepted(noon())), entry("old", endsIn(3*day))},
			"True CredentialExpiring: Credential old ends within 7 days (2026-05-07). Credential new is in use. The platform team can remove what it does not need any more.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := show(statusOf(partner(), test.entries, link, noon()), "CredentialExpiring"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestStatusOf_Credentials(t *testing.T) {
	former := v1alpha1.DefenderAppStatus{Credentials: []v1alpha1.CredentialStatus{{
		Name: "a", Fingerprint: "print-of-a", Accepted: new(true), CheckedAt: at(noon()), LastUsedAt: at(noon()),
	}}}
	formerRefused := v1alpha1.DefenderAppStatus{Credentials: []v1alpha1.CredentialStatus{{
		Name: "a", Fingerprint: "print-of-a", Accepted: new(false), Reason: "CredentialRefused", CheckedAt: at(noon()), LastUsedAt: at(noon().Add(-time.Hour)),
	}}}
	later, trial := noon().Add(time.Hour), func(e *keyring.Entry) { e.Former = &credential.Credential{} }
	for name, test := range map[string]struct {
		former v1alpha1.DefenderAppStatus
		entry  keyring.Entry
		want   string
	}{
		"never used":              {v1alpha1.DefenderAppStatus{}, entry("a"), `{"name":"a","fingerprint":"print-of-a"}`},
		"never used, with an end": {v1alpha1.DefenderAppStatus{}, entry("a", endsIn(day)), `{"name":"a","fingerprint":"print-of-a","expiresAt":"2026-05-05T12:00:00Z"}`},
		"on trial": {
			former, entry("a", version("print-2"), trial), `{"name":"a","fingerprint":"print-2","reason":"CredentialOnTrial"}`,
		},
		"accepted": {
			v1alpha1.DefenderAppStatus{},
			entry("a", accepted(noon())),
			`{"name":"a","fingerprint":"print-of-a","accepted":true,"checkedAt":"2026-05-04T12:00:00Z","lastUsedAt":"2026-05-04T12:00:00Z"}`,
		},
		"accepted, and its vault is away": {
			v1alpha1.DefenderAppStatus{},
			entry("a", accepted(noon()), awayNow),
			`{"name":"a","fingerprint":"print-of-a","accepted":true,"reason":"VaultUnavailable","checkedAt":"2026-05-04T12:00:00Z","lastUsedAt":"2026-05-04T12:00:00Z"}`,
		},
		"never used, and its vault is away": {v1alpha1.DefenderAppStatus{}, entry("a", awayNow), `{"name":"a","fingerprint":"print-of-a","reason":"VaultUnavailable"}`},
		"on trial, and its vault is away":   {former, entry("a", version("print-2"), trial, awayNow), `{"name":"a","fingerprint":"print-2","reason":"VaultUnavailable"}`},
		"refused, and its vault is away": {
			v1alpha1.DefenderAppStatus{},
			entry("a", refused(noon(), time.Time{}), awayNow),
			`{"name":"a","fingerprint":"print-of-a","accepted":false,"reason":"CredentialRefused","checkedAt":"2026-05-04T12:00:00Z"}`,
		},
		"refused from the start": {
			v1alpha1.DefenderAppStatus{},
			entry("a", refused(noon(), time.Time{})),
			`{"name":"a","fingerprint":"print-of-a","accepted":false,"reason":"CredentialRefused","checkedAt":"2026-05-04T12:00:00Z"}`,
		},
		"unusable: nothing of the former version stays": {former, entry("a", unusable("CredentialUnusable")), `{"name":"a","reason":"CredentialUnusable"}`},
		"used again within the hour: the times stay": {
			former, entry("a", accepted(later.Add(-time.Second))),
			`{"name":"a","fingerprint":"print-of-a","accepted":true,"checkedAt":"2026-05-04T12:00:00Z","lastUsedAt":"2026-05-04T12:00:00Z"}`,
		},
		"used again after an hour: the times move": {
			former, entry("a", accepted(later)),
			`{"name":"a","fingerprint":"print-of-a","accepted":true,"checkedAt":"2026-05-04T13:00:00Z","lastUsedAt":"2026-05-04T13:00:00Z"}`,
		},
		"refused within the hour: that is told at once": {
			former, entry("a", refused(noon().Add(time.Minute), noon())),
			`{"name":"a","fingerprint":"print-of-a","accepted":false,"reason":"CredentialRefused","checkedAt":"2026-05-04T12:01:00Z","lastUsedAt":"2026-05-04T12:00:00Z"}`,
		},
		"refused again within the hour: the times stay": {
			formerRefused, entry("a", refused(noon().Add(time.Minute), noon().Add(-time.Hour))),
			`{"name":"a","fingerprint":"print-of-a","accepted":false,"reason":"CredentialRefused","checkedAt":"2026-05-04T12:00:00Z","lastUsedAt":"2026-05-04T11:00:00Z"}`,
		},
		"accepted again: that is told at once": {
			formerRefused, entry("a", accepted(noon().Add(time.Minute))),
			`{"name":"a","fingerprint":"print-of-a","accepted":true,"checkedAt":"2026-05-04T12:01:00Z","lastUsedAt":"2026-05-04T12:01:00Z"}`,
		},
		"refused by a new process: the last use is remembered": {
			former, entry("a", refused(later, time.Time{})),
			`{"name":"a","fingerprint":"print-of-a","accepted":false,"reason":"CredentialRefused","checkedAt":"2026-05-04T13:00:00Z","lastUsedAt":"2026-05-04T12:00:00Z"}`,
		},
		"another version: nothing of the former one stays": {
			former, entry("a", func(e *keyring.Entry) { e.Credential.Fingerprint = "another" }), `{"name":"a","fingerprint":"another"}`,
		},
		"another name: nothing of the other one": {
			former, entry("b", func(e *keyring.Entry) { e.Credential.Fingerprint = "print-of-a" }), `{"name":"b","fingerprint":"print-of-a"}`,
		},
		"a clock that went back: the times stay": {
			former, entry("a", accepted(noon().Add(-10*time.Hour))),
			`{"name":"a","fingerprint":"print-of-a","accepted":true,"checkedAt":"2026-05-04T12:00:00Z","lastUsedAt":"2026-05-04T12:00:00Z"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := partner()
			app.Status = test.former
			status := statusOf(app, []keyring.Entry{test.entry}, link, later)
			got, err := json.Marshal(status.Credentials[0])
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// stages are applications in every state.
func stages() map[string][]keyring.Entry {
	return map[string][]keyring.Entry{
		"never used":                {entry("a")},
		"accepted":                  {entry("a", accepted(noon()), endsIn(400*day))},
		"refused":                   {entry("a", refused(noon(), time.Time{}))},
		"refused after use":         {entry("a", refused(noon(), noon().Add(-day)))},
		"unusable":                  {entry("a", unusable("CredentialUnusable"))},
		"refused and accepted":      {entry("a", refused(noon(), noon())), entry("b", accepted(noon()))},
		"refused and never used":    {entry("a", refused(noon(), noon())), entry("b")},
		"refused twice":             {entry("a", refused(noon(), noon())), entry("b", refused(noon(), noon()))},
		"unusable and refused":      {entry("a", unusable("CredentialUnusable")), entry("b", refused(noon(), noon()))},
		"unusable and accepted":     {entry("a", unusable("CredentialUnusable")), entry("b", accepted(noon()))},
		"accepted and about to end": {entry("a", accepted(noon()), endsIn(6*day)), entry("b", endsIn(90*day))},
	}
}

func TestStatusOf_StaysTheSameWhileNothingChanges(t *testing.T) {
	for name, entries := range stages() {
		t.Run(name, func(t *testing.T) {
			app := partner()
			app.Status = statusOf(app, entries, link, noon())
			for _, later := range []time.Duration{0, time.Second, time.Hour, 23 * time.Hour} {
				assertSame(t, app, statusOf(app, entries, link, noon().Add(later)))
			}
		})
	}
}

func TestStatusOf_ANewSecretEndsARefusal(t *testing.T) {
	app := partner()
	app.Status = statusOf(app, []keyring.Entry{entry("a", refused(noon(), noon()))}, link, noon())
	replaced := entry("a", func(e *keyring.Entry) { e.Credential.Fingerprint = "another" })
	status := statusOf(app, []keyring.Entry{replaced}, link, noon().Add(time.Minute))
	if got := show(status, "Ready"); got != "True CredentialReady: Credential a can be used." {
		t.Errorf("Ready: %s", got)
	}
	if got := show(status, "CredentialAccepted"); got != "Unknown Pending: No credential has been used yet." {
		t.Errorf("CredentialAccepted: %s", got)
	}
	if c := apimeta.FindStatusCondition(status.Conditions, "Ready"); !c.LastTransitionTime.Time.Equal(noon().Add(time.Minute)) {
		t.Errorf("changed at %v", c.LastTransitionTime)
	}
}

func TestStatusOf_LeavesItsInputsAlone(t *testing.T) {
	app := partner()
	app.Status = statusOf(app, stages()["accepted"], link, noon())
	before, entries := app.DeepCopy(), []keyring.Entry{entry("a")}
	app.Spec.Suspend = true
	statusOf(app, entries, "another link", noon().Add(day))
	if entries[0].Verdict != nil {
		t.Error("an entry was changed")
	}
	assertSame(t, app, before.Status)
}

func TestInvariant2_TheStatusHoldsNoPartOfACredential(t *testing.T) {
	secret, err := credential.FromSecret("a", "client", []byte("hunter2-hunter2"), noon())
	if err != nil {
		t.Fatal(err)
	}
	status := statusOf(partner(), []keyring.Entry{{Name: "a", Credential: secret}}, link, noon())
	encoded, err := json.Marshal(status)
	if err != nil || strings.Contains(string(encoded), "hunter2") {
		t.Errorf("got %s, %v", encoded, err)
	}
}

func assertSame(t *testing.T, app *v1alpha1.DefenderApp, status v1alpha1.DefenderAppStatus) {
	t.Helper()
	before, err := json.Marshal(app.Status)
	if err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func show(status v1alpha1.DefenderAppStatus, kind string) string {
	c := apimeta.FindStatusCondition(status.Conditions, kind)
	if c == nil {
		return "absent"
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func at(t time.Time) *metav1.Time {
	stamp := metav1.NewTime(t)
	return &stamp
}

func TestStatusOf_ALookThatFindsNothingNewChangesNothing(t *testing.T) {
	app := &v1alpha1.DefenderApp{}
	entries := []keyring.Entry{entry("a", unusable("CredentialUnusable"))}
	app.Status = statusOf(app, entries, "", noon())
	again := statusOf(app, entries, "", noon().Add(time.Hour))
	if !reflect.DeepEqual(app.Status, again) {
		t.Errorf("an hour later, with the same credential:\n%+v\nbefore:\n%+v", again, app.Status)
	}
}
