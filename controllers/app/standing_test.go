package app

import (
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

// together is a Health as a test wants it.
type together struct {
	standing health.Standing
	cause    *token.Fault
}

func (h together) Of(string) health.Standing { return h.standing }

func (h together) OfApp(string, time.Time) *token.Fault { return h.cause }

func TestReconcile_ATroubleOfManyCustomersIsWrittenOnce(t *testing.T) {
	b := newBench(t, partner())
	b.Health = together{health.Standing{Known: true}, &token.Fault{Reason: "AppDisabled", Message: "It is disabled."}}
	b.ring.entries = []keyring.Entry{entry("a", accepted(noon()))}
	b.reconcile(t)
	b.clock.SetTime(noon().Add(time.Minute))
	b.reconcile(t)
	ready := apimeta.FindStatusCondition(b.read(t).Status.Conditions, "Ready")
	if b.patches != 1 || !ready.LastTransitionTime.Time.Equal(noon()) {
		t.Errorf("%d writes, changed at %v", b.patches, ready.LastTransitionTime)
	}
}

// What many customers reported before a restart stays told until the host was asked again.
func TestReconcile_ARestartForgetsNoTroubleOfTheApplication(t *testing.T) {
	const disabled, fine = "False AppDisabled: It is disabled.", "True CredentialReady: Credential a can be used."
	for name, test := range map[string]struct {
		reason string
		change func(*bench, *v1alpha1.DefenderApp)
		want   string
	}{
		"disabled":      {"AppDisabled", func(*bench, *v1alpha1.DefenderApp) {}, disabled},
		"misconfigured": {"AppMisconfigured", func(*bench, *v1alpha1.DefenderApp) {}, "False AppMisconfigured: It is disabled."},
		"of a former spec": {"AppDisabled", func(_ *bench, app *v1alpha1.DefenderApp) {
			app.Generation++
		}, fine},
		"the host was asked":      {"AppDisabled", func(b *bench, _ *v1alpha1.DefenderApp) { b.Health = together{standing: health.Standing{Known: true}} }, fine},
		"a matter of credentials": {"VaultUnavailable", func(*bench, *v1alpha1.DefenderApp) {}, fine},
		"suspended": {
			"AppDisabled", func(_ *bench, app *v1alpha1.DefenderApp) { app.Spec.Suspend = true },
			"False Suspended: No token is requested with this application. The platform team ends that with spec.suspend: false.",
		},
		"its credential is refused now": {"AppDisabled", func(b *bench, _ *v1alpha1.DefenderApp) {
			b.ring.entries = []keyring.Entry{entry("a", refused(noon(), noon()))}
		}, "False CredentialRefused: Entra ID refuses a."},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, partner())
			b.Health = together{health.Standing{Known: true}, &token.Fault{Reason: test.reason, Message: "It is disabled."}}
			b.ring.entries = []keyring.Entry{entry("a", accepted(noon()))}
			b.reconcile(t)
			b.Health = together{}
			app := b.read(t)
			test.change(b, app)
			if err := b.Update(t.Context(), app); err != nil {
				t.Fatal(err)
			}
			b.clock.SetTime(noon().Add(time.Minute))
			b.reconcile(t)
			if test.want == disabled && b.patches != 1 {
				t.Errorf("%d writes", b.patches)
			}
			if got := show(b.read(t).Status, "Ready"); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// A process that has asked nothing yet must not forget what the one before it knew: a restart writes nothing.
func TestSetReachable_ARestartForgetsNothing(t *testing.T) {
	status := v1alpha1.DefenderAppStatus{}
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	says := func(host string, standing health.Standing, want string) {
		t.Helper()
		setReachable(setterOf(&status, now), status.Conditions, host, standing)
		if c := apimeta.FindStatusCondition(status.Conditions, "EntraReachable"); string(c.Status)+": "+c.Message != want {
			t.Errorf("%s: got %s: %s, want %s", host, c.Status, c.Message, want)
		}
	}
	says("login.example", health.Standing{}, "Unknown: login.example has not been asked yet.")
	says("login.example", health.Standing{Known: true}, "True: login.example answers.")
	says("login.example", health.Standing{}, "True: login.example answers.")
	throttled := &token.Fault{Reason: "Throttled", Message: "Entra ID asks for fewer requests."}
	const outage = "False: login.example: Entra ID asks for fewer requests. Until then one customer at a time asks for all; the others keep their tokens and wait."
	says("login.example", health.Standing{Known: true, Fault: throttled}, outage)
	says("login.example", health.Standing{}, outage)
	says("login.example.us", health.Standing{}, "Unknown: login.example.us has not been asked yet.")
}
