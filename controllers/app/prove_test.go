package app

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

// tokens is where tokens come from.
type tokens func(token.Request) (token.Issued, error)

func (t tokens) Acquire(_ context.Context, request token.Request) (token.Issued, error) {
	return t(request)
}

// customer is a DefenderTenant whose token is ready for a while longer.
func customer(name string, left time.Duration, changes ...func(*v1alpha1.DefenderTenant)) *v1alpha1.DefenderTenant {
	tenant := &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: name},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: name, App: "partner"},
		Status:     v1alpha1.DefenderTenantStatus{Tokens: []v1alpha1.TokenStatus{{Name: "xdr", Ready: true, ExpiresAt: at(noon().Add(left))}}},
	}
	for _, change := range changes {
		change(tenant)
	}
	return tenant
}

// failing has a token that is ready, and cannot be renewed.
func failing(reason string) func(*v1alpha1.DefenderTenant) {
	return func(o *v1alpha1.DefenderTenant) {
		o.Status.Tokens[0].Failure = &v1alpha1.TokenFailure{Reason: reason}
	}
}

func TestReconcile_ProvesWhatIsWantedWithACustomerWhoHasAToken(t *testing.T) {
	const xdr = "https://api.security.microsoft.com"
	for name, test := range map[string]struct {
		customers []client.Object
		spared    []string
		want      string // tenant and resource
	}{
		"nobody":                            {nil, nil, ""},
		"the only one":                      {[]client.Object{customer("a", time.Minute)}, nil, "a " + xdr},
		"the one whose token lasts longest": {[]client.Object{customer("a", time.Minute), customer("b", time.Hour), customer("c", time.Second)}, nil, "b " + xdr},
		"none whose token has ended":        {[]client.Object{customer("a", 0)}, nil, ""},
		"none whose token is not ready":     {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) { o.Status.Tokens[0].Ready = false })}, nil, ""},
		"none without an end":               {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) { o.Status.Tokens[0].ExpiresAt = nil })}, nil, ""},
		"none that is suspended":            {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = true })}, nil, ""},
		"none of another application":       {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) { o.Spec.App = "other" })}, nil, ""},
		"none that was edited since then":   {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) { o.Generation = 2 })}, nil, ""},
		"none that is stalled": {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) {
			o.Status.Conditions = []metav1.Condition{{Type: "Stalled", Status: "True"}}
		})}, nil, ""},
		"none without a grant, with a token of its former application": {[]client.Object{customer("a", time.Hour, failing("AccessDenied"))}, nil, ""},
		"none without consent, with a token of its former application": {[]client.Object{customer("a", time.Hour, failing("ConsentRequired"))}, nil, ""},
		"one that met what is to be proved":                            {[]client.Object{customer("a", time.Hour, failing("CredentialRefused"))}, nil, "a " + xdr},
		"one whose vault was away":                                     {[]client.Object{customer("a", time.Hour, failing("VaultUnavailable"))}, nil, "a " + xdr},
		"another than the spared one":                                  {[]client.Object{customer("a", time.Hour), customer("b", time.Minute)}, []string{"a"}, "b " + xdr},
		"the spared one for want of others":                            {[]client.Object{customer("a", time.Hour)}, []string{"a"}, "a " + xdr},
		"for the API of its token": {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) {
			o.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "other", API: "DefenderXDR"}, {Name: "xdr", API: "MicrosoftGraph"}}
		})}, nil, "a https://graph.microsoft.com"},
		"for the resource of its token": {[]client.Object{customer("a", time.Hour, func(o *v1alpha1.DefenderTenant) {
			o.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", Resource: "https://own.example"}}
		})}, nil, "a https://own.example"},
	} {
		t.Run(name, func(t *testing.T) {
			app := partner()
			app.Spec.ClientID = "22222222-2222-2222-2222-222222222222"
			b := newBench(t, append(test.customers, app)...)
			b.ring.entries = []keyring.Entry{entry("a")}
			b.ring.wanted = &keyring.Proof{Credential: credential.Credential{Name: "a"}, Why: "new", Due: noon(), Spared: test.spared}
			asked := ""
			b.Tokens = tokens(func(r token.Request) (token.Issued, error) {
				asked += r.TenantID + " " + r.Resource
				if r.ClientID != app.Spec.ClientID || r.Credential.Name != "a" {
					t.Errorf("got %+v", r)
				}
				b.clock.SetTime(noon().Add(3 * time.Second))
				return token.Issued{}, nil
			})
			next := b.reconcile(t)
			if asked != test.want {
				t.Errorf("asked for %q, want %q", asked, test.want)
			}
			if test.want == "" {
				if next != 15*time.Second || b.ring.judged != nil {
					t.Errorf("next look after %s, judged %+v", next, b.ring.judged)
				}
				return
			}
			want := judgement{"a", keyring.Asker{TenantID: test.want[:1], Served: true, Canary: true}, nil, noon().Add(3 * time.Second)}
			if next != time.Second || len(b.ring.judged) != 1 || b.ring.judged[0] != want {
				t.Errorf("next look after %s, judged %+v", next, b.ring.judged)
			}
		})
	}
}

