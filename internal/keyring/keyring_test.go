package keyring_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

const namespace = "defender-system"

func noon() time.Time { return time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC) }

// refused is Entra ID's opinion of a bad credential.
func refused() *token.Fault {
	return &token.Fault{Reason: "CredentialRefused", Message: "Entra ID refuses the client secret.", Actor: "platform team", Cure: token.ByPoll, Scope: token.ScopeCredential}
}

// bench is a keyring and the Secrets it reads.
type bench struct {
	*keyring.Keyring
	t       *testing.T
	secrets client.Client
	changed []string
}

func newBench(t *testing.T, secrets ...client.Object) *bench {
	t.Helper()
	b := &bench{t: t, secrets: fake.NewClientBuilder().WithObjects(secrets...).Build()}
	b.Keyring = &keyring.Keyring{Secrets: b.secrets, Namespace: namespace, Changed: func(app string) { b.changed = append(b.changed, app) }}
	return b
}

func (b *bench) pick(app *v1alpha1.DefenderApp, at time.Time) credential.Credential {
	b.t.Helper()
	got, err := b.Pick(b.t.Context(), app, customer(), at)
	if err != nil {
		b.t.Fatal(err)
	}
	return got.Credential
}

// customer is one that the application served before.
func customer() keyring.Asker {
	return keyring.Asker{TenantID: "11111111-1111-1111-1111-111111111111", Served: true}
}

// canary is a customer who is asked for only to prove a credential.
func canary() keyring.Asker {
	return keyring.Asker{TenantID: "cccccccc-cccc-cccc-cccc-cccccccccccc", Served: true, Canary: true}
}

func (b *bench) store(name, key, value string) {
	b.t.Helper()
	stored := &corev1.Secret{}
	if err := b.secrets.Get(b.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, stored); err != nil {
		b.t.Fatal(err)
	}
	stored.Data = map[string][]byte{key: []byte(value)}
	if err := b.secrets.Update(b.t.Context(), stored); err != nil {
		b.t.Fatal(err)
	}
}

func secret(name, key, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name)},
		Data:       map[string][]byte{key: []byte(value)},
	}
}

// appWith has credentials of these names, each a client secret in the Secret of that name.
func appWith(names ...string) *v1alpha1.DefenderApp {
	app := &v1alpha1.DefenderApp{
		ObjectMeta: metav1.ObjectMeta{Name: "partner", UID: "app", Generation: 1},
		Spec:       v1alpha1.DefenderAppSpec{ClientID: "22222222-2222-2222-2222-222222222222"},
	}
	for _, name := range names {
		app.Spec.Credentials = append(app.Spec.Credentials, clientSecret(name, name, ""))
	}
	return app
}

func clientSecret(name, secretName, key string) v1alpha1.Credential {
	return v1alpha1.Credential{Name: name, ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: secretName, Key: key}}}
}

func certificate(name, secretName string) v1alpha1.Credential {
	return v1alpha1.Credential{Name: name, Certificate: &v1alpha1.CertificateCredential{SecretRef: v1alpha1.SecretReference{Name: secretName}}}
}

func TestPick_PrefersTheFirstThatEntraDoesNotRefuse(t *testing.T) {
	b := newBench(t, secret("new", "client-secret", "value-of-new"), secret("old", "client-secret", "value-of-old"))
	app := appWith("new", "old")
	first := b.pick(app, noon())
	if first.Name != "new" || first.Secret.Reveal() != "value-of-new" {
		t.Fatalf("unused credentials: got %s", first.Name)
	}
	b.Judge(app, first, canary(), refused(), noon())
	second := b.pick(app, noon().Add(time.Second))
	if second.Name != "old" || second.Secret.Reveal() != "value-of-old" {
		t.Fatalf("the first is refused: got %s", second.Name)
	}
	b.Judge(app, second, customer(), nil, noon().Add(time.Second))
	if got := b.pick(app, noon().Add(time.Hour)); got.Name != "old" {
		t.Errorf("an hour later, and nobody has proved the first: got %s", got.Name)
	}
	b.Judge(app, first, canary(), nil, noon().Add(time.Hour))
	if got := b.pick(app, noon().Add(time.Hour)); got.Name != "new" {
		t.Errorf("the first is accepted again: got %s", got.Name)
	}
}

