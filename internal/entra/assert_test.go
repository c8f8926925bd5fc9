package entra

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
	emulator "github.com/defender-tenant/operator/test/entra"
)

const (
	clusterIssuer   = "https://cluster.example"
	operatorSubject = "system:serviceaccount:defender-system:operator"
)

// asserting is a credential with somebody else's assertions.
func asserting(name string, assert credential.Asserter) credential.Credential {
	return credential.FromAssertions(name, testApp, "issuer I, subject S, audience A", assert)
}

func saying(text string) credential.Asserter {
	return func(context.Context, string) (redacted.String, error) { return redacted.New(text), nil }
}

// serviceAccountToken is one that the cluster signs with key.
func serviceAccountToken(t *testing.T, key *rsa.PrivateKey, issuer, subject, audience string) string {
	t.Helper()
	var parts []string
	for _, members := range []map[string]any{
		{"alg": "RS256"},
		{"iss": issuer, "sub": subject, "aud": []string{audience}, "exp": time.Now().Add(time.Hour).Unix()},
	} {
		data, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
	}
	digest := sha256.Sum256([]byte(strings.Join(parts, ".")))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), ".")
}

func TestAFederatedAssertionIsAskedForEachToken(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e.AddFederation(testApp, emulator.Federation{Issuer: clusterIssuer, Subject: operatorSubject, Keys: []*rsa.PublicKey{&key.PublicKey}})
	c := clientOf(t, e)
	var audiences []string
	held := asserting("federated", func(_ context.Context, audience string) (redacted.String, error) {
		audiences = append(audiences, audience)
		return redacted.New(serviceAccountToken(t, key, clusterIssuer, operatorSubject, "api://AzureADTokenExchange")), nil
	})
	want := ask(t, func(r *token.Request) { r.Credential = held })
	acquire(t, c, want)
	acquire(t, c, want)
	if endpoint := e.URL() + "/" + testTenant + "/oauth2/v2.0/token"; !slices.Equal(audiences, []string{endpoint, endpoint}) {
		t.Errorf("asked for %v", audiences)
	}
	if got := e.Requests()[2].Credential; got != "federated" {
		t.Errorf("authenticated by %q", got)
	}
}

func TestARefusedFederationTellsWhatTheOperatorPresents(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e.AddFederation(testApp, emulator.Federation{Issuer: clusterIssuer, Subject: operatorSubject, Keys: []*rsa.PublicKey{&key.PublicKey}})
	c := clientOf(t, e)
	const audience = "api://AzureADTokenExchange"
	for code, assertion := range map[int64]string{
		700211:  serviceAccountToken(t, key, "https://other.example", operatorSubject, audience),
		700212:  serviceAccountToken(t, key, clusterIssuer, operatorSubject, "api://other"),
		700213:  serviceAccountToken(t, key, clusterIssuer, operatorSubject+"-2", audience),
		7002138: serviceAccountToken(t, key, clusterIssuer, "system:serviceaccount:Defender-System:operator", audience),
	} {
		held := asserting("federated", saying(assertion))
		fault := refuse(t, c, ask(t, func(r *token.Request) { r.Credential = held }), v1alpha1.ReasonFederationMismatch)
		if fault.Code != code || fault.Scope != token.ScopeCredential || fault.Actor != token.ActorPlatform ||
			!strings.HasSuffix(fault.Message, " The operator presents issuer I, subject S, audience A.") {
			t.Errorf("%d: got %+v", code, fault)
		}
		checkClean(t, &fault, assertion)
	}
}

