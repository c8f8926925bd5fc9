package tenant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// Here is everything that can be told apart about a customer's consent: what people read in
// each state, what the Secret holds, and how soon the end of the state shows.

const (
	asExpected = "False AsExpected: "
	renewed    = asExpected + "Every token that works is renewed in good time."
	nothing    = asExpected + "Nothing in the cluster has to be edited."
	works      = "True TokensReady: Every required Secret holds a token that works."
	unknowable = "Whether the customer consented cannot be told. "
	stuck      = "The token works, but it cannot be renewed. "
	openLink   = "An administrator of tenant " + customer + " must open status.consentURL and accept, after the platform team added the permissions to the application."

	notConsented   = "Tenant " + customer + " has not consented to application " + clientID + ". An administrator of the tenant must open status.consentURL and accept."
	notKnown       = "Tenant " + customer + " does not know application " + clientID + ". An administrator of the tenant must open status.consentURL and accept. If no other tenant knows it either, the platform team checks spec.clientID and spec.cloud of the DefenderApp."
	noPermission   = "Application " + clientID + " has no permission of " + xdr + " in tenant " + customer + ". An administrator of the tenant must open status.consentURL and accept, after the platform team added the permissions to the application."
	noRole         = "The token carries no application role. " + openLink
	notProvisioned = "Tenant " + customer + " does not have the API " + xdr + ". An administrator of the tenant must set the product up, most often by a licence."
	apiDisabled    = "The API " + xdr + " is disabled in tenant " + customer + ". An administrator of the tenant must renew the product's licence, or enable the API again under Enterprise applications."
	disabled       = "Application " + clientID + " is disabled in tenant " + customer + ". An administrator of the tenant must enable it again under Enterprise applications."
	blocked        = "A policy of tenant " + customer + " blocks application " + clientID + ". An administrator of the tenant must exempt the application from it."
)

// consentState is one of them: how it comes about, what the four conditions say word by
// word, and how it ends.
type consentState struct {
	arrange, mend                     func(w *world)
	roles                             []string // that the spec requires
	ready, consent, degraded, stalled string   // HOST stands for the login host
	code                              int64
	missing                           string // status.missingRoles
}

// answer makes Entra ID answer everything about the customer with a code.
func answer(code int) func(w *world) {
	return func(w *world) {
		for _, on := range []emulator.Kind{emulator.OpenIDConfiguration, emulator.Token} {
			w.entra.Inject(customer, emulator.Fault{On: on, Code: code}, 0)
		}
	}
}

func forgive(w *world) { w.entra.Clear(customer) }
func accept(w *world)  { w.entra.Consent(customer, clientID) }

// neverServed are the states in which no token was there before.
func neverServed() map[string]consentState {
	admin := func(reason, message string) (ready, consent string) {
		return "False " + reason + ": " + message, "False " + reason + ": " + message
	}
	state := func(arrange, mend func(*world), code int64, reason, message string) consentState {
		s := consentState{arrange: arrange, mend: mend, code: code, degraded: renewed, stalled: nothing}
		s.ready, s.consent = admin(reason, message)
		return s
	}
	unknown := func(s consentState, reason, message string) consentState {
		s.consent = "Unknown " + reason + ": " + unknowable + message
		return s
	}
	stalls := func(s consentState) consentState {
		s.stalled = "True " + strings.TrimPrefix(s.ready, "False ")
		return s
	}
	const (
		lacksOne = "The token lacks AdvancedHunting.Read.All. " + openLink
		nowhere  = "Entra ID knows no tenant " + customer + " at HOST. The author of the DefenderTenant must check spec.tenantID, and the cloud of the DefenderApp."
		abroad   = "Tenant " + customer + " belongs to another cloud than HOST serves. The author of the DefenderTenant must name a DefenderApp of that cloud."
	)
	partly := state(accept, func(w *world) { w.entra.Grant(customer, clientID, xdr, "AdvancedHunting.Read.All") }, 0, "RolesMissing", lacksOne)
	partly.roles, partly.missing = []string{"AdvancedHunting.Read.All"}, "AdvancedHunting.Read.All"
	return map[string]consentState{
		"not consented":         state(func(*world) {}, accept, 7000229, "ConsentRequired", notConsented),
		"application not known": state(func(w *world) { w.entra.Answer(emulator.Codes{MissingPrincipal: 700016}) }, accept, 700016, "ConsentRequired", notKnown),
		"consent refused":       state(both(accept, answer(65001)), forgive, 65001, "ConsentRequired", notConsented),
		"no permission asked":   state(both(accept, answer(650056)), forgive, 650056, "ConsentRequired", noPermission),
		"role missing":          partly,
		"no role at all":        state(func(w *world) { w.entra.Grant(customer, clientID, xdr) }, accept, 0, "RolesMissing", noRole),
		"API not provisioned": unknown(state(both(accept, func(w *world) { w.entra.Unprovision(customer, xdr) }), func(w *world) { w.entra.Provision(customer, xdr) },
			500011, "ResourceNotProvisioned", notProvisioned), "ResourceNotProvisioned", notProvisioned),
		"API disabled":       unknown(state(both(accept, answer(500014)), forgive, 500014, "ResourceNotProvisioned", apiDisabled), "ResourceNotProvisioned", apiDisabled),
		"disabled by tenant": state(both(accept, disable(true)), disable(false), 7000112, "DisabledByTenant", disabled),
		"blocked by policy":  state(both(accept, answer(53003)), forgive, 53003, "BlockedByPolicy", blocked),
		"tenant not found": stalls(unknown(state(func(w *world) { w.entra.RemoveTenant(customer) }, accept, 90002, "TenantNotFound", nowhere),
			"TenantNotFound", nowhere)),
		"wrong cloud": stalls(unknown(state(both(accept, answer(90038)), forgive, 90038, "WrongCloud", abroad), "WrongCloud", abroad)),
	}
}

