package keyring

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
)

// forgiveness is how long a refused credential rests while another one works.
const forgiveness = 5 * time.Minute

// rest is how long one that could not be used is left alone.
const rest = 30 * time.Second

// Asker is who asks Entra ID with a credential.
type Asker struct {
	// TenantID is the customer.
	TenantID string
	// Served is whether the application got a token for this customer before: only then does a
	// refusal speak of the credential, and not of whatever is new about the customer.
	Served bool
	// Canary is set where the customer was chosen to prove the credential, and needs no token.
	Canary bool
}

// Choice is a credential to ask with.
type Choice struct {
	Credential credential.Credential
	// Refused is set when Entra ID refuses every credential of the application that was ever
	// judged, which is known for certain, or when none can be used at the moment: the credential
	// is for one canary at a time, to see whether that is still so, or whether a new one works.
	Refused *token.Fault
}

// Pick gives the best credential of those whose fingerprint was not tried yet. That is, in
// order of preference, one that Entra ID accepts; then one that it has not judged, which is
// on trial as long as any other works; and one that rests, or that it refuses, only for want
// of any other.
// Its error is a *token.Fault.
func (k *Keyring) Pick(ctx context.Context, app *v1alpha1.DefenderApp, asker Asker, now time.Time, tried ...string) (Choice, error) {
	readings := k.readAll(ctx, app)
	k.mu.Lock()
	records, changed := k.recall(app, readings)
	choice, err := choose(app, records, asker, now, tried)
	k.mu.Unlock()
	if changed && k.Changed != nil {
		k.Changed(app.Name) // not every place where a credential is kept can be watched
	}
	return choice, err
}

// choose takes the first version of the best rank.
func choose(app *v1alpha1.DefenderApp, records []*record, asker Asker, now time.Time, tried []string) (Choice, error) {
	var best *version
	for _, v := range versions(records) {
		if !slices.Contains(tried, v.credential.Fingerprint) && (best == nil || v.rank(asker, now) < best.rank(asker, now)) {
			best = v
		}
	}
	if best == nil {
		return Choice{}, nothingLeft(app, records)
	}
	return Choice{Credential: best.credential, Refused: refusalOfAll(records, now)}, nil
}

// versions are all that may be asked with, in order of preference.
func versions(records []*record) []*version {
	var all []*version
	for _, r := range records {
		all = append(all, r.usable()...)
	}
	return all
}

// refusalOfAll is the first refusal, if all that were judged are refused; or, if none is left
// that could be used now, why the first of those that rest does.
func refusalOfAll(records []*record, now time.Time) *token.Fault {
	var refused, away *token.Fault
	untested := false
	for _, v := range versions(records) {
		switch {
		case v.refused != nil:
			refused = cmp.Or(refused, v.refused)
		case v.rests(now):
			away = cmp.Or(away, v.away)
		case v.works():
			return nil
		default:
			untested = true
		}
	}
	if untested {
		return refused
	}
	return cmp.Or(away, refused)
}

// nothingLeft says why there is no credential to ask with.
func nothingLeft(app *v1alpha1.DefenderApp, records []*record) *token.Fault {
	for _, r := range records {
		if r.fault != nil {
			return r.fault
		}
	}
	return &token.Fault{
		Reason: v1alpha1.ReasonCredentialRefused, Actor: token.ActorPlatform, Cure: token.ByPoll, Scope: token.ScopeCredential,
		Message: fmt.Sprintf("Every credential of DefenderApp %s was tried. The platform team must compare them with the application registration.", app.Name),
	}
}