func TestAnAssertionThatCannotBeMadeIsNoRequestAndNoAffairOfTheHost(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	acquire(t, c, ask(t)) // the tenant's configuration is known
	before := len(e.Requests())
	failing := func(err error) credential.Asserter {
		return func(context.Context, string) (redacted.String, error) { return redacted.String{}, err }
	}
	host := &token.Fault{Reason: "Throttled", Message: "Wait.", Cure: token.ByRetry, Scope: token.ScopeHost, After: time.Minute}
	app := &token.Fault{Reason: "AppMisconfigured", Message: "Canary.", Scope: token.ScopeApp}
	for name, test := range map[string]struct {
		assert credential.Asserter
		reason string
		cure   token.Cure
		scope  token.Scope
		says   string
	}{
		"a defect": {
			failing(&credential.Defect{Text: "file /t is empty"}), "CredentialUnusable", token.ByPoll, token.ScopeCredential,
			"Credential main of application " + testApp + " cannot be used: file /t is empty. This is for the platform team.",
		},
		"a defect with a reason": {
			failing(&credential.Defect{Text: "no role", Reason: "VaultRefused"}), "VaultRefused", token.ByPoll, token.ScopeCredential,
			"Credential main of application " + testApp + " cannot be used: no role. This is for the platform team.",
		},
		"a defect that passes": {
			failing(&credential.Defect{Text: "the vault is away", Reason: "VaultUnavailable", Passing: true}), "VaultUnavailable", token.ByRetry, token.ScopeCredential,
			"Credential main of application " + testApp + " cannot be used at the moment: the vault is away. The operator tries again.",
		},
		"the login host failed on the way": {
			failing(&credential.Defect{Text: "no token for the vault", Cause: host}), "Throttled", token.ByRetry, token.ScopeHost, "Wait.",
		},
		"Entra ID refused on the way": {
			failing(&credential.Defect{Text: "no token for the vault", Reason: "VaultRefused", Cause: app}), "VaultRefused", token.ByPoll, token.ScopeCredential,
			"Credential main of application " + testApp + " cannot be used: no token for the vault. This is for the platform team.",
		},
		"an error of nobody knows whom": {
			failing(errors.New(canary)), "CredentialUnusable", token.ByWatch, token.ScopeTenant, "The credential of application " + testApp,
		},
		"nothing at all": {
			saying(""), "CredentialUnusable", token.ByWatch, token.ScopeTenant, "The credential of application " + testApp,
		},
	} {
		held := asserting("main", test.assert)
		fault := refuse(t, c, ask(t, func(r *token.Request) { r.Credential = held }), test.reason)
		if fault.Cure != test.cure || fault.Scope != test.scope || !strings.HasPrefix(fault.Message, test.says) {
			t.Errorf("%s: got %+v", name, fault)
		}
		if fault.Unsent != (fault.Scope != token.ScopeHost) {
			t.Errorf("%s: unsent %t", name, fault.Unsent)
		}
		if got := fmt.Sprint(fault.Cause); strings.Contains(got, canary) {
			t.Errorf("%s: the cause is %s", name, got)
		}
		if fault.Scope == token.ScopeHost && fault.After != time.Minute {
			t.Errorf("%s: %v", name, fault.After)
		}
	}
	if got := e.Requests()[before:]; slices.ContainsFunc(got, func(r emulator.Request) bool { return r.Kind == emulator.Token }) {
		t.Errorf("requests %+v", got)
	}
}

// The client is kept for a fingerprint; who asserts is the affair of each call.
func TestEachCallAsksItsOwnCredential(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	for _, who := range []string{"first", "second"} {
		asked := ""
		held := asserting("main", func(context.Context, string) (redacted.String, error) {
			asked = who
			return redacted.New("no.such.token"), nil
		})
		refuse(t, c, ask(t, func(r *token.Request) { r.Credential = held }), v1alpha1.ReasonCredentialRefused)
		if asked != who {
			t.Errorf("%s was not asked", who)
		}
	}
	if got := len(c.clients.held); got != 1 {
		t.Errorf("%d clients are held", got)
	}
}

func TestVersionsOfASlotDoNotEvictEachOther(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	values := []string{testSecret}
	for i := range maxVersions {
		values = append(values, fmt.Sprintf("another-value-%d", i))
		e.AddSecret(testApp, values[i+1], time.Time{})
	}
	with := func(value string) {
		t.Helper()
		acquire(t, c, ask(t, func(r *token.Request) { r.Credential = secretCredential(t, value) }))
	}
	configurations := func() int { return e.CountRequests(emulator.OpenIDConfiguration, testTenant) }
	for range 3 { // two applications of one client ID take turns
		with(values[0])
		with(values[1])
	}
	if got := configurations(); got != 2 {
		t.Errorf("%d clients were made for two versions", got)
	}
	for _, value := range values[2:] {
		with(value)
	}
	for slot, held := range c.clients.held {
		if len(held) != maxVersions {
			t.Errorf("%v holds %d", slot, len(held))
		}
	}
	before := configurations()
	with(values[len(values)-1])
	with(values[1])
	if configurations() != before {
		t.Error("one used lately was thrown away")
	}
	with(values[0])
	if configurations() != before+1 {
		t.Error("the one used least lately was kept")
	}
}

func TestTransport_NamesTheHostThatItFailedToReach(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	good := clientOf(t, e).Transport()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := good.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	foreign := newAuthority(t, "Corporate Proxy CA")
	_, err = clientAt(t, e.URL(), foreign.pem).Transport().RoundTrip(request)
	fault, ok := errors.AsType[*token.Fault](err)
	if !ok || fault.Reason != "TLSUntrusted" || !strings.Contains(fault.Message, strings.TrimPrefix(e.URL(), "https://")) ||
		!strings.Contains(fault.Message, "Entra emulator trust root") || !strings.Contains(fault.Message, "--ca-bundle") {
		t.Errorf("got %v", err)
	}
	e.Down(true)
	_, err = good.RoundTrip(request)
	if fault, ok := errors.AsType[*token.Fault](err); !ok || fault.Reason != "EntraUnavailable" || fault.Cure != token.ByRetry {
		t.Errorf("got %v", err)
	}
}
