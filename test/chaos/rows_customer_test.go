package chaos

import (
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// customerRows are about one customer, or one application with its customers.
func customerRows() []row {
	return []row{
		flapping(),
		skewed("one minute ahead", time.Minute, false, false),
		skewed("four minutes behind", -4*time.Minute, false, false),
		skewed("fifteen minutes ahead", 15*time.Minute, true, true),
		skewed("fifteen minutes behind", -15*time.Minute, true, true),
		credentialRefused(),
		credentialReplaced(),
		credentialMistyped(),
		consentWithdrawn(),
		disabledByTenant(),
		revokedEarly(),
		refreshLoop(),
	}
}

// throttleRows are about one customer who is told to wait.
func throttleRows() []row {
	return []row{
		throttled("throttled for seconds", func() string { return "8" }, 8*time.Second, true),
		throttled("throttled until a date", func() string { return time.Now().Add(10 * time.Second).UTC().Format(http.TimeFormat) }, 8*time.Second, false),
		throttled("throttled for zero seconds", func() string { return "0" }, time.Second, false),
		throttled("throttled for nonsense", func() string { return "soon, I hope" }, 4*time.Second, false),
		absurdlyThrottled("throttled for 1e20 seconds", strings.Repeat("9", 20)),
		absurdlyThrottled("throttled until the year 9999", "Fri, 31 Dec 9999 23:59:59 GMT"),
	}
}

// throttled is one customer who is told to wait, and another one of the same application who is not.
func throttled(name string, retryAfter func() string, least time.Duration, always bool) row {
	return row{
		matrix: "5", name: name, always: always, tenants: 2, budget: 6,
		play: func(sc *scene) {
			sc.entra.Inject(sc.tenantIDs[0], entra.Fault{Code: 90055, RetryAfter: retryAfter()}, 1)
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonThrottled)
			sc.unaffected(1)
			sc.eventually("the throttled one asks again", func() bool { return len(sc.times(0)) >= 3 })
			times := sc.times(0)
			if gap := times[len(times)-1].Sub(times[len(times)-2]); gap < least {
				sc.t.Errorf("asked again after %s, at least %s were demanded", gap, least)
			}
		},
	}
}

// absurdlyThrottled is one customer who is told to wait for ever. The wait is cut to five minutes, which
// a person can cut short.
func absurdlyThrottled(name, retryAfter string) row {
	return row{
		matrix: "5", name: name, budget: 2, life: 20 * time.Minute,
		play: func(sc *scene) {
			sc.entra.Inject(sc.tenantIDs[0], entra.Fault{Code: 90055, RetryAfter: retryAfter}, 1)
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonThrottled)
			sc.pass(15 * time.Second)
			if made := sc.made(); made != 1 {
				sc.t.Errorf("%d requests, want the one that was throttled", made)
			}
			sc.refresh(0) // what Entra ID said holds for people, too
			sc.within(6*time.Minute, "it asks after five minutes, the longest that is honoured", func() bool { return sc.made() == 2 })
		},
	}
}

// times are when a customer's requests arrived.
func (sc *scene) times(i int) []time.Time {
	var times []time.Time
	for _, r := range sc.entra.Requests() {
		if r.Kind == entra.Token && r.Tenant == sc.tenantIDs[i] {
			times = append(times, r.Time)
		}
	}
	return times
}

// unaffected refreshes a customer to whom nothing happened.
func (sc *scene) unaffected(i int) {
	sc.t.Helper()
	held := sc.token(i)
	sc.refresh(i)
	sc.within(10*time.Second, "another customer is served", func() bool { return sc.token(i) != held })
}

