// Package keyring holds the credentials of the applications: it reads them from the
// Secrets of the operator's own namespace, chooses the one to use, and remembers what
// Entra ID said of each.
package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
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
	// Changed is called with the name of an application when Entra ID's opinion of one of
	// its credentials changes; it may be nil.
	Changed func(app string)

	mu     sync.Mutex
	apps   map[string]*application
	parsed map[slot]parsed
}

// slot names one version of nothing but the place where a credential is kept.
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
	_, records := k.recall(app, readings)
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
	gone  bool // somebody took it away: what was there before must not be used any more
}

// readAll reads the credentials of an application, without the lock: it may take time.
func (k *Keyring) readAll(ctx context.Context, app *v1alpha1.DefenderApp) []reading {
	readings := make([]reading, 0, len(app.Spec.Credentials))
	for _, spec := range app.Spec.Credentials {
		found, err := k.read(ctx, app, spec)
		got := reading{name: spec.Name, found: found}
		if err != nil {
			got.fault, got.gone = unusable(app.Name, spec.Name, err), errors.Is(err, errGone)
		}
		readings = append(readings, got)
	}
	return readings
}

// errGone marks a credential that is not there, in contrast to one that cannot be read.
var errGone = errors.New("nothing is stored")

// errNotSupported is for the kinds that the schema has and the operator has not.
var errNotSupported = errors.New("not supported yet")

// read gives a credential ready for use.
func (k *Keyring) read(ctx context.Context, app *v1alpha1.DefenderApp, spec v1alpha1.Credential) (credential.Credential, error) {
	name := SecretName(spec)
	if name == "" {
		return credential.Credential{}, errNotSupported
	}
	var secret corev1.Secret
	err := k.Secrets.Get(ctx, types.NamespacedName{Namespace: k.Namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return credential.Credential{}, fmt.Errorf("%w: %w", errGone, &credential.Defect{Text: fmt.Sprintf("Secret %s/%s does not exist: create it", k.Namespace, name)})
	}
	if err != nil {
		return credential.Credential{}, fmt.Errorf("read Secret %s/%s: %w", k.Namespace, name, err)
	}
	key := slot{app.Name, spec.Name}
	source := fmt.Sprintf("%s/%s/%s/%d", secret.UID, secret.ResourceVersion, app.UID, app.Generation)
	k.mu.Lock()
	defer k.mu.Unlock()
	if known, ok := k.parsed[key]; ok && known.source == source {
		return known.credential, known.err
	}
	if k.parsed == nil {
		k.parsed = map[slot]parsed{}
	}
	found, err := parse(app, spec, &secret)
	k.parsed[key] = parsed{source: source, credential: found, err: err}
	return found, err
}

func parse(app *v1alpha1.DefenderApp, spec v1alpha1.Credential, secret *corev1.Secret) (credential.Credential, error) {
	if spec.Certificate != nil {
		return credential.FromPEM(spec.Name, secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	}
	key := cmp.Or(spec.ClientSecret.SecretRef.Key, v1alpha1.DefaultClientSecretKey)
	value, ok := secret.Data[key]
	if !ok {
		return credential.Credential{}, fmt.Errorf("%w: %w", errGone, &credential.Defect{Text: fmt.Sprintf("Secret %s/%s has no key %s: store the client secret there", secret.Namespace, secret.Name, key)})
	}
	var expires time.Time
	if spec.ClientSecret.ExpiresAt != nil {
		expires = spec.ClientSecret.ExpiresAt.UTC()
	}
	return credential.FromSecret(spec.Name, app.Spec.ClientID, value, expires)
}

// SecretName is the Secret that a credential is kept in, empty for kinds without one.
func SecretName(spec v1alpha1.Credential) string {
	switch {
	case spec.Certificate != nil:
		return spec.Certificate.SecretRef.Name
	case spec.ClientSecret != nil:
		return spec.ClientSecret.SecretRef.Name
	}
	return ""
}

// unusable puts a defect into a sentence. Only texts of our own pass.
func unusable(app, name string, err error) *token.Fault {
	fault := &token.Fault{Actor: token.ActorPlatform, Cure: token.ByPoll, Cause: err}
	var flaw *credential.Defect
	switch {
	case errors.Is(err, errNotSupported):
		fault.Reason = v1alpha1.ReasonCredentialNotSupported
		fault.Message = fmt.Sprintf("Credential %s of DefenderApp %s is of a kind that this version of the operator does not support yet. The platform team must add one of kind certificate or clientSecret.", name, app)
	case errors.As(err, &flaw):
		fault.Reason = v1alpha1.ReasonCredentialUnusable
		fault.Message = fmt.Sprintf("Credential %s of DefenderApp %s cannot be used: %s. This is for the platform team.", name, app, flaw.Text)
	default:
		fault.Reason, fault.Cure = v1alpha1.ReasonCredentialUnusable, token.ByRetry
		fault.Message = fmt.Sprintf("The Secret of credential %s of DefenderApp %s could not be read. The operator tries again.", name, app)
	}
	return fault
}
