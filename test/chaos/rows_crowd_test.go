package chaos

import (
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// outageRows take the login host from everybody.
func outageRows() []row {
	return []row{
		// Ten failures open the breaker; those under way by then, and one probe in five seconds.
		outage("1", "login host refuses connections", true, 10+8+6, func(sc *scene) func() {
			sc.entra.Down(true)
			return func() { sc.entra.Down(false) }
		}),
		// All are under way before the first has waited for ten seconds; the two who began try again until then.
		outage("3", "login host is silent", false, 2+30+10, func(sc *scene) func() {
			i := sc.usurp()
			i.silent()
			return i.leave
		}),
		outage("7", "login host answers 503", false, 10+8+6, func(sc *scene) func() {
			sc.entra.Inject("", entra.Fault{Status: 503, Body: canary}, 0)
			return func() { sc.entra.Clear("") }
		}),
		throttledAll(),
		slowShare(),
	}
}

// outage is an outage for all, while all their tokens would be renewed.
func outage(matrix, name string, always bool, most int, begin func(*scene) (end func())) row {
	return row{
		matrix: matrix, name: name, always: always, tenants: 30,
		budget: 30 + 6 + 10, // one each afterwards, and those that arrived while it went on
		play: func(sc *scene) {
			before := sc.asked()
			end := begin(sc)
			sc.t.Cleanup(end)
			sc.refresh(0)
			sc.refresh(1) // two who were served before
			sc.fails(0, v1alpha1.ReasonEntraUnavailable)
			sc.refreshAll()
			sc.pass(20 * time.Second)
			if asked := sc.asked() - before; asked > most {
				sc.t.Errorf("%d requests in an outage of 20 s, at most %d are allowed", asked, most)
			}
			if got := sc.ofApp(v1alpha1.ConditionEntraReachable); got != "EntraReachable=False EntraUnavailable" {
				sc.t.Error(got)
			}
			end()
			sc.within(patience, "the application is told of the end", func() bool {
				return sc.ofApp(v1alpha1.ConditionEntraReachable) == "EntraReachable=True EntraReachable"
			})
		},
	}
}

// throttledAll is a login host that asks everybody for fewer requests.
func throttledAll() row {
	return row{
		matrix: "5", name: "everybody throttled", tenants: 20,
		budget: 20 + 8, // one each, and those who heard it
		play: func(sc *scene) {
			sc.entra.Inject("", entra.Fault{Status: 429, Body: `{"error":"temporarily_unavailable"}`, RetryAfter: "15"}, 0)
			sc.t.Cleanup(func() { sc.entra.Clear("") })
			sc.refresh(0)
			sc.refresh(1)
			sc.fails(1, v1alpha1.ReasonThrottled)
			heard := sc.made()
			sc.refreshAll()
			sc.pass(10 * time.Second)
			if made := sc.made() - heard; made > 0 {
				sc.t.Errorf("%d requests within the time that Entra ID asked to be left alone", made)
			}
			sc.entra.Clear("")
		},
	}
}

// slowShare is one customer in twenty whose answers take longer than the operator waits.
func slowShare() row {
	const each = 20
	return row{
		matrix: "4", name: "one customer in twenty is slow", tenants: 40, budget: 2*40 + 8,
		play: func(sc *scene) {
			for i, id := range sc.tenantIDs {
				if i%each == 0 {
					sc.entra.Inject(id, entra.Fault{Delay: 30 * time.Second}, 0)
					sc.t.Cleanup(func() { sc.entra.Clear(id) })
				}
			}
			sc.refreshAll()
			for i := range sc.tenantIDs {
				if i%each != 0 {
					sc.unaffected(i)
				}
			}
			for _, id := range sc.tenantIDs {
				sc.entra.Clear(id)
			}
		},
	}
}

// crowdRows are about many at once.
func crowdRows() []row {
	return []row{manyCreated(), manyDeleted(), editFlood()}
}

// manyCreated is a customer base that arrives in one commit.
func manyCreated() row {
	const many = 200
	return row{
		matrix: "53", name: "200 customers at once", budget: many,
		play: func(sc *scene) {
			began := time.Now()
			for i := 1; i <= many; i++ {
				sc.tenantIDs = append(sc.tenantIDs, entra.TenantID("53", i))
				sc.admit(i)
				sc.create(sc.tenant(i))
			}
			sc.within(5*time.Second, "the first is served", func() bool { return sc.token(1) != "" })
			sc.within(patience, "all are served", sc.recovered)
			sc.t.Logf("%d customers were served after %s", many, time.Since(began).Round(time.Millisecond))
		},
	}
}

// manyDeleted is `kubectl delete secret --all`.
func manyDeleted() row {
	return row{
		matrix: "45", name: "60 Secrets deleted at once", tenants: 60, budget: 60, bare: 20 * time.Second,
		play: func(sc *scene) {
			before := sc.held(59).UID
			for i := range sc.tenantIDs {
				sc.gone(sc.held(i))
			}
			sc.within(20*time.Second, "all Secrets are back", func() bool {
				for i := range sc.tenantIDs {
					if sc.token(i) == "" {
						return false
					}
				}
				return sc.held(59).UID != before
			})
		},
	}
}

// editFlood edits one customer's object as fast as the API server can, while others' tokens are due.
func editFlood() row {
	return row{
		matrix: "54", name: "flood of edits", always: true, tenants: 9, life: 20 * time.Second,
		budget: 9*4 + 10, // renewals, and the budget of the one that is edited
		play: func(sc *scene) {
			var edits atomic.Int64
			began := time.Now()
			for time.Since(began) < 12*time.Second {
				object := sc.now(0)
				before := client.MergeFrom(object.DeepCopy())
				object.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", API: v1alpha1.APIDefenderXDR, RefreshAfterPercent: int32(40 + edits.Add(1)%10)}}
				sc.must(sc.Patch(sc.t.Context(), object, before))
			}
			sc.t.Logf("%d edits", edits.Load())
			for i := 1; i < len(sc.tenantIDs); i++ {
				sc.punctual(i, began)
			}
		},
	}
}

// punctual checks that a customer's renewals since then were not late: each token of the ledger follows
// the one before it within the half life, and five seconds.
func (sc *scene) punctual(i int, since time.Time) {
	sc.t.Helper()
	times := sc.times(i)
	for n := 1; n < len(times); n++ {
		if gap := times[n].Sub(times[n-1]); times[n].After(since) && gap > sc.row.life/2+5*time.Second {
			sc.t.Errorf("%s was renewed %s after its last token", sc.key(i).Name, gap)
		}
	}
}
