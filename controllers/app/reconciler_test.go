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
	"github.com/defender-tenant/operator/internal/keyring"
)

// ring gives the entries that a test wants.
type ring struct{ entries []keyring.Entry }

func (r *ring) Entries(context.Context, *v1alpha1.DefenderApp) []keyring.Entry { return r.entries }

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
		Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.DefenderApp{}).
			WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, name string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				b.patches++
				if b.fail != nil {
					return b.fail
				}
				return c.SubResource(name).Patch(ctx, o, p, opts...)
			}}).Build(),
		Keyring: b.ring, Clock: b.clock, Events: b.events,
	}
	return b
}

func (b *bench) reconcile(t *testing.T) {
	t.Helper()
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "partner"}})
	if err != nil || result != (ctrl.Result{RequeueAfter: time.Hour}) {
		t.Fatalf("got %+v, %v", result, err)
	}
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
		{"about to end", []keyring.Entry{entry("a", accepted(noon()), endsIn(7*day))}, 5, []string{
			"Warning CredentialExpiring Credential a ends within 7 days (2026-05-11). The platform team must add a new credential beside it and remove it once the new one is accepted.",
		}},
		{"closer to its end", []keyring.Entry{entry("a", accepted(noon()), endsIn(day))}, 6, []string{
			"Warning CredentialExpiring Credential a ends within a day (2026-05-05). The platform team must add a new credential beside it and remove it once the new one is accepted.",
		}},
		{"replaced", []keyring.Entry{entry("b", endsIn(700*day))}, 7, []string{
			"Normal AsExpected No credential is known to end within 30 days.",
		}},
	} {
		b.ring.entries = step.entries
		b.reconcile(t)
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