// flapping fails every other request, so that each renewal takes two.
func flapping() row {
	return row{
		matrix: "7", name: "half of the answers 5xx", tenants: 4, life: 40 * time.Second,
		budget: 4 * 3 * 2, // three renewals each, of two requests
		play: func(sc *scene) {
			statuses := []int{500, 502, 503, 504}
			held := map[int]string{}
			for end := time.Now().Add(50 * time.Second); time.Now().Before(end); sc.pass(time.Second) {
				for i, id := range sc.tenantIDs {
					if now := sc.token(i); now != held[i] {
						held[i] = now
						sc.entra.Inject(id, entra.Fault{Status: statuses[i], Body: canary}, 1)
					}
				}
			}
			for _, id := range sc.tenantIDs {
				sc.entra.Clear(id)
			}
			if made := sc.made(); made < 4*2*2 {
				sc.t.Errorf("%d requests: did each customer fail, and recover, twice?", made)
			}
		},
	}
}

// skewed is an Entra ID whose clock differs from ours. Tokens live for an hour, as real ones.
func skewed(name string, by time.Duration, complaint, always bool) row {
	return row{
		matrix: "19", name: "clock of Entra ID " + name, always: always, life: time.Hour, earlier: true, budget: 2,
		play: func(sc *scene) {
			held := sc.token(0)
			sc.entra.Inject(sc.tenantIDs[0], entra.Fault{Skew: by}, 0)
			sc.refresh(0)
			sc.eventually("the token is published", func() bool { return sc.token(0) != held })
			sc.becomes(0, "Ready=True TokensReady")
			if complaint {
				sc.becomes(0, "Degraded=True ClockSkew")
			} else {
				sc.becomes(0, "Degraded=False AsExpected")
			}
			sc.pass(5 * time.Second)
			if made := sc.made(); made != 1 {
				sc.t.Errorf("%d requests, want 1: is there a loop?", made)
			}
			sc.entra.Clear(sc.tenantIDs[0])
			sc.refresh(0)
		},
	}
}

// credentialRefused is a client secret that ends while it is in use.
func credentialRefused() row {
	return row{
		matrix: "15", name: "client secret refused", always: true, tenants: 10,
		// Two who find out, one canary in each half minute, one request each afterwards.
		budget: 2 + 3 + 10,
		play: func(sc *scene) {
			sc.entra.RemoveSecret(sc.clientID, sc.secret)
			sc.refresh(0)
			sc.refresh(1)
			sc.eventually("the application is told", func() bool {
				return sc.ofApp(v1alpha1.ConditionCredentialAccepted) == "CredentialAccepted=False CredentialRefused"
			})
			established := sc.made()
			sc.refreshAll()
			sc.pass(15 * time.Second)
			if more := sc.made() - established; more > 1 {
				sc.t.Errorf("%d requests with a credential that is known to be refused, at most 1 in 30 s is allowed", more)
			}
			sc.is(0, "Ready=True TokensReady")
			sc.is(9, "Ready=True TokensReady")
			sc.entra.AddSecret(sc.clientID, sc.secret, time.Time{})
		},
	}
}

// store puts a client secret where the application has it.
func (sc *scene) store(value string) {
	sc.t.Helper()
	sc.secrets.add(value)
	secret := &corev1.Secret{}
	sc.must(sc.Get(sc.t.Context(), types.NamespacedName{Namespace: operators, Name: sc.app}, secret))
	secret.Data = map[string][]byte{v1alpha1.DefaultClientSecretKey: []byte(value)}
	sc.must(sc.Update(sc.t.Context(), secret))
}

// credentialReplaced is a rotation as the runbook has it: both are valid for a while.
func credentialReplaced() row {
	return row{
		matrix: "16", name: "new client secret dropped in", always: true, tenants: 3, budget: 6,
		play: func(sc *scene) {
			fresh := sc.secret + "-anew"
			sc.entra.AddSecret(sc.clientID, fresh, time.Time{})
			sc.store(fresh)
			sc.pass(2 * time.Second) // the watch
			sc.unaffected(0)
			sc.entra.RemoveSecret(sc.clientID, sc.secret)
			for i := range sc.tenantIDs {
				sc.unaffected(i)
				if failure := sc.failure(i); failure != nil {
					sc.t.Errorf("a refresh failed: %s", failure.Reason)
				}
			}
		},
	}
}

