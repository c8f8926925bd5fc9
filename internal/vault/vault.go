package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

// rereadAfter is how old a certificate or secret may become before the vault is asked again.
const rereadAfter = 5 * time.Minute

// TokenSource gets tokens of Entra ID.
type TokenSource interface {
	Acquire(ctx context.Context, want token.Request) (token.Issued, error)
}

// Vaults reads and signs. It may be used from several goroutines.
type Vaults struct {
	tokens  TokenSource
	catalog cloud.Catalog
	wire    *wire
	now     func() time.Time

	passes  shelf[pass, redacted.String]
	objects shelf[place, object]
	rests   rests
}

// New makes Vaults. The transport must be safe by itself: what is added here is a deadline, a
// cap and the bounds of where a request may go.
func New(tokens TokenSource, catalog cloud.Catalog, transport http.RoundTripper, now func() time.Time) *Vaults {
	return &Vaults{tokens: tokens, catalog: catalog, wire: &wire{transport: transport}, now: now}
}

// Access is who asks a vault, and with what a token for it is to be had.
type Access struct {
	Cloud                  v1alpha1.Cloud
	ClientID, HomeTenantID string
	Credential             credential.Credential
}

// place is one object in one vault, as one application may see it.
type place struct {
	url, kind, name  string
	tenant, clientID string
}

// pass is whose token a vault is asked with.
type pass struct {
	resource, tenant, clientID, fingerprint string
}

// object is what a place holds.
type object struct {
	credential credential.Credential // without a name
	signer     *signer               // nil for a client secret
}

// Credential gives the credential that a vault keeps. It asks the vault at most every five
// minutes, and keeps what it has while the vault is away. Its error is a *credential.Defect.
func (v *Vaults) Credential(ctx context.Context, name string, spec v1alpha1.KeyVaultCredential, with Access) (credential.Credential, error) {
	if with.HomeTenantID == "" {
		return credential.Credential{}, &credential.Defect{Text: "the tenant of vault " + spec.VaultName + " is not known: set spec.homeTenantID"}
	}
	asked := v.question(spec, with)
	held, err := v.objects.get(ctx, v.now, asked.place(), func(ctx context.Context) (life[object], error) {
		found, err := v.read(ctx, asked)
		return life[object]{value: found, fresh: rereadAfter}, err
	})
	if err != nil {
		return credential.Credential{}, asked.defect(err)
	}
	found := held.credential
	found.Name = name
	if held.signer == nil {
		return found, nil
	}
	if err := held.signer.inTime(asked, v.now()); err != nil {
		return credential.Credential{}, err
	}
	found.Assert = func(ctx context.Context, audience string) (redacted.String, error) {
		return v.assert(ctx, asked, held.signer, audience)
	}
	return found, nil
}

// Reread makes the next look at a credential ask the vault, as Entra ID refuses the version of
// this fingerprint and there may be a newer one.
func (v *Vaults) Reread(fingerprint string) {
	v.objects.expire(func(held object) bool { return held.credential.Fingerprint == fingerprint })
}

func (v *Vaults) question(spec v1alpha1.KeyVaultCredential, with Access) question {
	asked := question{Access: with, at: v.catalog.Vault(with.Cloud, spec.VaultName), vault: spec.VaultName, kind: "secret", name: spec.SecretName, role: "Key Vault Secrets User"}
	if spec.CertificateName != "" {
		// Not Key Vault Certificate User: that one may read every secret of the vault.
		asked.kind, asked.name, asked.role = "certificate", spec.CertificateName, "Key Vault Reader"
	}
	return asked
}

func (v *Vaults) read(ctx context.Context, asked question) (object, error) {
	if asked.kind == "certificate" {
		return v.readCertificate(ctx, asked)
	}
	return v.readSecret(ctx, asked)
}

// token gives a token for vaults, renewed at half of its life.
func (v *Vaults) token(ctx context.Context, asked question) (redacted.String, error) {
	return v.passes.get(ctx, v.now, asked.pass(), func(ctx context.Context) (life[redacted.String], error) {
		issued, err := v.tokens.Acquire(ctx, token.Request{
			Cloud: asked.Cloud, TenantID: asked.HomeTenantID, ClientID: asked.ClientID,
			Resource: asked.at.Resource, Credential: asked.Credential,
		})
		if err != nil {
			return life[redacted.String]{}, asked.noToken(err)
		}
		return life[redacted.String]{value: issued.Token, fresh: issued.Lifetime / 2, good: issued.Lifetime}, nil
	})
}

// noToken is for an Entra ID that gives no token for vaults.
func (q question) noToken(err error) error {
	flaw := &credential.Defect{
		Text:    fmt.Sprintf("tenant %s gave no token for vault %s", q.HomeTenantID, q.vault),
		Reason:  v1alpha1.ReasonVaultUnavailable,
		Passing: true,
		Cause:   err,
	}
	var fault *token.Fault
	if !errors.As(err, &fault) {
		return flaw
	}
	flaw.Text = fmt.Sprintf("with credential %s there is no token for vault %s to be had from tenant %s: %s",
		q.Credential.Name, q.vault, q.HomeTenantID, strings.TrimSuffix(fault.Message, "."))
	if fault.Cure != token.ByRetry {
		flaw.Reason, flaw.Passing = v1alpha1.ReasonVaultRefused, false
	}
	return flaw
}
