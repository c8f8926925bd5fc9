package keyring

import (
	"fmt"
	"maps"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// overlap is how long the former version covers a new one that was accepted: for some
// minutes after a change not all of Entra ID knows of it.
const overlap = 15 * time.Minute

// identity is whose credentials they are: what is known of them says nothing of another
// application.
type identity struct {
	uid      types.UID
	clientID string
	cloud    v1alpha1.Cloud
}

func identityOf(app *v1alpha1.DefenderApp) identity {
	return identity{uid: app.UID, clientID: app.Spec.ClientID, cloud: app.Spec.Cloud}
}

// application is what is remembered of a DefenderApp.
type application struct {
	identity   identity
	generation int64
	records    []*record // in order of preference
	// served is whether any customer ever got a token.
	served bool
	// wantedAt is when proofs were first thought of, provedAt when the last one was made.
	wantedAt, provedAt time.Time
	// silent are the canaries whose last proof said nothing.
	silent []string
}

// record is what is remembered of one entry of spec.credentials.
type record struct {
	name    string
	fault   *token.Fault // the stored version cannot be read
	gone    bool         // nothing is stored
	current *version     // the version that was read last
	former  *version     // the one accepted before it
}

// recall brings what is known of an application up to date with what was read, and tells
// whether a credential is another one than before. A pass that still sees an older spec does
// not decide what is kept.
func (k *Keyring) recall(app *v1alpha1.DefenderApp, readings []reading) (records []*record, changed bool) {
	a := k.apps[app.Name]
	if a == nil || a.identity != identityOf(app) {
		a = &application{identity: identityOf(app)}
		if k.apps == nil {
			k.apps = map[string]*application{}
		}
		k.apps[app.Name] = a
	}
	records = make([]*record, 0, len(readings))
	for _, got := range readings {
		r := a.record(got.name)
		if r == nil {
			r = &record{name: got.name}
		}
		changed = r.see(got, app) || changed
		records = append(records, r)
	}
	if app.Generation >= a.generation {
		a.generation, a.records = app.Generation, records
		maps.DeleteFunc(k.parsed, func(s slot, _ parsed) bool { return s.app == app.Name && a.record(s.name) == nil })
	}
	a.served = a.served || slices.ContainsFunc(app.Status.Credentials, func(c v1alpha1.CredentialStatus) bool { return c.LastUsedAt != nil })
	return records, changed
}

func (a *application) record(name string) *record {
	i := slices.IndexFunc(a.records, func(r *record) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return a.records[i]
}

// see takes note of what is stored now, and tells whether that is news.
func (r *record) see(got reading, app *v1alpha1.DefenderApp) bool {
	before, readable := r.current, r.fault == nil
	seen := before != nil || !readable
	r.fault, r.gone = got.fault, got.gone
	if got.fault != nil {
		return seen && readable
	}
	switch {
	case before == nil:
		r.current = remembered(app, got)
	case before.is(got.found.Fingerprint):
	case r.former.is(got.found.Fingerprint):
		r.current, r.former = r.former, nil
		r.retire(before)
	default:
		r.current = &version{}
		r.retire(before)
	}
	r.current.credential = got.found // of the same version more may be known now, such as its end
	return seen && (!readable || r.current != before)
}

// retire keeps a version as the former one if that is worth it: a version that works, or
// in want of one the last that ever did.
func (r *record) retire(v *version) {
	if v.works() || v.accepted && !r.former.works() {
		r.former = v
	}
}

// usable are the versions that may be asked with, best first. While the stored one cannot
// be read, that is what was accepted before; what was taken away is not used any more.
func (r *record) usable() []*version {
	var found []*version
	for _, v := range []*version{r.current, r.former} {
		if v != nil && !r.gone && (r.fault == nil || v.accepted) {
			found = append(found, v)
		}
	}
	return found
}

func (r *record) entry() Entry {
	e := Entry{Name: r.name, Err: r.fault}
	if r.fault == nil {
		v := r.current
		e.Credential, e.Suspected, e.Away = v.credential, v.suspected, v.away
		if !v.untested() {
			e.Verdict = &Verdict{Refused: v.refused, CheckedAt: v.checkedAt, LastUsedAt: v.lastUsedAt}
		}
	}
	if e.Verdict == nil || e.Verdict.Refused != nil {
		for _, v := range r.usable() {
			if v.works() {
				e.Former, e.FormerAway = &v.credential, v.away
				break
			}
		}
	}
	return e
}

// remembered begins the first version that this process sees with what the process before
// it wrote into the status, so that a restart proves nothing anew. A status that speaks of
// an older spec may speak of another application registration.
func remembered(app *v1alpha1.DefenderApp, got reading) *version {
	i := slices.IndexFunc(app.Status.Credentials, func(c v1alpha1.CredentialStatus) bool {
		return c.Name == got.name && c.Fingerprint == got.found.Fingerprint
	})
	if i < 0 || app.Status.ObservedGeneration != app.Generation {
		return &version{}
	}
	known := app.Status.Credentials[i]
	if known.Accepted == nil || known.CheckedAt == nil {
		return &version{}
	}
	v := &version{accepted: *known.Accepted || known.LastUsedAt != nil, since: known.CheckedAt.Time, checkedAt: known.CheckedAt.Time}
	if known.LastUsedAt != nil {
		v.lastUsedAt = known.LastUsedAt.Time
	}
	if !*known.Accepted {
		v.refused = refusalBefore(app, known)
	}
	return v
}

// refusalBefore is a refusal that a former process met, as far as its words are known.
func refusalBefore(app *v1alpha1.DefenderApp, known v1alpha1.CredentialStatus) *token.Fault {
	fault := &token.Fault{
		Reason: known.Reason, Actor: token.ActorPlatform, Cure: token.ByPoll, Scope: token.ScopeCredential,
		Message: fmt.Sprintf("Entra ID refuses credential %s. The platform team must compare it with the application registration.", known.Name),
	}
	if c := apimeta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionCredentialAccepted); c != nil && c.Status == metav1.ConditionFalse {
		fault.Message = c.Message
	}
	return fault
}
