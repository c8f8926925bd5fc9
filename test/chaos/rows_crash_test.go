package chaos

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// mostWrites is more than one mint can need: a row that comes this far does not end.
const mostWrites = 12

// crashRows kill the operator at every step of a mint.
func crashRows() []row {
	return []row{
		{matrix: "25", name: "kill at each step of a first token", always: true, life: 10 * time.Minute, bare: time.Minute, budget: 2 * (2*mostWrites + 2), earlier: true, play: func(sc *scene) {
			sc.crashEverywhere(func() { sc.strip(0) })
		}},
		{matrix: "25", name: "kill at each step of a renewal", life: 10 * time.Minute, budget: 2 * (2*mostWrites + 2), earlier: true, play: func(sc *scene) {
			sc.crashEverywhere(func() { sc.refresh(0) })
		}},
	}
}

// strip takes a customer's Secret away.
func (sc *scene) strip(i int) {
	sc.t.Helper()
	secret := sc.held(i)
	sc.must(sc.Delete(sc.t.Context(), secret))
}

// crashEverywhere makes one customer need a token, again and again, and each time kills the operator one step later: when
// the request arrives at Entra ID, then before the first write of the API, after it, before the second one, and so on until
// a mint had fewer steps than that.
func (sc *scene) crashEverywhere(need func()) {
	sc.t.Helper()
	check := sc.openCheckpoint(sc.plane.Config)
	p := sc.deploy(1, "--kubeconfig="+check.kubeconfig)[0]
	sc.crashAtRequest(p, need)
	var steps []string
	for n := 1; n <= mostWrites; n++ {
		for _, after := range []bool{false, true} {
			step, crashed := sc.crashAtWrite(p, check, need, n, after)
			if !crashed {
				sc.t.Logf("killed at the token request and at %d steps:\n%s", len(steps), strings.Join(steps, "\n"))
				if !slices.ContainsFunc(steps, func(s string) bool { return strings.Contains(s, "/secrets") }) ||
					!slices.ContainsFunc(steps, func(s string) bool { return strings.HasSuffix(s, "/status") }) {
					sc.t.Error("a mint writes a Secret and a status: it was not killed at both")
				}
				sc.unbroken([]*pod{p})
				return
			}
			steps = append(steps, step)
		}
	}
	sc.t.Errorf("a mint never ended without a crash, at %d writes", mostWrites)
}

// crashAtRequest kills the operator when its request has arrived: the token is issued and nobody gets it.
func (sc *scene) crashAtRequest(p *pod, need func()) {
	sc.t.Helper()
	sc.entra.Inject(sc.tenantIDs[0], entra.Fault{Delay: 300 * time.Millisecond}, 1)
	asked := sc.count()
	before := sc.held(0)
	need()
	sc.eventually("the request arrives", func() bool { return sc.count() > asked })
	p.kill()
	sc.converges(before, asked, "the request")
}

// crashAtWrite kills the operator at its n-th write from now on, before it reaches the API server or after that.
func (sc *scene) crashAtWrite(p *pod, check *checkpoint, need func(), n int, after bool) (step string, crashed bool) {
	sc.t.Helper()
	var mu sync.Mutex
	writes, at := 0, ""
	crash := func(r *http.Request, when string) bool {
		mu.Lock()
		defer mu.Unlock()
		if at != "" {
			return true // of the process that came next
		}
		if writes++; writes < n {
			return true
		}
		at = fmt.Sprintf("%s write %d: %s %s", when, n, r.Method, r.URL.Path)
		p.kill()
		return false
	}
	if after {
		check.inspect(nil, func(r *http.Request) bool { return crash(r, "after") })
	} else {
		check.inspect(func(r *http.Request) bool { return crash(r, "before") }, nil)
	}
	defer check.inspect(nil, nil)
	asked, before := sc.count(), sc.held(0)
	need()
	crashedOrDone := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return at != "" || sc.renewed(before) && sc.recovered()
	}
	sc.eventually("the token is there, or the operator was killed", crashedOrDone)
	sc.pass(time.Second) // status and events may be still to come
	mu.Lock()
	step = at
	mu.Unlock()
	if step == "" {
		return "", false
	}
	sc.converges(before, asked, step)
	return step, true
}

// renewed tells whether the customer has another token than before.
func (sc *scene) renewed(before *corev1.Secret) bool {
	sc.t.Helper()
	now := sc.token(0)
	return now != "" && now != string(before.Data[v1alpha1.KeyToken])
}

// converges waits for the token, and checks what the crash cost and left behind.
func (sc *scene) converges(before *corev1.Secret, asked int, step string) {
	sc.t.Helper()
	sc.eventually("the token is there after a crash at "+step, func() bool { return sc.renewed(before) && sc.recovered() })
	if cost := sc.count() - asked; cost > 2 {
		sc.t.Errorf("a crash at %s cost %d token requests, at most one more than without it is allowed", step, cost)
	}
	var secrets corev1.SecretList
	sc.must(sc.List(sc.t.Context(), &secrets, client.InNamespace(sc.namespace), client.MatchingFields{"type": v1alpha1.SecretType}))
	for i := range secrets.Items {
		secret := &secrets.Items[i]
		if owner := metav1.GetControllerOf(secret); owner != nil && secret.Name != sc.key(0).Name+"-xdr" {
			sc.t.Errorf("a crash at %s left Secret %s behind", step, secret.Name)
		}
	}
}
