// Package keyring holds the credentials of the applications: it reads them from where they
// are kept, chooses the one to use, and remembers what Entra ID said of each.
package keyring

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
)

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
	// Changed is called with the name of an application when one of its credentials turns out
	// to have changed, or Entra ID's opinion of one; it may be nil.
	Changed func(app string)

	mu     sync.Mutex
	apps   map[string]*application
	parsed map[slot]parsed
}

// slot is the place where a credential is kept.
type slot struct{ app, name string }

// parsed keeps the outcome of reading a credential, which for a key is costly.
type parsed struct {
	source     string // resourceVersion of the Secret, and what the spec says of it
	credential credential.Credential
	err        error
}

// Entry is one credential of an application, as it stands.
type Entry struct {
	Name       string
	Credential credential.Credential // as it is stored now; only if Err is nil
	Err        *token.Fault
	Verdict    *Verdict     // nil: this version was never judged
	Suspected  *token.Fault // a refusal that may be a customer's affair, until others meet it too
	// Former is the last accepted version, while it stays in use in place of the stored one.
	Former *credential.Credential
	// Away and FormerAway are why the stored version and the former one could not be used the
	// last time, without a word of Entra ID: a vault did not sign, for example.
	Away, FormerAway *token.Fault
}

// Verdict is what Entra ID said of one version of a credential.
type Verdict struct {
	// Refused is nil while the credential is accepted.
	Refused *token.Fault
	// CheckedAt is when Entra ID last judged it, LastUsedAt when it last gave a customer's token.
	CheckedAt, LastUsedAt time.Time
}

// Entries are the credentials of an application in order of preference.
func (k *Keyring) Entries(ctx context.Context, app *v1alpha1.DefenderApp) []Entry {
	readings := k.readAll(ctx, app)
	k.mu.Lock()
	defer k.mu.Unlock()
	records, _ := k.recall(app, readings)
	entries := make([]Entry, 0, len(records))
	for _, r := range records {
		entries = append(entries, r.entry())
	}
	return entries
}

// Forget drops everything that is known of an application.
func (k *Keyring) Forget(app string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.apps, app)
	maps.DeleteFunc(k.parsed, func(s slot, _ parsed) bool { return s.app == app })
}

// reading is the outcome of reading one credential.
type reading struct {
	name  string
	found credential.Credential
	fault *token.Fault
	gone  bool // somebody took it away, in contrast to one that cannot be read
}

// readAll reads the credentials of an application, without the lock: it may take time.
func (k *Keyring) readAll(ctx context.Context, app *v1alpha1.DefenderApp) []reading {
	readings := make([]reading, 0, len(app.Spec.Credentials))
	for _, spec := range app.Spec.Credentials {
		found, err := k.read(ctx, app, spec)
		got := reading{name: spec.Name, found: found}
		if err != nil {
			flaw, ok := errors.AsType[*credential.Defect](err)
			got.fault, got.gone = unusable(app.Name, spec.Name, err), ok && flaw.Gone
		}
		readings = append(readings, got)
	}
	return readings
}
