package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
	"github.com/defender-tenant/operator/test/vault"
)

const (
	home            = "99999999-9999-9999-9999-999999999999"
	clusterIssuer   = "https://cluster.example"
	operatorSubject = "system:serviceaccount:operators:defender-tenant-operator"
)

// project writes a service-account token as the kubelet does: a new file in the place of the old one.
func (s *stage) project(file string, key *rsa.PrivateKey, subject string) {
	s.t.Helper()
	var parts []string
	for _, members := range []map[string]any{
		{"alg": "RS256"},
		{"iss": clusterIssuer, "sub": subject, "aud": []string{"api://AzureADTokenExchange"}, "exp": time.Now().Add(time.Hour).Unix()},
	} {
		data, err := json.Marshal(members)
		s.must(err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
	}
	digest := sha256.Sum256([]byte(strings.Join(parts, ".")))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	s.must(err)
	s.must(os.WriteFile(file+".new", []byte(strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), ".")), 0o600))
	s.must(os.Rename(file+".new", file))
}

// use makes these the only credentials of the application.
func (s *stage) use(credentials ...v1alpha1.Credential) {
	s.t.Helper()
	app := &v1alpha1.DefenderApp{}
	s.must(s.Get(s.t.Context(), types.NamespacedName{Name: "partner"}, app))
	before := client.MergeFrom(app.DeepCopy())
	app.Spec.HomeTenantID, app.Spec.Credentials = home, credentials
	s.must(s.Patch(s.t.Context(), app, before))
}

// proof is how the last token of the customer was asked for.
func (s *stage) proof() string {
	for _, r := range slices.Backward(s.entra.Requests()) {
		if r.Kind == entra.Token && r.Tenant == customer {
			return r.Credential
		}
	}
	return ""
}

// kinds runs the operator with what is kept in no Secret.
func (s *stage) kinds(t *testing.T) {
	s = s.in(t)
	s.entra.RegisterApp(entra.App{ClientID: clientID, HomeTenantID: home, Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	s.must(err)
	s.entra.AddFederation(clientID, entra.Federation{Issuer: clusterIssuer, Subject: operatorSubject, Keys: []*rsa.PublicKey{&key.PublicKey}})
	v, err := vault.Start(vault.Options{Entra: s.entra, TenantID: home, Marker: canary})
	s.must(err)
	t.Cleanup(v.Close)
	v.Allow(clientID, vault.Read, vault.Sign, vault.Get)
	s.entra.AddCertificate(clientID, v.MakeCertificate("partner", time.Now().Add(time.Hour)))
	const kept = "kept-in-the-vault-and-nowhere-else"
	v.SetSecret("partner", kept, time.Now().Add(time.Hour))
	s.entra.AddSecret(clientID, kept, time.Time{})

	file := filepath.Join(t.TempDir(), "token")
	federated := v1alpha1.Credential{Name: "federated", WorkloadIdentity: &v1alpha1.WorkloadIdentityCredential{}}
	inVault := func(name string, spec v1alpha1.KeyVaultCredential) v1alpha1.Credential {
		spec.VaultName = "contoso"
		return v1alpha1.Credential{Name: name, KeyVault: &spec}
	}
	s.use(federated)
	p := s.start("--namespaces=soc", "--zap-log-level=10", "--federated-token-file="+file, "--vault-url="+v.URL())
	p.eventually("the file is missed", func() bool {
		return strings.Contains(s.message(), "file "+file+" does not exist")
	})
	s.project(file, key, operatorSubject+"-of-another-name")
	s.request("other subject")
	p.eventually("the platform team is told what to compare", func() bool {
		return strings.Contains(s.message(), "The operator presents issuer "+clusterIssuer+", subject "+operatorSubject+"-of-another-name, audience api://AzureADTokenExchange.")
	})
	s.project(file, key, operatorSubject)
	s.request("right subject")
	p.eventually("the service-account token is taken", func() bool { return len(s.secret("soc").Data["token"]) > 0 && s.proof() == "federated" })

	s.use(inVault("key", v1alpha1.KeyVaultCredential{CertificateName: "partner"}), federated)
	p.eventually("a key in the vault signs", func() bool { return strings.HasPrefix(s.proof(), "certificate ") })
	s.use(inVault("secret", v1alpha1.KeyVaultCredential{SecretName: "partner"}), federated)
	p.eventually("a secret in the vault is used", func() bool { return s.proof() == "secret" })
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	p.assertNoSecret()
	if strings.Contains(p.log.text(), kept) {
		t.Error("the secret of the vault is in the log")
	}
}

// message is what the conditions of the tenant say.
func (s *stage) message() string {
	var all strings.Builder
	for _, c := range s.tenant().Status.Conditions {
		all.WriteString(c.Message + "\n")
	}
	return all.String()
}
