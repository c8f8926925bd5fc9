package vault_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
	entraemulator "github.com/defender-tenant/operator/test/entra"
	vaultemulator "github.com/defender-tenant/operator/test/vault"
)

const firstVersion = "00000000000000000000000000000001"

func TestAKeyThatNeverLeavesItsVaultSignsTheAssertion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := w.clock.Now().Add(100 * 24 * time.Hour)
	cert := w.vault.MakeCertificate("partner", end)
	held := w.credential(certificate("partner"))
	sum := sha256.Sum256(cert.Raw)
	if held.Name != "vault" || held.Fingerprint != hex.EncodeToString(sum[:]) || !held.ExpiresAt.Equal(cert.NotAfter) || held.Key != nil || !held.Secret.IsEmpty() {
		t.Errorf("got %+v", held)
	}
	fault := token.AsFault(w.acquire(held), "", "")
	if fault == nil || fault.Code != 700027 {
		t.Errorf("before the certificate is registered: %v", fault)
	}
	w.entra.AddCertificate(clientID, cert)
	for range 3 {
		w.must(w.acquire(w.credential(certificate("partner"))))
	}
	sign := "POST /keys/partner/" + firstVersion + "/sign"
	if got := w.asked(); !slices.Equal(got, []string{"GET /certificates/partner", sign, sign, sign, sign}) {
		t.Errorf("the vault was asked %v", got)
	}
	if n := w.entra.CountRequests(entraemulator.Token, home); n != 1 {
		t.Errorf("%d tokens for the vault", n)
	}
	requests := w.entra.Requests()
	if got := requests[len(requests)-1].Credential; !strings.HasPrefix(got, "certificate ") {
		t.Errorf("authenticated by %q", got)
	}
}

func TestTheAssertionHasTheFormThatEntraIDWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cert := w.vault.MakeCertificate("partner", w.clock.Now().Add(time.Hour))
	held := w.credential(certificate("partner"))
	seen := map[string]bool{}
	for range 2 {
		assertion, err := held.Assert(t.Context(), "https://login.example/token")
		w.must(err)
		parts := strings.Split(assertion.Reveal(), ".")
		var header struct {
			Alg, Typ   string
			Thumbprint string   `json:"x5t#S256"`
			Chain      []string `json:"x5c"`
		}
		var claims struct {
			Aud, Iss, Sub, Jti string
			Nbf, Exp           int64
		}
		for i, into := range []any{&header, &claims} {
			data, err := base64.RawURLEncoding.DecodeString(parts[i])
			w.must(err)
			w.must(json.Unmarshal(data, into))
		}
		sum := sha256.Sum256(cert.Raw)
		if header.Alg != "PS256" || header.Typ != "JWT" || header.Thumbprint != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			!slices.Equal(header.Chain, []string{base64.StdEncoding.EncodeToString(cert.Raw)}) {
			t.Errorf("header %+v", header)
		}
		now := w.clock.Now().Unix()
		if claims.Aud != "https://login.example/token" || claims.Iss != clientID || claims.Sub != clientID || claims.Nbf != now || claims.Exp != now+600 {
			t.Errorf("claims %+v", claims)
		}
		if len(claims.Jti) != 36 || seen[claims.Jti] {
			t.Errorf("jti %q", claims.Jti)
		}
		seen[claims.Jti] = true
	}
}

