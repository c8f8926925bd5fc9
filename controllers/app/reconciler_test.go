package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

// ring gives the entries and wants the proofs that a test wants.
type ring struct {
	entries   []keyring.Entry
	wanted    *keyring.Proof
	judged    []judgement
	forgotten []string
}

type judgement struct {
	credential string
	asker      keyring.Asker
	outcome    *token.Fault
	at         time.Time
}

func (r *ring) Entries(context.Context, *v1alpha1.DefenderApp) []keyring.Entry { return r.entries }

func (r *ring) Wanted(*v1alpha1.DefenderApp, time.Time) *keyring.Proof { return r.wanted }

func (r *ring) Judge(_ *v1alpha1.DefenderApp, used credential.Credential, asker keyring.Asker, outcome *token.Fault, now time.Time) {
	r.judged = append(r.judged, judgement{used.Name, asker, outcome, now})
}

func (r *ring) Forget(app string) { r.forgotten = append(r.forgotten, app) }

// bench is a reconciler with everything around it.
type bench struct {
	*Reconciler
	ring    *ring
	clock   *clocktesting.FakePassiveClock
	events  *events.FakeRecorder
	patches int
	fail    error // of the next patches
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := &bench{ring: &ring{}, clock: clocktesting.NewFakePassiveClock(noon()), events: events.NewFakeRecorder(20)}
	b.Reconciler = &Reconciler{
		Health: health.New(health.Options{RequestsPerSecond: 50, Workers: 4}),
		Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.DefenderApp{}).
			WithIndex(&v1alpha1.DefenderTenant{}, "spec.app", func(o client.Object) []string { return []string{o.(*v1alpha1.DefenderTenant).Spec.App} }).
			WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, name string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				b.patches++
				if b.fail != nil {
					return b.fail
				}
				return c.SubResource(name).Patch(ctx, o, p, opts...)
			}}).Build(),
		Keyring: b.ring, Clock: b.clock, Events: b.events,
		Tokens: tokens(func(request token.Request) (token.Issued, error) {
			t.Errorf("a token was requested for %s", request.TenantID)
			return token.Issued{}, nil
		}),
	}
	return b
}

// reconcile makes one pass and tells when the next one comes.
func (b *bench) reconcile(t *testing.T) time.Duration {
	t.Helper()
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "partner"}})
	if err != nil || result != (ctrl.Result{RequeueAfter: result.RequeueAfter}) {
		t.Fatalf("got %+v, %v", result, err)
	}
	return result.RequeueAfter
}

// read gives the application as it is stored.
func (b *bench) read(t *testing.T) *v1alpha1.DefenderApp {
	t.Helper()
	app := &v1alpha1.DefenderApp{}
	if err := b.Get(t.Context(), types.NamespacedName{Name: "partner"}, app); err != nil {
		t.Fatal(err)
	}
	return app
}

func (b *bench) told() []string {
	var all []string
	for {
		select {
		case event := <-b.events.Events:
			all = append(all, event)
		default:
			return all
		}
	}
}

func TestReconcile_WritesOnceAndTellsOfChanges(t *testing.T) {
	app := partner()
	app.Spec = v1alpha1.DefenderAppSpec{ClientID: "22222222-2222-2222-2222-222222222222"}
	b := newBench(t, app)
	for _, step := range []struct {
		name    string
		entries []keyring.Entry
		patches int
		told    []string
	}{
		{"at first", []keyring.Entry{entry("a")}, 1, nil},
		{"nothing changed", []keyring.Entry{entry("a")}, 1, nil},
		{"accepted", []keyring.Entry{entry("a", accepted(noon()))}, 2, []string{"Normal CredentialAccepted Entra ID accepts credential a."}},
		{"refused", []keyring.Entry{entry("a", refused(noon(), noon()))}, 3, []string{
			"Warning CredentialRefused Entra ID refuses a.", "Warning CredentialRefused Entra ID refuses a.",
		}},
		{"refused still", []keyring.Entry{entry("a", refused(noon().Add(time.Minute), noon()))}, 3, nil},
		{"accepted again", []keyring.Entry{entry("a", accepted(noon()))}, 4, []string{
			"Normal CredentialReady Credential a can be used.", "Normal CredentialAccepted Entra ID accepts credential a.",
		}},
		{"another one works", []keyring.Entry{entry("a", refused(noon(), noon())), entry("b", accepted(noon()))}, 5, []string{
			"Normal CredentialAccepted Entra ID accepts credential b.",
			"Warning CredentialRefused Entra ID refuses credential a as it is stored, while another one works. The platform team must replace or remove it before that one ends.",
		}},
		{"the first works again", []keyring.Entry{entry("a", accepted(noon()))}, 6, []string{"Normal CredentialAccepted Entra ID accepts credential a."}},
		{"a new version", []keyring.Entry{entry("a", version("print-2"), former)}, 7, []string{
			"Normal CredentialAccepted Entra ID accepts the former version of credential a, which stays in use until it accepts a new one.",
		}},
		{"the new version is refused", []keyring.Entry{entry("a", version("print-2"), former, refused(noon(), time.Time{}))}, 8, []string{
			"Normal CredentialAccepted Entra ID accepts the former version of credential a, which stays in use until it accepts a new one. Entra ID refuses a.",
			"Warning CredentialRefused Entra ID refuses credential a as it is stored, while another one works. The platform team must replace or remove it before that one ends.",
		}},
		{"the next cannot be read", []keyring.Entry{entry("a", former, unusable("CredentialUnusable"))}, 9, []string{
			"Normal CredentialAccepted Entra ID accepts the former version of credential a, which stays in use until it accepts a new one. Credential a cannot be used.",
			"Warning CredentialUnusable Credential a as it is stored cannot be used, while another one works. The platform team must mend or remove it before that one ends.",
		}},
		{"the right one", []keyring.Entry{entry("a", accepted(noon()))}, 10, []string{"Normal CredentialAccepted Entra ID accepts credential a."}},
		{"about to end", []keyring.Entry{entry("a", accepted(noon()), endsIn(7*day))}, 11, []string{
			"Warning CredentialExpiring Credential a ends within 7 days (2026-05-11). The platform team must add a new credential beside it and remove it once the new one is accepted.",
		}},
		{"closer to its end", []keyring.Entry{entry("a", accepted(noon()), endsIn(day))}, 12, []string{
			"Warning CredentialExpiring Credential a ends within a day (2026-05-05). The platform team must add a new credential beside it and remove it once the new one is accepted.",
		}},
		{"replaced", []keyring.Entry{entry("b", endsIn(700*day))}, 13, []string{
			"Normal AsExpected No credential is known to end within 30 days.",
		}},
	} {
		b.ring.entries = step.entries
		if next := b.reconcile(t); next != time.Hour {
			t.Errorf("%s: the next look comes after %s", step.name, next)
		}
		if b.patches != step.patches {
			t.Errorf("%s: %d writes so far, want %d", step.name, b.patches, step.patches)
		}
		if told := b.told(); !slices.Equal(told, step.told) {
			t.Errorf("%s: told %q, want %q", step.name, told, step.told)
		}
	}
	stored := &v1alpha1.DefenderApp{}
	if err := b.Get(t.Context(), types.NamespacedName{Name: "partner"}, stored); err != nil {
		t.Fatal(err)
	}
	if want := "https://login.microsoftonline.com/common/oauth2/authorize?prompt=consent&client_id=22222222-2222-2222-2222-222222222222&response_type=code&sso_reload=true"; stored.Status.ConsentURL != want {
		t.Errorf("consent link %s", stored.Status.ConsentURL)
	}
}