func TestPick_PassesOverWhatCannotBeRead(t *testing.T) {
	b := newBench(t, secret("empty", "client-secret", ""), secret("good", "client-secret", "value"))
	app := appWith("missing", "empty", "good")
	app.Spec.Credentials = append([]v1alpha1.Credential{{Name: "federated", WorkloadIdentity: &v1alpha1.WorkloadIdentityCredential{}}}, app.Spec.Credentials...)
	good := b.pick(app, noon())
	if good.Name != "good" {
		t.Fatalf("got %s", good.Name)
	}
	b.Judge(app, good, canary(), refused(), noon())
	if got := b.pick(app, noon()); got.Name != "good" {
		t.Errorf("a refused credential is better than none: got %s", got.Name)
	}
}

func TestPick_TellsOfTheFirstDefectIfNoneCanBeUsed(t *testing.T) {
	b := newBench(t, secret("second", "client-secret", ""))
	_, err := b.Pick(t.Context(), appWith("first", "second"), customer(), noon())
	var fault *token.Fault
	if !errors.As(err, &fault) || !strings.HasPrefix(fault.Message, "Credential first of DefenderApp partner cannot be used: Secret defender-system/first does not exist: create it.") {
		t.Errorf("got %v", err)
	}
}

func TestPick_FollowsTheSpec(t *testing.T) {
	b := newBench(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shared", UID: "shared"},
		Data:       map[string][]byte{"client-secret": []byte("by default"), "a": []byte("value of a"), "b": []byte("value of b")},
	})
	app := appWith()
	app.Spec.Credentials = []v1alpha1.Credential{clientSecret("only", "shared", "")}
	read := func() string { t.Helper(); return b.pick(app, noon()).Secret.Reveal() }
	if got := read(); got != "by default" {
		t.Errorf("without a key: got %q", got)
	}
	app.Spec.Credentials[0].ClientSecret.SecretRef.Key, app.Generation = "a", 2
	if got := read(); got != "value of a" {
		t.Errorf("after an edit: got %q", got)
	}
	app.Spec.Credentials[0].ClientSecret.SecretRef.Key, app.UID = "b", "another app of the same name, of the same generation"
	if got := read(); got != "value of b" {
		t.Errorf("after the app was made anew: got %q", got)
	}
	ends := metav1.NewTime(noon().In(time.FixedZone("", 3600)))
	app.Spec.Credentials[0].ClientSecret.ExpiresAt, app.Generation = &ends, 3
	if got := b.pick(app, noon()).ExpiresAt; !got.Equal(noon()) || got.Location() != time.UTC {
		t.Errorf("expiry: got %v", got)
	}
}

func TestEntries_SaysWhyACredentialCannotBeUsed(t *testing.T) {
	cert, key := pair(t)
	for name, test := range map[string]struct {
		spec   v1alpha1.Credential
		stored *corev1.Secret
		reason string
		says   string
	}{
		"the Secret is missing": {
			clientSecret("main", "absent", ""), nil, "CredentialUnusable",
			"Credential main of DefenderApp partner cannot be used: Secret defender-system/absent does not exist: create it. This is for the platform team.",
		},
		"the key is missing": {
			clientSecret("main", "partner", ""), secret("partner", "other", "value"), "CredentialUnusable",
			"Secret defender-system/partner has no key client-secret: store the client secret there.",
		},
		"the named key is missing": {
			clientSecret("main", "partner", "mine"), secret("partner", "client-secret", "value"), "CredentialUnusable",
			"Secret defender-system/partner has no key mine: store the client secret there.",
		},
		"the value is empty": {clientSecret("main", "partner", ""), secret("partner", "client-secret", " \n"), "CredentialUnusable", "the client secret is empty: store its value."},
		"the ID is stored": {
			clientSecret("main", "partner", ""), secret("partner", "client-secret", "0f3c6b1e-7f3a-4b52-9c1d-5a6b7c8d9e0f"), "CredentialUnusable", "a GUID is stored, most likely the ID of the client secret",
		},
		"the certificate is missing":            {certificate("main", "partner"), secret("partner", "tls.key", key), "CredentialUnusable", "tls.crt is empty"},
		"the key of the certificate is missing": {certificate("main", "partner"), secret("partner", "tls.crt", cert), "CredentialUnusable", "tls.key is empty"},
		"the Secret of the certificate is missing": {
			certificate("main", "absent"), nil, "CredentialUnusable", "Secret defender-system/absent does not exist: create it.",
		},
		"workload identity is not supported": {
			v1alpha1.Credential{Name: "main", WorkloadIdentity: &v1alpha1.WorkloadIdentityCredential{}},
			nil, "CredentialNotSupported",
			"Credential main of DefenderApp partner is of a kind that this version of the operator does not support yet.",
		},
		"a key vault is not supported": {
			v1alpha1.Credential{Name: "main", KeyVault: &v1alpha1.KeyVaultCredential{VaultName: "v", SecretName: "s"}},
			nil, "CredentialNotSupported",
			"is of a kind that this version of the operator does not support yet.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var stored []client.Object
			if test.stored != nil {
				stored = append(stored, test.stored)
			}
			b, app := newBench(t, stored...), appWith()
			app.Spec.Credentials = []v1alpha1.Credential{test.spec}
			for range 2 { // the second answer comes from memory
				entry := b.Entries(t.Context(), app)[0]
				if entry.Name != "main" || entry.Err == nil || entry.Verdict != nil || entry.Credential.Fingerprint != "" {
					t.Fatalf("got %+v", entry)
				}
				if entry.Err.Reason != test.reason || !strings.Contains(entry.Err.Message, test.says) || entry.Err.Actor != "platform team" || entry.Err.Cure != token.ByPoll {
					t.Errorf("got %+v", entry.Err)
				}
			}
		})
	}
}