func TestANewVersionOfACertificateIsFoundAndTheOldOneGoesOnSigning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.vault.MakeCertificate("partner", w.clock.Now().Add(time.Hour))
	w.entra.AddCertificate(clientID, first)
	old := w.credential(certificate("partner"))
	w.must(w.acquire(old))
	w.entra.AddCertificate(clientID, w.vault.MakeCertificate("partner", w.clock.Now().Add(2*time.Hour)))
	w.clock.Step(5*time.Minute - time.Second)
	if got := w.credential(certificate("partner")); got.Fingerprint != old.Fingerprint {
		t.Error("the vault was asked again within five minutes")
	}
	w.clock.Step(time.Second)
	fresh := w.credential(certificate("partner"))
	if fresh.Fingerprint == old.Fingerprint || !fresh.ExpiresAt.After(old.ExpiresAt) {
		t.Error("the new version was not found")
	}
	w.must(w.acquire(old))
	w.must(w.acquire(fresh))
	sign := func(version string) string { return "POST /keys/partner/" + version + "/sign" }
	if got := w.asked(); !slices.Equal(got[len(got)-2:], []string{sign(firstVersion), sign("00000000000000000000000000000002")}) {
		t.Errorf("signed by %v", got)
	}
}

func TestAClientSecretIsReadFromTheVaultAndNotForEachToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ends := time.Date(2031, 3, 1, 0, 0, 0, 0, time.UTC)
	w.vault.SetSecret("partner", "the-first-value\n", ends)
	w.entra.AddSecret(clientID, "the-first-value", time.Time{})
	for range 3 {
		held := w.credential(secret("partner"))
		if !held.ExpiresAt.Equal(ends) || held.Assert != nil || held.Secret.Reveal() != "the-first-value" {
			t.Errorf("got %+v", held)
		}
		w.must(w.acquire(held))
	}
	w.vault.SetSecret("partner", "the-second-value", time.Time{})
	w.clock.Step(5 * time.Minute)
	if got := w.credential(secret("partner")); got.Secret.Reveal() != "the-second-value" || !got.ExpiresAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	if got := w.asked(); !slices.Equal(got, []string{"GET /secrets/partner", "GET /secrets/partner"}) {
		t.Errorf("the vault was asked %v", got)
	}
}

func TestReread_FindsANewVersionBeforeItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "refused", time.Time{})
	held := w.credential(secret("partner"))
	w.vault.SetSecret("partner", "good", time.Time{})
	w.clock.Step(20 * time.Second)
	w.vaults.Reread("some other version")
	if got := w.credential(secret("partner")); got.Secret.Reveal() != "refused" {
		t.Error("the vault was asked on account of another credential")
	}
	w.vaults.Reread(held.Fingerprint)
	if got := w.credential(secret("partner")); got.Secret.Reveal() != "good" {
		t.Error("the vault was not asked")
	}
	for range 10 { // whoever is refused all the time does not ask all the time
		w.vaults.Reread(w.credential(secret("partner")).Fingerprint)
	}
	if got := len(w.asked()); got != 2 {
		t.Errorf("%d requests", got)
	}
}

func TestWhatWasReadOutlivesAnOutageOfTheVault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "value", time.Time{})
	w.credential(secret("partner"))
	w.must(w.vault.Down(true))
	for range 20 {
		w.clock.Step(time.Hour)
		if got := w.credential(secret("partner")); got.Secret.Reveal() != "value" {
			t.Fatal("it is gone")
		}
	}
	w.must(w.vault.Down(false))
	w.vault.Fail(http.StatusServiceUnavailable, 1)
	w.clock.Step(time.Hour)
	w.credential(secret("partner"))
	w.vault.SetSecret("partner", "a newer value", time.Time{})
	w.clock.Step(pause)
	if got := w.credential(secret("partner")); got.Secret.Reveal() != "a newer value" {
		t.Error("after the outage the old one is still used")
	}
}

// pause is the least time between two attempts to read.
const pause = 10 * time.Second

func TestAnObjectThatWasTakenAwayIsNotUsedAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "value", time.Time{})
	w.credential(secret("partner"))
	w.vault.Delete("secret", "partner")
	w.clock.Step(time.Hour)
	for range 3 { // the second time without a request
		_, err := w.vaults.Credential(t.Context(), "vault", secret("partner"), w.access)
		if got := w.flaw(err); got.Text != "vault Contoso has no secret partner: create it, or correct the name" {
			t.Errorf("got %q", got.Text)
		}
	}
	if got := len(w.asked()); got != 2 {
		t.Errorf("%d requests", got)
	}
}

