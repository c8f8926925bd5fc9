package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
	"github.com/defender-tenant/operator/internal/vault"
)

// Federation gives credentials of kind workloadIdentity.
type Federation interface {
	Credential(name, clientID string, cloud v1alpha1.Cloud) (credential.Credential, error)
}

// Vaults gives credentials of kind keyVault.
type Vaults interface {
	Credential(ctx context.Context, name string, spec v1alpha1.KeyVaultCredential, with vault.Access) (credential.Credential, error)
	// Reread makes the next look ask the vault for a newer version than that of the fingerprint.
	Reread(fingerprint string)
}

// read gives a credential ready for use.
func (k *Keyring) read(ctx context.Context, app *v1alpha1.DefenderApp, spec v1alpha1.Credential) (credential.Credential, error) {
	switch {
	case spec.WorkloadIdentity != nil && k.Federation != nil:
		return k.Federation.Credential(spec.Name, app.Spec.ClientID, app.Spec.Cloud)
	case spec.KeyVault != nil && k.Vaults != nil:
		return k.readVault(ctx, app, spec)
	case SecretName(spec) != "":
		return k.readSecret(ctx, app, spec)
	}
	return credential.Credential{}, &credential.Defect{Text: "its kind is not set up in this operator: set exactly one of workloadIdentity, keyVault, certificate and clientSecret"}
}

// readVault opens the vault with the first credential of the application that needs no vault
// and sends no secret.
func (k *Keyring) readVault(ctx context.Context, app *v1alpha1.DefenderApp, spec v1alpha1.Credential) (credential.Credential, error) {
	for _, opener := range app.Spec.Credentials {
		if opener.WorkloadIdentity == nil && opener.Certificate == nil {
			continue
		}
		held, err := k.read(ctx, app, opener)
		if flaw, ok := errors.AsType[*credential.Defect](err); ok {
			own := *flaw
			own.Gone = false // what the vault keeps is still there
			own.Text = fmt.Sprintf("vault %s is opened with credential %s, which cannot be used itself: %s", spec.KeyVault.VaultName, opener.Name, flaw.Text)
			return credential.Credential{}, &own
		}
		if err != nil {
			return credential.Credential{}, err
		}
		return k.Vaults.Credential(ctx, spec.Name, *spec.KeyVault, vault.Access{
			Cloud: app.Spec.Cloud, ClientID: app.Spec.ClientID, HomeTenantID: app.Spec.HomeTenantID, Credential: held,
		})
	}
	return credential.Credential{}, &credential.Defect{Text: fmt.Sprintf(
		"there is nothing to open vault %s with: add a credential of kind workloadIdentity or certificate to spec.credentials", spec.KeyVault.VaultName)}
}

// readSecret reads a Secret of the operator's own namespace.
func (k *Keyring) readSecret(ctx context.Context, app *v1alpha1.DefenderApp, spec v1alpha1.Credential) (credential.Credential, error) {
	name := SecretName(spec)
	var secret corev1.Secret
	err := k.Secrets.Get(ctx, types.NamespacedName{Namespace: k.Namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return credential.Credential{}, &credential.Defect{Text: fmt.Sprintf("Secret %s/%s does not exist: create it", k.Namespace, name), Gone: true}
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
		return credential.Credential{}, &credential.Defect{Text: fmt.Sprintf("Secret %s/%s has no key %s: store the client secret there", secret.Namespace, secret.Name, key), Gone: true}
	}
	return credential.FromSecret(spec.Name, app.Spec.ClientID, value, expiry(spec.ClientSecret, secret))
}

// expiry is what the spec says of a client secret's end or, if it says nothing, the Secret's
// annotation: whoever makes a new client secret can write down its end beside it. What is no
// date there is left alone, because a typing error must not take a good credential away.
func expiry(spec *v1alpha1.ClientSecretCredential, secret *corev1.Secret) time.Time {
	if spec.ExpiresAt != nil {
		return spec.ExpiresAt.UTC()
	}
	written := secret.Annotations[v1alpha1.CredentialExpiresAtAnnotation]
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, written); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
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
	if flaw, ok := errors.AsType[*credential.Defect](err); ok {
		return token.Unusable(name, "DefenderApp "+app, flaw)
	}
	return &token.Fault{
		Reason: v1alpha1.ReasonCredentialUnusable, Actor: token.ActorPlatform, Cure: token.ByRetry, Cause: err,
		Message: fmt.Sprintf("The Secret of credential %s of DefenderApp %s could not be read. The operator tries again.", name, app),
	}
}