func TestEntries_SecretsOfOtherNamespacesAreNotRead(t *testing.T) {
	foreign := secret("partner", "client-secret", "value")
	foreign.Namespace = "soc"
	b := newBench(t, foreign)
	if entry := b.Entries(t.Context(), appWith("partner"))[0]; entry.Err == nil {
		t.Errorf("got %+v", entry)
	}
}

func TestEntries_AnAPIServerThatDoesNotAnswerIsNoDefect(t *testing.T) {
	b := newBench(t)
	b.Secrets = fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errors.New("etcdserver: request timed out, token=value")
		},
	}).Build()
	got := b.Entries(t.Context(), appWith("main"))[0].Err
	if got == nil || got.Reason != "CredentialUnusable" || got.Cure != token.ByRetry ||
		got.Message != "The Secret of credential main of DefenderApp partner could not be read. The operator tries again." {
		t.Errorf("got %+v", got)
	}
}

func TestEntries_ACertificateIsReadOnce(t *testing.T) {
	cert, key := pair(t)
	stored := secret("partner", "tls.crt", cert)
	stored.Data["tls.key"] = []byte(key)
	b, app := newBench(t, stored), appWith()
	app.Spec.Credentials = []v1alpha1.Credential{certificate("main", "partner")}
	first, second := b.Entries(t.Context(), app)[0], b.Entries(t.Context(), app)[0]
	if first.Err != nil || first.Credential.Key == nil || first.Credential.Key != second.Credential.Key {
		t.Errorf("got %+v, then %+v", first, second)
	}
	if !first.Credential.ExpiresAt.Equal(noon()) {
		t.Errorf("expiry %v", first.Credential.ExpiresAt)
	}
}

func TestEntries_KeepTheOrderOfTheSpec(t *testing.T) {
	b := newBench(t, secret("b", "client-secret", "value"))
	var names []string
	for _, entry := range b.Entries(t.Context(), appWith("c", "a", "b")) {
		names = append(names, entry.Name)
	}
	if !slices.Equal(names, []string{"c", "a", "b"}) {
		t.Errorf("got %v", names)
	}
}

func TestJudge(t *testing.T) {
	later := noon().Add(time.Hour)
	b := newBench(t, secret("main", "client-secret", "value"))
	app := appWith("main")
	used := b.pick(app, noon())
	verdict := func() keyring.Verdict {
		t.Helper()
		got := b.Entries(t.Context(), app)[0].Verdict
		if got == nil {
			t.Fatal("no verdict")
		}
		return *got
	}
	for _, step := range []struct {
		name                  string
		outcome               *token.Fault
		at                    time.Time
		refused               bool
		checkedAt, lastUsedAt time.Time
		changed               int // calls so far
	}{
		{"the first token is news", nil, noon(), false, noon(), noon(), 1},
		{"the second is none", nil, later, false, later, later, 1},
		{"throttling says nothing about the credential", &token.Fault{Reason: "Throttled"}, later.Add(time.Hour), false, later, later, 1},
		{"missing consent says nothing about the credential", &token.Fault{Reason: "ConsentRequired"}, later.Add(time.Hour), false, later, later, 1},
		{"a refusal is news, and keeps the time of the last token", refused(), later.Add(time.Hour), true, later.Add(time.Hour), later, 2},
		{"another refusal is none", refused(), later.Add(2 * time.Hour), true, later.Add(2 * time.Hour), later, 2},
		{"an outage says nothing about the credential", &token.Fault{Reason: "EntraUnavailable"}, later.Add(3 * time.Hour), true, later.Add(2 * time.Hour), later, 2},
		{"to be accepted again is news", nil, later.Add(4 * time.Hour), false, later.Add(4 * time.Hour), later.Add(4 * time.Hour), 3},
	} {
		asker := customer()
		asker.Canary = step.outcome != nil // so that one refusal is enough
		b.Judge(app, used, asker, step.outcome, step.at)
		got := verdict()
		if (got.Refused != nil) != step.refused || !got.CheckedAt.Equal(step.checkedAt) || !got.LastUsedAt.Equal(step.lastUsedAt) {
			t.Errorf("%s: got %+v", step.name, got)
		}
		if len(b.changed) != step.changed || b.changed[0] != "partner" {
			t.Errorf("%s: told of changes %v", step.name, b.changed)
		}
	}
}