func TestWhatWasTakenAwayIsToldFromWhatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.MakeCertificate("disabled", w.clock.Now().Add(time.Hour))
	w.vault.Disable("certificate", "disabled", true)
	w.vault.SetSecret("disabled", "value", time.Time{})
	w.vault.Disable("secret", "disabled", true)
	w.vault.SetSecret("empty", " \n", time.Time{})
	w.vault.SetSecret("id", "0f3c6b1e-7f3a-4b52-9c1d-5a6b7c8d9e0f", time.Time{})
	for name, test := range map[string]struct {
		spec v1alpha1.KeyVaultCredential
		gone bool
	}{
		"no such secret":            {secret("absent"), true},
		"no such certificate":       {certificate("absent"), true},
		"a disabled secret":         {secret("disabled"), true},
		"a disabled certificate":    {certificate("disabled"), true},
		"an empty secret":           {secret("empty"), true},
		"the ID of a client secret": {secret("id"), false},
	} {
		_, err := w.vaults.Credential(t.Context(), "vault", test.spec, w.access)
		if got := w.flaw(err); got.Gone != test.gone || got.Passing {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	w.vault.Allow(clientID)
	_, err := w.vaults.Credential(t.Context(), "vault", secret("other"), w.access)
	if got := w.flaw(err); got.Gone || got.Reason != "VaultRefused" {
		t.Errorf("without a role: got %+v", got)
	}
}

func TestEachFailureHasItsReasonAndNamesTheMendingStep(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec    v1alpha1.KeyVaultCredential
		spoil   func(*world)
		reason  string
		passing bool
		says    string
	}{
		"no home tenant": {
			secret("partner"), func(w *world) { w.access.HomeTenantID = "" }, "", false,
			"the tenant of vault Contoso is not known: set spec.homeTenantID",
		},
		"the vault is down": {
			secret("partner"), func(w *world) { w.must(w.vault.Down(true)) }, "VaultUnavailable", true,
			"vault Contoso cannot be reached at HOST, or does not answer in time: check vaultName, network policies, DNS and proxy",
		},
		"too many requests": {
			secret("partner"), func(w *world) { w.vault.Fail(429, 1) }, "VaultUnavailable", true,
			"vault Contoso asks for fewer requests",
		},
		"an error of its own": {
			certificate("partner"), func(w *world) { w.vault.Fail(503, 1) }, "VaultUnavailable", true,
			"vault Contoso answers with an error of its own (HTTP 503)",
		},
		"an answer that nobody knows": {
			certificate("partner"), func(w *world) { w.vault.Fail(418, 1) }, "CredentialUnusable", false,
			"certificate partner in vault Contoso cannot be used, the vault answers HTTP 418: look it up in the vault's log",
		},
		"no role for secrets": {
			secret("partner"), func(w *world) { w.vault.Allow(clientID, vaultemulator.Read, vaultemulator.Sign) }, "VaultRefused", false,
			"vault Contoso does not let application " + clientID + " use secret partner: give the application the role Key Vault Secrets User on it",
		},
		"no role for certificates": {
			certificate("partner"), func(w *world) { w.vault.Allow(clientID) }, "VaultRefused", false,
			"vault Contoso does not let application " + clientID + " use certificate partner: give the application the role Key Vault Reader on it",
		},
		"a vault of another tenant": {
			secret("partner"), func(w *world) {
				w.access.HomeTenantID = contoso
			}, "VaultRefused", false,
			"vault Contoso does not accept a token of tenant " + contoso + " for application " + clientID + ": spec.homeTenantID must be the tenant that the vault belongs to",
		},
		"no such secret": {
			secret("absent"), func(*world) {}, "CredentialUnusable", false,
			"vault Contoso has no secret absent: create it, or correct the name",
		},
		"no such certificate": {
			certificate("absent"), func(*world) {}, "CredentialUnusable", false,
			"vault Contoso has no certificate absent: create it, or correct the name",
		},
		"a secret that is disabled": {
			secret("partner"), func(w *world) { w.vault.Disable("secret", "partner", true) }, "CredentialUnusable", false,
			"secret partner in vault Contoso is disabled: enable it, or name another",
		},
		"a certificate that is disabled": {
			certificate("partner"), func(w *world) { w.vault.Disable("certificate", "partner", true) }, "CredentialUnusable", false,
			"certificate partner in vault Contoso is disabled: enable it, or name another",
		},
		"a certificate that has ended": {
			certificate("partner"), func(w *world) { w.vault.MakeCertificate("partner", time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)) }, "CredentialUnusable", false,
			"certificate partner in vault Contoso ended on 2025-03-01: make a new version of it and register that with the application",
		},
		"a key on an elliptic curve": {
			certificate("partner"), func(w *world) { w.vault.MakeEllipticCertificate("partner", w.clock.Now().Add(time.Hour)) }, "CredentialUnusable", false,
			"certificate partner in vault Contoso has no RSA key of at least 2048 bits, and Entra ID accepts no other: make a certificate with one",
		},
		"the ID of a client secret": {
			secret("partner"), func(w *world) { w.vault.SetSecret("partner", "0f3c6b1e-7f3a-4b52-9c1d-5a6b7c8d9e0f", time.Time{}) }, "CredentialUnusable", false,
			"secret partner in vault Contoso is no client secret: a GUID is stored, most likely the ID of the client secret: store its value, which Entra ID shows once when the secret is made",
		},
		"a secret that is empty": {
			secret("partner"), func(w *world) { w.vault.SetSecret("partner", " \n", time.Time{}) }, "CredentialUnusable", false,
			"secret partner in vault Contoso is no client secret: the client secret is empty: store its value",
		},
		"Entra ID is down": {
			secret("partner"), func(w *world) { w.entra.Down(true) }, "VaultUnavailable", true,
			"with credential federated there is no token for vault Contoso to be had from tenant " + home + ": ",
		},
		"Entra ID refuses the opener": {
			secret("partner"), func(w *world) { w.entra.RemoveFederations(clientID) }, "VaultRefused", false,
			"with credential federated there is no token for vault Contoso to be had from tenant " + home + ": No federated credential of application " + clientID + " matches the operator's service-account token. " +
				"The platform team must compare issuer, subject and audience, letter by letter. The operator presents " +
				"issuer https://cluster.example, subject system:serviceaccount:defender-system:operator, audience api://AzureADTokenExchange",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.entra.Consent(contoso, clientID)
			w.vault.MakeCertificate("partner", w.clock.Now().Add(time.Hour))
			w.vault.SetSecret("partner", "value", time.Time{})
			test.spoil(w)
			_, err := w.vaults.Credential(t.Context(), "vault", test.spec, w.access)
			got := w.flaw(err)
			says := strings.ReplaceAll(test.says, "HOST", strings.TrimPrefix(w.vault.URL(), "https://"))
			if got.Reason != test.reason || got.Passing != test.passing || !strings.HasPrefix(got.Text, says) || (!test.passing && got.Text != says) {
				t.Errorf("got %s, passing %v: %q\nwant %s, passing %v: %q", got.Reason, got.Passing, got.Text, test.reason, test.passing, says)
			}
		})
	}
}