func both(first, second func(*world)) func(*world) {
	return func(w *world) { first(w); second(w) }
}

func disable(disabled bool) func(*world) {
	return func(w *world) { w.entra.DisablePrincipal(customer, clientID, disabled) }
}

// says compares the four conditions word by word.
func (w *world) says(s consentState) {
	w.t.Helper()
	host := strings.TrimPrefix(w.entra.URL(), "https://")
	for kind, want := range map[string]string{"Ready": s.ready, "ConsentGranted": s.consent, "Degraded": s.degraded, "Stalled": s.stalled} {
		want = strings.ReplaceAll(want, "HOST", host)
		for _, c := range w.tenant().Status.Conditions {
			if got := string(c.Status) + " " + c.Reason + ": " + c.Message; c.Type == kind && got != want {
				w.t.Errorf("%s\ngot  %s\nwant %s", kind, got, want)
			}
		}
	}
	if got := w.tenant().Status.MissingRoles; got != s.missing {
		w.t.Errorf("missing roles %q, want %q", got, s.missing)
	}
	failure := w.entry("xdr").Failure
	if failure == nil || failure.Code != s.code || failure.TraceID == "" {
		w.t.Errorf("failure %+v, want code %d", failure, s.code)
	}
}

// situation is what checkStatus needs of a state.
func (s consentState) situation() situation {
	reason := func(text string) string { before, _, _ := strings.Cut(text, ":"); return before }
	in := situation{ready: reason(s.ready), consent: reason(s.consent), degraded: reason(s.degraded), stalled: reason(s.stalled), kstatus: "InProgress"}
	if strings.HasPrefix(s.ready, "True") {
		in.kstatus = "Current"
	}
	if strings.HasPrefix(s.stalled, "True") {
		in.kstatus = "Failed"
	}
	return in
}

func TestEachStateOfConsentSaysWhoMustDoWhat(t *testing.T) {
	t.Parallel()
	for name, s := range neverServed() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := awake(t)
			w.grant()
			s.arrange(w)
			w.apply(xdrToken(s.roles...))
			w.promptly(s.situation())
			w.says(s)
			if found := w.secretNames(); len(found) > 0 {
				t.Errorf("Secrets %v before the first token", found)
			}
			if link := w.tenant().Status.ConsentURL; !strings.HasPrefix(link, w.entra.URL()+"/"+customer+"/adminconsent?") {
				t.Errorf("consent link %q", link)
			}
			s.mend(w)
			w.pass(15 * time.Second) // the first look again
			w.promptly(allGood)
			w.expectSecret("contoso-xdr", "Valid")
		})
	}
}

// served are the states that befall a customer whose token still works.
func served() map[string]consentState {
	state := func(arrange, mend func(*world), code int64, consent, cause string) consentState {
		return consentState{arrange: arrange, mend: mend, code: code, ready: works, consent: consent, degraded: "True RefreshFailing: " + stuck + cause, stalled: nothing}
	}
	const known = "True ConsentGranted: The customer's consent covers every required role."
	return map[string]consentState{
		"withdrawn": state(func(w *world) { w.entra.Withdraw(customer, clientID) }, accept, 7000229,
			"False ConsentWithdrawn: Consent was withdrawn. "+notConsented, notConsented),
		"roles taken away": state(func(w *world) { w.entra.Grant(customer, clientID, xdr) }, accept, 0, "False RolesMissing: "+noRole, noRole),
		"disabled":         state(disable(true), disable(false), 7000112, "False DisabledByTenant: "+disabled, disabled),
		"blocked":          state(answer(53003), forgive, 53003, "False BlockedByPolicy: "+blocked, blocked),
		"licence lapsed":   state(answer(500014), forgive, 500014, known, apiDisabled),
	}
}