func TestJudge_AFirstRefusalHasNoTimeOfUse(t *testing.T) {
	b := newBench(t, secret("main", "client-secret", "value"))
	app := appWith("main")
	b.Judge(app, b.pick(app, noon()), canary(), refused(), noon())
	got := b.Entries(t.Context(), app)[0].Verdict
	if got == nil || !got.LastUsedAt.IsZero() || got.Refused.Message != "Entra ID refuses the client secret." {
		t.Errorf("got %+v", got)
	}
	if len(b.changed) != 1 {
		t.Errorf("told of changes %v", b.changed)
	}
}

func TestJudge_ANewVersionIsJudgedAnew(t *testing.T) {
	b := newBench(t, secret("main", "client-secret", "value"))
	app := appWith("main")
	first := b.pick(app, noon())
	b.Judge(app, first, customer(), nil, noon())
	b.Judge(app, first, canary(), refused(), noon())
	b.store("main", "client-secret", "newer value")
	b.Judge(app, b.pick(app, noon()), canary(), refused(), noon().Add(time.Minute))
	got := b.Entries(t.Context(), app)[0].Verdict
	if got == nil || !got.LastUsedAt.IsZero() {
		t.Errorf("the use of the older version is counted: %+v", got)
	}
	if len(b.changed) != 3 {
		t.Errorf("told of changes %v", b.changed)
	}
}

func TestJudge_OnlyTheVersionThatWasUsed(t *testing.T) {
	b := newBench(t, secret("main", "client-secret", "value"))
	app := appWith("main")
	old := b.pick(app, noon())
	b.store("main", "client-secret", "newer value")
	b.Judge(app, old, canary(), refused(), noon())
	if got := b.Entries(t.Context(), app)[0]; got.Verdict != nil {
		t.Errorf("the newer version is blamed: %+v", got.Verdict)
	}
}

func TestJudge_ApplicationsAreApart(t *testing.T) {
	b := newBench(t, secret("main", "client-secret", "value"))
	app, other := appWith("main"), appWith("main")
	other.Name = "other"
	b.Judge(app, b.pick(app, noon()), canary(), refused(), noon())
	if got := b.Entries(t.Context(), other)[0].Verdict; got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestJudge_NobodyHasToListen(t *testing.T) {
	b := newBench(t, secret("main", "client-secret", "value"))
	b.Changed = nil
	app := appWith("main")
	b.Judge(app, b.pick(app, noon()), customer(), nil, noon())
}

func TestKeyring_ServesManyAtOnce(t *testing.T) {
	b := newBench(t, secret("a", "client-secret", "value of a"), secret("b", "client-secret", "value of b"))
	b.Changed = func(string) { _ = b.Entries(context.Background(), appWith("a", "b")) } // it may look at once
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			app := appWith("a", "b")
			app.Name = fmt.Sprintf("app-%d", worker%2)
			for i := range 100 {
				used, err := b.Pick(context.Background(), app, customer(), noon())
				if err != nil {
					t.Error(err)
					return
				}
				outcome := refused()
				if i%3 == 0 {
					outcome = nil
				}
				asker := customer()
				asker.Canary = i%2 == 0
				b.Judge(app, used.Credential, asker, outcome, noon())
				_ = b.Wanted(app, noon())
				if i == 50 {
					b.Forget(app.Name)
				}
				app.Generation = int64(i % 5)
			}
		})
	}
	group.Wait()
}

func TestSecretName(t *testing.T) {
	for want, spec := range map[string]v1alpha1.Credential{
		"a": clientSecret("x", "a", ""),
		"b": certificate("x", "b"),
		"":  {Name: "x", WorkloadIdentity: &v1alpha1.WorkloadIdentityCredential{}},
	} {
		if got := keyring.SecretName(spec); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := keyring.SecretName(v1alpha1.Credential{KeyVault: &v1alpha1.KeyVaultCredential{SecretName: "in the vault"}}); got != "" {
		t.Errorf("a secret in a vault is no Secret: %q", got)
	}
}

// pair is a key and its certificate, which ends at noon.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: noon()}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), authority)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
}
