// Package keyring holds the credentials of the applications: it reads them from where they
// are kept, chooses the one to use, and remembers what
// Entra ID said of each.
package keyring

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
)

// forgiveness is how long a refused credential rests while another one works.
const forgiveness = 5 * time.Minute

// Keyring reads, chooses and remembers. Its zero value lacks only Secrets and Namespace.
type Keyring struct {
	// Secrets reads Secrets of Namespace, from a cache that sees no other namespace.
	Secrets client.Reader
	// Namespace is the operator's own.
	Namespace string
	// Federation and Vaults give the credentials that are kept in no Secret. Without them those
	// kinds cannot be used.
	Federation Federation
	Vaults     Vaults
	// Changed is called with the name of an application when Entra ID's opinion of one of
	// its credentials changes; it may be nil.
	Changed func(app string)

	mu       sync.Mutex
	verdicts map[slot]Verdict
	parsed   map[slot]parsed
}

// slot names one version of nothing but the place where a credential is kept.
type slot struct{ app, name string }

// parsed keeps the outcome of reading a credential, which for a key is costly.
type parsed struct {
	source     string // resourceVersion of the Secret, and what the spec says of it
	credential credential.Credential
	err        error
}

// Verdict is what Entra ID said of one version of a credential.
type Verdict struct {
	// Fingerprint is the version it speaks of.
	Fingerprint string
	// Refused is nil while the credential is accepted.
	Refused *token.Fault
	// CheckedAt is when Entra ID last judged it, LastUsedAt when it last gave a token.
	CheckedAt, LastUsedAt time.Time
}

// Entry is one credential of an application, as it stands.
type Entry struct {
	Name       string
	Credential credential.Credential // only if Err is nil
	Err        *token.Fault
	Verdict    *Verdict // nil: this version was never used
}

// Entries are the credentials of an application in order of preference.
func (k *Keyring) Entries(ctx context.Context, app *v1alpha1.DefenderApp) []Entry {
	entries := make([]Entry, 0, len(app.Spec.Credentials))
	for _, spec := range app.Spec.Credentials {
		entry := Entry{Name: spec.Name}
		found, err := k.read(ctx, app, spec)
		if err != nil {
			entry.Err = unusable(app.Name, spec.Name, err)
		} else {
			entry.Credential = found
			entry.Verdict = k.verdict(app.Name, found)
		}
		entries = append(entries, entry)
	}
	return entries
}

// Asker is who asks Entra ID with a credential.
type Asker struct {
	// TenantID is the customer.
	TenantID string
	// Served is whether the application got a token for this customer before: only then does a
	// refusal speak of the credential, and not of whatever is new about the customer.
	Served bool
}

// Choice is a credential to ask with.
type Choice struct {
	Credential credential.Credential
	// Refused is set when Entra ID refuses every credential of the application, which is known
	// for certain: the credential is for one canary at a time, to see whether that is still so.
	Refused *token.Fault
}

// Pick gives the best credential of those whose fingerprint was not tried yet: the first that
// Entra ID does not refuse at the moment, or, if it refuses all, the first that can be used at
// all. Its error is a *token.Fault.
func (k *Keyring) Pick(ctx context.Context, app *v1alpha1.DefenderApp, _ Asker, now time.Time, tried ...string) (Choice, error) {
	var resort *Choice
	var fault *token.Fault
	for _, entry := range k.Entries(ctx, app) {
		switch {
		case entry.Err != nil:
			fault = cmp.Or(fault, entry.Err)
		case slices.Contains(tried, entry.Credential.Fingerprint):
		case entry.Verdict == nil || entry.Verdict.Refused == nil || now.Sub(entry.Verdict.CheckedAt) > forgiveness:
			return Choice{Credential: entry.Credential}, nil
		case resort == nil:
			resort = &Choice{Credential: entry.Credential}
		}
	}
	if resort != nil {
		return *resort, nil
	}
	return Choice{}, cmp.Or(fault, noneLeft(app.Name))
}

// noneLeft is for who has tried them all.
func noneLeft(app string) *token.Fault {
	return &token.Fault{
		Reason: v1alpha1.ReasonCredentialUnusable, Actor: token.ActorPlatform, Cure: token.ByPoll, Scope: token.ScopeCredential,
		Message: fmt.Sprintf("DefenderApp %s has no further credential. The platform team must add one to spec.credentials.", app),
	}
}

// Judge records the outcome of an attempt. Only a refusal of the credential itself counts
// against it.
func (k *Keyring) Judge(app *v1alpha1.DefenderApp, used credential.Credential, _ Asker, outcome *token.Fault, now time.Time) {
	refused := outcome != nil && outcome.Reason == v1alpha1.ReasonCredentialRefused
	if outcome != nil && !refused {
		return // says nothing about the credential
	}
	key := slot{app.Name, used.Name}
	k.mu.Lock()
	before, known := k.verdicts[key]
	known = known && before.Fingerprint == used.Fingerprint
	after := Verdict{Fingerprint: used.Fingerprint, CheckedAt: now, LastUsedAt: now}
	if refused {
		after.Refused, after.LastUsedAt = outcome, time.Time{}
		if known {
			after.LastUsedAt = before.LastUsedAt
		}
	}
	if k.verdicts == nil {
		k.verdicts = map[slot]Verdict{}
	}
	k.verdicts[key] = after
	k.mu.Unlock()
	if refused && k.Vaults != nil {
		k.Vaults.Reread(used.Fingerprint)
	}

	if changed := !known || (before.Refused != nil) != refused; changed && k.Changed != nil {
		k.Changed(app.Name)
	}
}

func (k *Keyring) verdict(app string, c credential.Credential) *Verdict {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, known := k.verdicts[slot{app, c.Name}]
	if !known || v.Fingerprint != c.Fingerprint {
		return nil
	}
	return &v
}