// A token cannot be called back: it runs to its end, and what is wrong shows beside it.
func TestWhatBefallsConsentLaterLeavesTheTokenAlone(t *testing.T) {
	t.Parallel()
	for name, s := range served() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := awake(t)
			w.ready()
			before := w.secret("contoso-xdr")
			s.arrange(w)
			w.passUntil(w.tenant().Status.RefreshAt.Time)
			w.promptly(s.situation())
			w.says(s)
			w.unchanged(before)

			s.mend(w)
			w.pass(30 * time.Second) // a running token is tried again at least that often
			w.promptly(allGood)
			w.expectSecret("contoso-xdr", "Valid")
			if w.token("contoso-xdr") == string(before.Data["token"]) {
				t.Error("the token was not renewed")
			}
		})
	}
}

// A tenant in which nobody consented gets a good answer as well: it does not count.
func TestATokenWithoutRolesIsNoConsent(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.grant()
	w.entra.Grant(customer, clientID, xdr)
	w.apply()
	w.promptly(situation{ready: "False RolesMissing", consent: "False RolesMissing", degraded: "False", stalled: "False", kstatus: "InProgress"})
	if issued := w.entra.CountTokens(); issued == 0 {
		t.Fatal("Entra ID issued no token: this test tests nothing")
	}
	w.leap(time.Hour, 15*time.Second)
	if found := w.secretNames(); len(found) > 0 {
		t.Errorf("a token without roles was published: %v", found)
	}
	w.promptly(situation{ready: "False RolesMissing", consent: "False RolesMissing", degraded: "False", stalled: "False", kstatus: "InProgress"})
}

// checkRhythm holds the waits between attempts against the rhythm that the documentation
// promises: all may be shorter by a tenth, and the test's clock adds a stride.
func (w *world) checkRhythm(at []time.Time, stride func(elapsed time.Duration) time.Duration) {
	w.t.Helper()
	dense := []time.Duration{15 * time.Second, 30 * time.Second, time.Minute}
	for i := 1; i < len(at); i++ {
		elapsed, wait := at[i-1].Sub(at[0]), at[i].Sub(at[i-1])
		want := time.Hour
		switch {
		case i <= len(dense):
			want = dense[i-1]
		case elapsed < 15*time.Minute:
			want = 2 * time.Minute
		case elapsed < time.Hour:
			want = 5 * time.Minute
		case elapsed < 6*time.Hour:
			want = 15 * time.Minute
		}
		if slack := stride(elapsed + wait); wait < want*9/10 || wait > want+2*slack {
			w.t.Errorf("attempt %d came %v after the one before, %v after the first; want %v", i+1, wait, elapsed, want)
		}
	}
}

func TestLooksAreDenseAfterAChangeAndSparseLater(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(w *world){
		"nobody consented":      func(*world) {},
		"a token without roles": func(w *world) { w.entra.Grant(customer, clientID, xdr) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := awake(t)
			w.grant()
			arrange(w)
			object := w.apply()
			w.eventually("the first attempt", func() bool { return w.requests() == 1 })
			w.settle()

			// The clock goes in strides that are short against the waits of their time.
			stride := func(elapsed time.Duration) time.Duration {
				if elapsed > 15*time.Minute {
					return 15 * time.Second
				}
				return time.Second
			}
			w.leap(15*time.Minute, time.Second)
			w.leap(9*time.Hour, 15*time.Second)
			at := w.attempts(time.Time{})
			w.checkRhythm(at, stride)
			// Eleven in the first quarter of an hour, nine in the rest of that hour, twenty up to six
			// hours and three after that; a tenth more at most.
			if n := len(at); n < 43 || n > 49 {
				t.Errorf("%d attempts in nine hours and a quarter", n)
			}

			// An edit begins the rhythm anew, and so does a request.
			from := w.clock.Now()
			edit(w, object, func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens = []v1alpha1.TokenSpec{xdrToken("Incident.Read.All")} })
			w.checkAnew(from, stride)
			w.leap(20*time.Minute, 15*time.Second)
			from = w.clock.Now()
			w.ask("the customer says that it is done")
			w.checkAnew(from, stride)

			// Entra ID takes its time to tell all of its servers of a consent.
			w.leap(20*time.Minute, 15*time.Second)
			w.ask("once more")
			asked := w.clock.Now()
			w.leap(time.Minute, time.Second)
			w.entra.Consent(customer, clientID)
			w.leap(time.Minute, time.Second)
			w.promptly(allGood)
			if took := w.clock.Since(asked); took > 2*time.Minute+10*time.Second {
				t.Errorf("the test let %v pass since the request", took)
			}
		})
	}
}

// checkAnew waits for one more attempt and lets the next three follow it.
func (w *world) checkAnew(from time.Time, stride func(time.Duration) time.Duration) {
	w.t.Helper()
	w.atOnce("an attempt at once", func() bool { return len(w.attempts(from)) == 1 })
	w.leap(2*time.Minute, time.Second)
	at := w.attempts(from)
	if len(at) != 4 {
		w.t.Errorf("%d attempts in two minutes, want 4", len(at))
	}
	w.checkRhythm(at, stride)
}