func TestASignatureThatIsNotHadIsAFaultOfTheCredential(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil  func(*world)
		reason string
		cure   token.Cure
		says   string
	}{
		"no role to sign": {
			func(w *world) { w.vault.Allow(clientID, vaultemulator.Read) }, "VaultRefused", token.ByPoll,
			"Credential vault of application " + clientID + " cannot be used: vault Contoso does not let application " + clientID + " use key partner: give the application the role Key Vault Crypto User on it. This is for the platform team.",
		},
		"the key is disabled": {
			func(w *world) { w.vault.Disable("certificate", "partner", true) }, "CredentialUnusable", token.ByPoll,
			"Credential vault of application " + clientID + " cannot be used: key partner in vault Contoso is disabled: enable it, or name another. This is for the platform team.",
		},
		"the key is gone": {
			func(w *world) { w.vault.Delete("certificate", "partner") }, "CredentialUnusable", token.ByPoll,
			"Credential vault of application " + clientID + " cannot be used: vault Contoso has no key partner: create it, or correct the name. This is for the platform team.",
		},
		"the certificate ended meanwhile": {
			func(w *world) { w.clock.SetTime(time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)) }, "CredentialUnusable", token.ByPoll,
			"Credential vault of application " + clientID + " cannot be used: certificate partner in vault Contoso ended on ",
		},
		"the vault is down": {
			func(w *world) { w.must(w.vault.Down(true)) }, "VaultUnavailable", token.ByRetry,
			"Credential vault of application " + clientID + " cannot be used at the moment: vault Contoso cannot be reached at ",
		},
		"an error of its own": {
			func(w *world) { w.vault.Fail(500, 1) }, "VaultUnavailable", token.ByRetry,
			"Credential vault of application " + clientID + " cannot be used at the moment: vault Contoso answers with an error of its own (HTTP 500). The operator tries again.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.entra.AddCertificate(clientID, w.vault.MakeCertificate("partner", w.clock.Now().Add(time.Hour)))
			held := w.credential(certificate("partner"))
			w.must(w.acquire(held))
			test.spoil(w)
			err := w.acquire(held)
			fault, ok := err.(*token.Fault) //nolint:errorlint // the contract is the fault itself
			if !ok {
				t.Fatalf("got %T %v", err, err)
			}
			if fault.Reason != test.reason || fault.Cure != test.cure || fault.Scope != token.ScopeCredential || fault.Actor != token.ActorPlatform || !strings.HasPrefix(fault.Message, test.says) {
				t.Errorf("got %+v, want %s: %s", fault, test.reason, test.says)
			}
			w.clean(fmt.Sprint(fault, fault.Cause))
		})
	}
}

