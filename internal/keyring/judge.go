package keyring

import (
	"slices"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
)

// Judge records the outcome of an attempt: nil when a token came. Only a refusal of the
// credential itself counts against it. One that could not be used, because its vault is away
// for example, rests for a moment without a verdict: Entra ID was not asked.
func (k *Keyring) Judge(app *v1alpha1.DefenderApp, used credential.Credential, asker Asker, outcome *token.Fault, now time.Time) {
	k.mu.Lock()
	changed := false
	if a := k.apps[app.Name]; a != nil && a.identity == identityOf(app) {
		changed = a.judge(used, asker, outcome, now)
	}
	k.mu.Unlock()
	if outcome != nil && outcome.Scope == token.ScopeCredential && k.Vaults != nil {
		k.Vaults.Reread(used.Fingerprint)
	}
	if changed && k.Changed != nil {
		k.Changed(app.Name)
	}
}

// judge tells whether people have to be told something else than before.
func (a *application) judge(used credential.Credential, asker Asker, outcome *token.Fault, now time.Time) bool {
	a.served = a.served || asker.Served || outcome == nil
	r := a.record(used.Name)
	if r == nil {
		return false // removed from the spec meanwhile
	}
	v := r.version(used)
	if asker.Canary {
		a.proved(v, asker, outcome, now)
	}
	before := v.phase()
	switch {
	case outcome == nil:
		v.accept(asker, now)
		r.settle(v, now)
	case outcome.Scope != token.ScopeCredential:
	case outcome.Unsent:
		v.away, v.awayAt = outcome, now
	default:
		v.refuse(asker, outcome, a.served, now)
	}
	return v.phase() != before
}

// version finds the version that was used. One that was replaced while it was in use is a
// new one, which settle may keep.
func (r *record) version(used credential.Credential) *version {
	for _, v := range []*version{r.current, r.former} {
		if v.is(used.Fingerprint) {
			return v
		}
	}
	return &version{credential: used}
}

// settle keeps what a version that was just accepted makes necessary, and no longer.
func (r *record) settle(v *version, now time.Time) {
	switch {
	case v == r.current && now.Sub(v.since) > overlap:
		r.former = nil
	case v != r.current && !r.current.works():
		r.retire(v)
	}
}

// proved notes who was asked, so that the next proof asks somebody else if this one said
// nothing.
func (a *application) proved(v *version, asker Asker, outcome *token.Fault, now time.Time) {
	a.provedAt, v.triedAt = now, now
	if outcome != nil && outcome.Unsent {
		return // nobody was asked
	}
	if outcome == nil || outcome.Scope == token.ScopeCredential {
		a.silent = nil
		return
	}
	const enough = 16
	if !slices.Contains(a.silent, asker.TenantID) {
		a.silent = append(a.silent, asker.TenantID)
	}
	a.silent = a.silent[max(0, len(a.silent)-enough):]
}