// credentialMistyped is a rotation that went wrong: the credential that was accepted stays in use.
func credentialMistyped() row {
	return row{
		matrix: "16", name: "wrong client secret dropped in", tenants: 3, budget: 8,
		play: func(sc *scene) {
			sc.store(sc.secret + "-mistyped")
			sc.pass(2 * time.Second) // the watch
			for i := range sc.tenantIDs {
				sc.unaffected(i)
			}
			sc.store(sc.secret)
		},
	}
}

// consentWithdrawn lets the token run to its end and tells the truth meanwhile.
func consentWithdrawn() row {
	return row{
		matrix: "17", name: "consent withdrawn", always: true, tenants: 2, life: 20 * time.Second, bare: patience,
		budget: 16, // four polls, and the renewals of the other customer
		play: func(sc *scene) {
			sc.entra.Withdraw(sc.tenantIDs[0], sc.clientID)
			sc.becomes(0, "ConsentGranted=False ConsentWithdrawn")
			sc.is(0, "Ready=True TokensReady")
			sc.becomes(0, "Ready=False TokenExpired")
			sc.eventually("the dead token is gone", func() bool {
				held := sc.held(0)
				return len(held.Data[v1alpha1.KeyToken]) == 0 && string(held.Data[v1alpha1.KeyState]) == string(v1alpha1.StateExpired)
			})
			sc.unaffected(1)
			sc.entra.Consent(sc.tenantIDs[0], sc.clientID)
		},
	}
}

// disabledByTenant is the customer's own switch.
func disabledByTenant() row {
	return row{
		matrix: "17", name: "application disabled by the customer", tenants: 2, budget: 8,
		play: func(sc *scene) {
			sc.entra.DisablePrincipal(sc.tenantIDs[0], sc.clientID, true)
			sc.refresh(0)
			sc.becomes(0, "ConsentGranted=False DisabledByTenant")
			sc.fails(0, v1alpha1.ReasonDisabledByTenant)
			sc.unaffected(1)
			sc.entra.DisablePrincipal(sc.tenantIDs[0], sc.clientID, false)
		},
	}
}

// revokedEarly is a token that Entra ID revoked before its end, which nobody can see from outside: a
// person asks for another one.
func revokedEarly() row {
	return row{
		matrix: "18", name: "token revoked early", always: true, budget: 1,
		play: func(sc *scene) {
			held := sc.token(0)
			sc.refresh(0)
			sc.within(10*time.Second, "there is another token", func() bool { return sc.token(0) != held })
			asked := sc.now(0).Annotations[v1alpha1.RefreshRequestedAnnotation]
			sc.eventually("the request is echoed", func() bool { return sc.now(0).Status.LastHandledRefresh == asked })
			sc.label(0, "an edit that asks for nothing")
			sc.pass(3 * time.Second)
		},
	}
}

// label edits a customer's object without asking for anything.
func (sc *scene) label(i int, value string) {
	sc.t.Helper()
	object := sc.now(i)
	before := client.MergeFrom(object.DeepCopy())
	object.SetLabels(map[string]string{"edit": strings.ReplaceAll(value, " ", "-")})
	sc.must(sc.Patch(sc.t.Context(), object, before))
}

// refreshLoop is a person's script that asks again and again.
func refreshLoop() row {
	return row{
		matrix: "18", name: "refresh requested in a loop", always: true, tenants: 2,
		budget: 10 + 3 + 1, // the burst, one in each ten seconds, and the other customer's
		play: func(sc *scene) {
			for range 100 {
				sc.refresh(0)
				sc.pass(50 * time.Millisecond)
			}
			sc.unaffected(1)
			if made := sc.made(); made > 10+2+1 {
				sc.t.Errorf("%d requests for 100 wishes", made)
			}
		},
	}
}
