package keyring_test

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
	"github.com/defender-tenant/operator/internal/vault"
)

const (
	clientID = "22222222-2222-2222-2222-222222222222"
	home     = "99999999-9999-9999-9999-999999999999"
)

// cluster is a Federation that gives one credential, or says what is wrong.
type cluster struct{ flaw error }

func (c cluster) Credential(name, app string, in v1alpha1.Cloud) (credential.Credential, error) {
	if c.flaw != nil {
		return credential.Credential{}, c.flaw
	}
	return credential.FromAssertions(name, app, "presented in "+string(in), func(context.Context, string) (redacted.String, error) {
		return redacted.New("assertion"), nil
	}), nil
}

// safe is Vaults that remember how they were asked.
type safe struct {
	flaw   error
	opened []vault.Access
	specs  []v1alpha1.KeyVaultCredential
	reread []string
}

func (s *safe) Credential(_ context.Context, name string, spec v1alpha1.KeyVaultCredential, with vault.Access) (credential.Credential, error) {
	s.opened, s.specs = append(s.opened, with), append(s.specs, spec)
	return credential.Credential{Name: name, Fingerprint: "of the vault"}, s.flaw
}

func (s *safe) Reread(fingerprint string) { s.reread = append(s.reread, fingerprint) }

func federated(name string) v1alpha1.Credential {
	return v1alpha1.Credential{Name: name, WorkloadIdentity: &v1alpha1.WorkloadIdentityCredential{}}
}

func inVault(name string) v1alpha1.Credential {
	return v1alpha1.Credential{Name: name, KeyVault: &v1alpha1.KeyVaultCredential{VaultName: "contoso", CertificateName: "partner"}}
}

// ladder is an application with these credentials.
func ladder(rungs ...v1alpha1.Credential) *v1alpha1.DefenderApp {
	app := appWith()
	app.Spec.ClientID, app.Spec.HomeTenantID, app.Spec.Cloud, app.Spec.Credentials = clientID, home, "China", rungs
	return app
}

func TestEntries_WorkloadIdentity(t *testing.T) {
	b := newBench(t)
	b.Federation = cluster{}
	entry := b.Entries(t.Context(), ladder(federated("main")))[0]
	if entry.Err != nil || entry.Credential.Name != "main" || entry.Credential.Presents != "presented in China" || entry.Credential.Assert == nil {
		t.Errorf("got %+v", entry)
	}
}

func TestEntries_AVaultIsOpenedWithTheFirstCredentialThatCan(t *testing.T) {
	cert, key := pair(t)
	stored := secret("pair", "tls.crt", cert)
	stored.Data["tls.key"] = []byte(key)
	for name, test := range map[string]struct {
		rungs []v1alpha1.Credential
		with  string
	}{
		"workload identity behind it":    {[]v1alpha1.Credential{inVault("main"), federated("last")}, "last"},
		"a certificate, no secret":       {[]v1alpha1.Credential{inVault("main"), clientSecret("secret", "partner", ""), certificate("cert", "pair")}, "cert"},
		"the first of several":           {[]v1alpha1.Credential{certificate("cert", "pair"), inVault("main"), federated("last")}, "cert"},
		"another vault opens no vault":   {[]v1alpha1.Credential{inVault("main"), inVault("other"), federated("last")}, "last"},
		"workload identity in the front": {[]v1alpha1.Credential{federated("first"), inVault("main"), certificate("cert", "pair")}, "first"},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := newBench(t, stored.DeepCopy()), &safe{}
			b.Federation, b.Vaults = cluster{}, s
			entries := b.Entries(t.Context(), ladder(test.rungs...))
			i := slices.IndexFunc(entries, func(e keyring.Entry) bool { return e.Name == "main" })
			if entries[i].Err != nil || entries[i].Credential.Fingerprint != "of the vault" || entries[i].Credential.Name != "main" {
				t.Errorf("got %+v", entries[i])
			}
			if got := s.opened[0]; got.Credential.Name != test.with || got.ClientID != clientID || got.HomeTenantID != home || got.Cloud != "China" {
				t.Errorf("opened with %+v", got)
			}
			if got := s.specs[0]; got.VaultName != "contoso" || got.CertificateName != "partner" {
				t.Errorf("asked for %+v", got)
			}
		})
	}
}

