package keyring

import (
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
	// judged, which is known for certain: the credential is for one canary at a time, to see
	// whether that is still so, or whether a new one works.
	Refused *token.Fault
}

// Pick gives the best credential of those whose fingerprint was not tried yet. That is, in
// order of preference, one that Entra ID accepts; then one that it has not judged, which is
// on trial as long as any other works; and one that it refuses only for want of any other.
// Its error is a *token.Fault.
func (k *Keyring) Pick(ctx context.Context, app *v1alpha1.DefenderApp, asker Asker, now time.Time, tried ...string) (Choice, error) {
	readings := k.readAll(ctx, app)
	k.mu.Lock()
	defer k.mu.Unlock()
	_, records := k.recall(app, readings)
	var best *version
	for _, v := range versions(records) {
		if !slices.Contains(tried, v.credential.Fingerprint) && (best == nil || v.rank(asker, now) < best.rank(asker, now)) {
			best = v
		}
	}
	if best == nil {
		return Choice{}, nothingLeft(app, records)
	}
	return Choice{Credential: best.credential, Refused: refusalOfAll(records)}, nil
}

// versions are all that may be asked with, in order of preference.
func versions(records []*record) []*version {
	var all []*version
	for _, r := range records {
		all = append(all, r.usable()...)
	}
	return all
}

// refusalOfAll is the first refusal, if there are only refusals.
func refusalOfAll(records []*record) *token.Fault {
	var first *token.Fault
	for _, v := range versions(records) {
		if v.works() {
			return nil
		}
		if first == nil {
			first = v.refused
		}
	}
	return first
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