func TestReconcile_ProvesNothingBeforeItIsDue(t *testing.T) {
	for name, test := range map[string]struct {
		wanted  *keyring.Proof
		suspend bool
		next    time.Duration
	}{
		"nothing is wanted":             {nil, false, time.Hour},
		"in a minute":                   {&keyring.Proof{Due: noon().Add(time.Minute)}, false, time.Minute},
		"tomorrow":                      {&keyring.Proof{Due: noon().Add(24 * time.Hour)}, false, time.Hour},
		"now, but the app is suspended": {&keyring.Proof{Due: noon()}, true, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			app := partner()
			app.Spec.Suspend = test.suspend
			b := newBench(t, app, customer("a", time.Hour))
			b.ring.entries, b.ring.wanted = []keyring.Entry{entry("a")}, test.wanted
			if next := b.reconcile(t); next != test.next {
				t.Errorf("next look after %s, want %s", next, test.next)
			}
		})
	}
}

func TestReconcile_TellsTheKeyringWhyAProofFailed(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"a fault":         {&token.Fault{Reason: "CredentialRefused", Message: "No.", Scope: token.ScopeCredential}, "CredentialRefused"},
		"any other error": {errors.New("canary"), "EntraUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, partner(), customer("a", time.Hour))
			b.ring.entries, b.ring.wanted = []keyring.Entry{entry("a")}, &keyring.Proof{Due: noon()}
			b.Tokens = tokens(func(token.Request) (token.Issued, error) { return token.Issued{}, test.err })
			b.reconcile(t)
			if len(b.ring.judged) != 1 || b.ring.judged[0].outcome.Reason != test.want {
				t.Errorf("judged %+v", b.ring.judged)
			}
		})
	}
}

func TestReconcile_LooksAgainWhenAnEndComesCloser(t *testing.T) {
	for ends, want := range map[time.Duration]time.Duration{
		31 * day:                time.Hour,
		30*day + 10*time.Minute: 10 * time.Minute,
		30 * day:                time.Hour,
		7*day + time.Second:     time.Second,
		day + 59*time.Minute:    59 * time.Minute,
		time.Minute:             time.Minute,
		-time.Second:            time.Hour,
		30*day + 2*time.Hour:    time.Hour,
	} {
		b := newBench(t, partner())
		b.ring.entries = []keyring.Entry{entry("b"), entry("a", endsIn(ends))}
		if next := b.reconcile(t); next != want {
			t.Errorf("ends in %s: next look after %s, want %s", ends, next, want)
		}
	}
}

func TestReconcile_LooksAgainSoonAtASecretThatCouldNotBeRead(t *testing.T) {
	b := newBench(t, partner())
	b.ring.entries = []keyring.Entry{entry("a", unusable("CredentialUnusable"), func(e *keyring.Entry) { e.Err.Cure = token.ByRetry })}
	if next := b.reconcile(t); next != time.Minute {
		t.Errorf("next look after %s", next)
	}
}