func TestEntries_SaysWhyAKindWithoutSecretCannotBeUsed(t *testing.T) {
	gone := &credential.Defect{Text: "file /t does not exist: mount it"}
	away := &credential.Defect{Text: "vault contoso asks for fewer requests", Reason: "VaultUnavailable", Passing: true}
	for name, test := range map[string]struct {
		app    *v1alpha1.DefenderApp
		tokens error
		vault  error
		reason string
		cure   token.Cure
		says   string
	}{
		"no file": {
			ladder(federated("main")), gone, nil, "CredentialUnusable", token.ByPoll,
			"Credential main of DefenderApp partner cannot be used: file /t does not exist: mount it. This is for the platform team.",
		},
		"nothing opens the vault": {
			ladder(inVault("main"), clientSecret("secret", "partner", "")), nil, nil, "CredentialUnusable", token.ByPoll,
			"Credential main of DefenderApp partner cannot be used: there is nothing to open vault contoso with: add a credential of kind workloadIdentity or certificate to spec.credentials. This is for the platform team.",
		},
		"what opens the vault cannot be used": {
			ladder(inVault("main"), federated("opener")), gone, nil, "CredentialUnusable", token.ByPoll,
			"Credential main of DefenderApp partner cannot be used: vault contoso is opened with credential opener, which cannot be used itself: file /t does not exist: mount it. This is for the platform team.",
		},
		"the vault is away": {
			ladder(inVault("main"), federated("opener")), nil, away, "VaultUnavailable", token.ByRetry,
			"Credential main of DefenderApp partner cannot be used at the moment: vault contoso asks for fewer requests. The operator tries again.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.Federation, b.Vaults = cluster{test.tokens}, &safe{flaw: test.vault}
			got := b.Entries(t.Context(), test.app)[0].Err
			if got == nil || got.Reason != test.reason || got.Cure != test.cure || got.Message != test.says || got.Actor != "platform team" || got.Scope != token.ScopeCredential {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Run("the kind is not wired", func(t *testing.T) {
		if got := newBench(t).Entries(t.Context(), ladder(federated("main")))[0].Err; got == nil || got.Reason != "CredentialUnusable" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("an API server that does not answer is no defect of the vault", func(t *testing.T) {
		b := newBench(t)
		b.Vaults = &safe{}
		b.Secrets = unavailable()
		if got := b.Entries(t.Context(), ladder(inVault("main"), certificate("cert", "pair")))[0].Err; got == nil || got.Cure != token.ByRetry {
			t.Errorf("got %+v", got)
		}
	})
}

func TestJudge_ARefusalMakesTheVaultLookForANewerVersion(t *testing.T) {
	b, s := newBench(t), &safe{}
	b.Federation, b.Vaults = cluster{}, s
	app := ladder(inVault("main"), federated("opener"))
	used := b.pick(app, noon())
	b.Judge(app, used, customer(), nil, noon())
	b.Judge(app, used, customer(), &token.Fault{Reason: "Throttled"}, noon())
	if len(s.reread) != 0 {
		t.Errorf("without a refusal: %v", s.reread)
	}
	b.Judge(app, used, customer(), refused(), noon())
	if !slices.Equal(s.reread, []string{"of the vault"}) {
		t.Errorf("got %v", s.reread)
	}
}

func TestPick_WhatWasTakenOutOfItsVaultIsNotUsedAnyMore(t *testing.T) {
	for name, test := range map[string]struct {
		flaw *credential.Defect
		want string
	}{
		"gone":         {&credential.Defect{Text: "vault contoso has no secret partner", Reason: "CredentialUnusable", Gone: true}, "opener"},
		"not readable": {&credential.Defect{Text: "vault contoso does not let us in", Reason: "VaultRefused"}, "main"},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := newBench(t), &safe{}
			b.Federation, b.Vaults = cluster{}, s
			app := ladder(inVault("main"), federated("opener"))
			b.Judge(app, b.pick(app, noon()), customer(), nil, noon())
			s.flaw = test.flaw
			if got := b.pick(app, noon()); got.Name != test.want {
				t.Errorf("got %s", got.Name)
			}
		})
	}
}

// What is in the vault outlives what opens it: it is the opener that somebody took away.
func TestPick_AClientSecretOfAVaultOutlivesWhatOpensIt(t *testing.T) {
	cert, key := pair(t)
	stored := secret("pair", "tls.crt", cert)
	stored.Data["tls.key"] = []byte(key)
	b := newBench(t, stored)
	b.Vaults = &safe{}
	app := ladder(inVault("main"), certificate("opener", "pair"))
	b.Judge(app, b.pick(app, noon()), customer(), nil, noon())
	if err := b.secrets.Delete(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	if got := b.pick(app, noon()); got.Name != "main" {
		t.Errorf("got %s", got.Name)
	}
}

func TestPick_TheEndOfAClientSecretCanStandBesideIt(t *testing.T) {
	annotated := func(value string) *corev1.Secret {
		stored := secret("main", "client-secret", "value")
		stored.Annotations = map[string]string{"defender.tenant-operator.dev/expires-at": value}
		return stored
	}
	for name, test := range map[string]struct {
		written string
		spec    *metav1.Time
		want    time.Time
	}{
		"a time":                    {"2026-05-04T14:00:00+02:00", nil, noon()},
		"a date":                    {"2026-05-04", nil, noon().Add(-12 * time.Hour)},
		"nothing":                   {"", nil, time.Time{}},
		"no date takes nothing":     {"next spring", nil, time.Time{}},
		"the spec goes first":       {"2026-05-04", &metav1.Time{Time: noon()}, noon()},
		"the spec mends what is no": {"next spring", &metav1.Time{Time: noon()}, noon()},
	} {
		t.Run(name, func(t *testing.T) {
			b, app := newBench(t, annotated(test.written)), appWith("main")
			app.Spec.Credentials[0].ClientSecret.ExpiresAt = test.spec
			got := b.pick(app, noon())
			if !got.ExpiresAt.Equal(test.want) || got.Secret.Reveal() != "value" {
				t.Errorf("got %v", got.ExpiresAt)
			}
		})
	}
}