func TestReconcile_SpeaksOfTheVaultAndNotOfEntraID(t *testing.T) {
	b := newBench(t, partner())
	for _, step := range []struct {
		name    string
		entries []keyring.Entry
		next    time.Duration
		told    []string
	}{
		{"accepted", []keyring.Entry{entry("a", accepted(noon()))}, time.Hour, nil},
		{"its vault is away", []keyring.Entry{entry("a", accepted(noon()), awayNow)}, time.Minute, []string{
			"Warning VaultUnavailable The vault of a is away.",
		}},
		{"there again", []keyring.Entry{entry("a", accepted(noon()))}, time.Hour, []string{"Normal CredentialReady Credential a can be used."}},
		{"away, and another one works", []keyring.Entry{entry("a", accepted(noon()), awayNow), entry("b", accepted(noon()))}, time.Minute, []string{
			"Normal CredentialAccepted Entra ID accepts credential b.",
			"Warning VaultUnavailable The vault of a is away. Another one is used meanwhile.",
		}},
	} {
		b.ring.entries = step.entries
		if next := b.reconcile(t); next != step.next {
			t.Errorf("%s: the next look comes after %s", step.name, next)
		}
		if told := b.told(); !slices.Equal(told, step.told) {
			t.Errorf("%s: told %q, want %q", step.name, told, step.told)
		}
	}
}

func TestReconcile_TellsNothingIfTheStatusWasNotWritten(t *testing.T) {
	b := newBench(t, partner())
	b.ring.entries = []keyring.Entry{entry("a", unusable("CredentialUnusable"))}
	b.fail = errors.New("etcdserver: request timed out")
	if _, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "partner"}}); err == nil {
		t.Error("the error is lost")
	}
	if told := b.told(); told != nil {
		t.Errorf("told %q", told)
	}
	b.fail = apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("defenderapps").GroupResource(), "partner")
	if _, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "partner"}}); err != nil {
		t.Errorf("an app that is gone is no error: %v", err)
	}
	b.fail = nil
	b.reconcile(t)
	if told := b.told(); len(told) != 1 {
		t.Errorf("told %q", told)
	}
}

func TestReconcile_AnAppThatIsGoneIsLeftAlone(t *testing.T) {
	b := newBench(t)
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "partner"}})
	if err != nil || result != (ctrl.Result{}) || b.patches != 0 {
		t.Errorf("got %+v, %v, %d writes", result, err, b.patches)
	}
	if !slices.Equal(b.ring.forgotten, []string{"partner"}) {
		t.Errorf("forgotten %v", b.ring.forgotten)
	}
}

func TestUsers_AreTheApplicationsThatKeepACredentialInASecret(t *testing.T) {
	app := func(name string, credentials ...v1alpha1.Credential) client.Object {
		a := partner()
		a.Name, a.Spec.Credentials = name, credentials
		return a
	}
	secret := func(name string) v1alpha1.Credential {
		return v1alpha1.Credential{Name: name, ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: name}}}
	}
	certificate := v1alpha1.Credential{Name: "c", Certificate: &v1alpha1.CertificateCredential{SecretRef: v1alpha1.SecretReference{Name: "shared"}}}
	vault := v1alpha1.Credential{Name: "v", KeyVault: &v1alpha1.KeyVaultCredential{VaultName: "vault", SecretName: "shared"}}
	b := newBench(t, app("one", secret("shared")), app("both", secret("other"), certificate, secret("shared")), app("none", secret("other"), vault))
	var names []string
	for _, request := range b.users(t.Context(), "shared") {
		names = append(names, request.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"both", "one"}) {
		t.Errorf("got %v", names)
	}
	if got := b.users(t.Context(), "unknown"); got != nil {
		t.Errorf("got %v", got)
	}
}