// Ten thousand tenants that need a signature must not ask a vault that is away ten thousand times.
func TestAVaultThatDoesNotSignIsLeftAloneForAMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.entra.AddCertificate(clientID, w.vault.MakeCertificate("partner", w.clock.Now().Add(time.Hour)))
	held := w.credential(certificate("partner"))
	w.vault.Fail(503, 2)
	for asked := 2; asked < 4; asked++ { // one request in five seconds
		for range 5 {
			if err := w.acquire(held); err == nil {
				t.Fatal("a token all the same")
			}
		}
		if got := len(w.asked()); got != asked {
			t.Errorf("%d requests", got)
		}
		w.clock.Step(5 * time.Second)
	}
	w.must(w.acquire(held))
	w.must(w.acquire(held))
}

func TestWhileEntraIDIsAwayTheFaultIsTheHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.MakeCertificate("partner", w.clock.Now().Add(24*time.Hour))
	held := w.credential(certificate("partner"))
	w.clock.Step(2 * time.Hour) // the token for the vault has ended
	w.entra.Down(true)
	fault := token.AsFault(w.acquire(held), "", "")
	if fault == nil || fault.Reason != "EntraUnavailable" || fault.Scope != token.ScopeHost {
		t.Errorf("got %+v", fault)
	}
}

