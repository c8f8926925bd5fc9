package vault_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/entra"
	"github.com/defender-tenant/operator/internal/federation"
	"github.com/defender-tenant/operator/internal/token"
	"github.com/defender-tenant/operator/internal/vault"
	entraemulator "github.com/defender-tenant/operator/test/entra"
	vaultemulator "github.com/defender-tenant/operator/test/vault"
)

const (
	clientID = "22222222-2222-2222-2222-222222222222"
	home     = "99999999-9999-9999-9999-999999999999"
	contoso  = "11111111-1111-1111-1111-111111111111"
	canary   = "canary-7741"
)

// world is an Entra ID, a vault and the operator's way to both. Time is the fake clock's.
type world struct {
	t      *testing.T
	clock  *clocktesting.FakeClock
	entra  *entraemulator.Emulator
	vault  *vaultemulator.Emulator
	client *entra.Client
	vaults *vault.Vaults
	access vault.Access
}

// newWorld has contoso's consent, and a service-account token that opens the vault.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakeClock(time.Now())}
	var err error
	w.entra, err = entraemulator.Start(entraemulator.Options{Now: w.clock.Now, Marker: canary})
	w.must(err)
	t.Cleanup(w.entra.Close)
	w.entra.RegisterApp(entraemulator.App{ClientID: clientID, HomeTenantID: home, Permissions: map[string][]string{entraemulator.DefenderXDR: {"Incident.Read.All"}}})
	w.entra.AddTenant(contoso)
	w.entra.Consent(contoso, clientID)
	w.vault, err = vaultemulator.Start(vaultemulator.Options{Entra: w.entra, TenantID: home, Marker: canary})
	w.must(err)
	t.Cleanup(w.vault.Close)
	w.vault.Allow(clientID, vaultemulator.Read, vaultemulator.Sign, vaultemulator.Get)

	catalog, err := cloud.NewCatalog(w.entra.URL())
	w.must(err)
	catalog, err = catalog.WithVault(w.vault.URL())
	w.must(err)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	w.must(os.WriteFile(bundle, w.entra.CAPEM(), 0o600))
	w.client, err = entra.New(entra.Options{Catalog: catalog, RequestsPerSecond: 10000, CABundle: bundle, Now: w.clock.Now})
	w.must(err)
	w.vaults = vault.New(w.client, catalog, w.client.Transport(), w.clock.Now)
	w.access = vault.Access{ClientID: clientID, HomeTenantID: home, Credential: w.federated()}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// clusterKey signs service-account tokens. It takes long to make.
var clusterKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// federated is a service-account token that Entra ID accepts as the application's.
func (w *world) federated() credential.Credential {
	w.t.Helper()
	key, err := clusterKey()
	w.must(err)
	const issuer, subject = "https://cluster.example", "system:serviceaccount:defender-system:operator"
	w.entra.AddFederation(clientID, entraemulator.Federation{Issuer: issuer, Subject: subject, Keys: []*rsa.PublicKey{&key.PublicKey}})
	signed := encoded(map[string]any{"alg": "RS256"}) + "." + encoded(map[string]any{
		"iss": issuer, "sub": subject, "aud": []string{"api://AzureADTokenExchange"}, "exp": w.clock.Now().Add(48 * time.Hour).Unix(),
	})
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	w.must(err)
	file := filepath.Join(w.t.TempDir(), "token")
	w.must(os.WriteFile(file, []byte(signed+"."+base64.RawURLEncoding.EncodeToString(signature)), 0o600))
	held, err := federation.Tokens{File: file, Now: w.clock.Now}.Credential("federated", clientID, "")
	w.must(err)
	return held
}

func encoded(members map[string]any) string {
	data, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func certificate(name string) v1alpha1.KeyVaultCredential {
	return v1alpha1.KeyVaultCredential{VaultName: "Contoso", CertificateName: name}
}

func secret(name string) v1alpha1.KeyVaultCredential {
	return v1alpha1.KeyVaultCredential{VaultName: "Contoso", SecretName: name}
}

func (w *world) credential(spec v1alpha1.KeyVaultCredential) credential.Credential {
	w.t.Helper()
	held, err := w.vaults.Credential(w.t.Context(), "vault", spec, w.access)
	if err != nil {
		w.t.Fatalf("%v (%v)", err, errors.Unwrap(err))
	}
	return held
}

// acquire asks for a token of contoso.
func (w *world) acquire(held credential.Credential) error {
	w.t.Helper()
	_, err := w.client.Acquire(w.t.Context(), token.Request{TenantID: contoso, ClientID: clientID, Resource: entraemulator.DefenderXDR, Credential: held})
	return err
}

// flaw expects a defect in which nothing of the vault's own words stands.
func (w *world) flaw(err error) credential.Defect {
	w.t.Helper()
	found, ok := err.(*credential.Defect) //nolint:errorlint // the contract is the defect itself
	if !ok {
		w.t.Fatalf("got %T %v, want a defect", err, err)
	}
	w.clean(found.Text)
	for err := errors.Unwrap(found); err != nil; err = errors.Unwrap(err) {
		w.clean(err.Error())
	}
	return *found
}

// clean looks for anything secret, or anything from outside, in a text.
func (w *world) clean(text string) {
	w.t.Helper()
	for _, mark := range append(w.entra.Marks(), "eyJ", "AKV", "Injected") {
		if strings.Contains(text, mark) {
			w.t.Errorf("%q is in %q", mark, text)
		}
	}
}

// asked are the requests to the vault, as METHOD path status.
func (w *world) asked() []string {
	var lines []string
	for _, r := range w.vault.Requests() {
		line := r.Method + " " + strings.TrimSuffix(r.Path, "/")
		if r.Status != 200 {
			line += " refused"
		}
		lines = append(lines, line)
	}
	return lines
}