func TestTheTokenForTheVaultOutlivesAnOutageOfEntraID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "value", time.Time{})
	w.credential(secret("partner"))
	w.clock.Step(20 * time.Minute)
	w.credential(secret("partner"))
	if n := w.entra.CountRequests(entraemulator.Token, home); n != 1 {
		t.Errorf("%d tokens for the vault", n)
	}
	w.entra.Down(true)
	w.clock.Step(30 * time.Minute)
	w.vault.SetSecret("partner", "newer", time.Time{})
	if got := w.credential(secret("partner")); got.Secret.Reveal() != "newer" {
		t.Error("the token that still runs was not used")
	}
	w.entra.Down(false)
	w.clock.Step(15 * time.Minute)
	w.credential(secret("partner"))
	if n := w.entra.CountRequests(entraemulator.Token, home); n != 2 {
		t.Errorf("%d tokens for the vault", n)
	}
}

func TestATokenThatTheVaultRefusesIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "value", time.Time{})
	w.credential(secret("partner"))
	w.vault.Fail(http.StatusUnauthorized, 1)
	w.clock.Step(6 * time.Minute)
	if _, err := w.vaults.Credential(t.Context(), "vault", secret("partner"), w.access); err == nil {
		t.Fatal("no refusal")
	}
	w.clock.Step(pause)
	w.credential(secret("partner"))
	if n := w.entra.CountRequests(entraemulator.Token, home); n != 2 {
		t.Errorf("%d tokens for the vault", n)
	}
}

func TestManyWhoNeedTheSameAskOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "value", time.Time{})
	_, release := w.vault.Hold()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if held, err := w.vaults.Credential(t.Context(), "vault", secret("partner"), w.access); err != nil || held.Secret.Reveal() != "value" {
				t.Errorf("got %v, %v", held, err)
			}
		})
	}
	release()
	group.Wait()
	if got := len(w.asked()); got != 1 {
		t.Errorf("%d requests", got)
	}
}

// A vault that hangs must not hold up those who need something else.
func TestWhileOneAsksOthersDoNotWaitWithoutNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "value", time.Time{})
	ask := func() error {
		_, err := w.vaults.Credential(t.Context(), "vault", secret("partner"), w.access)
		return err
	}
	w.vault.Fail(503, 1)
	if ask() == nil {
		t.Fatal("no failure")
	}
	for _, want := range []string{"VaultUnavailable", ""} { // before there is a value, and with one
		w.clock.Step(time.Hour)
		asked := len(w.asked())
		arrived, release := w.vault.Hold()
		first := make(chan error, 1)
		go func() { first <- ask() }()
		<-arrived
		err := ask()
		reason := ""
		if err != nil {
			reason = w.flaw(err).Reason
		}
		if reason != want {
			t.Errorf("got %q, want %q", reason, want)
		}
		release()
		if err := <-first; err != nil {
			t.Error(err)
		}
		if got := len(w.asked()) - asked; got != 1 {
			t.Errorf("%d requests", got)
		}
	}
}

func TestApplicationsDoNotSeeEachOthersObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", "value", time.Time{})
	w.credential(secret("partner"))
	const other = "33333333-3333-3333-3333-333333333333"
	w.entra.RegisterApp(entraemulator.App{ClientID: other, HomeTenantID: home})
	w.entra.AddSecret(other, "its own", time.Time{})
	held, err := credential.FromSecret("own", other, []byte("its own"), time.Time{})
	w.must(err)
	with := w.access
	with.ClientID, with.Credential = other, held
	_, err = w.vaults.Credential(t.Context(), "vault", secret("partner"), with)
	if got := w.flaw(err); got.Reason != "VaultRefused" {
		t.Errorf("got %+v", got)
	}
}

func TestInvariant2_NoErrorOfTheSDKLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.SetSecret("partner", strings.Repeat("x", 300<<10), time.Time{})
	_, err := w.vaults.Credential(t.Context(), "vault", secret("partner"), w.access)
	got := w.flaw(err)
	if !got.Passing || !strings.Contains(got.Text, "is not Azure Key Vault") || errors.Unwrap(err).Error() != "HTTP 200" {
		t.Errorf("got %+v", got)
	}
}
