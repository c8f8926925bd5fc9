package tenant

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/token"
)

func contoso() types.NamespacedName { return types.NamespacedName{Namespace: "soc", Name: "contoso"} }

func TestOlder_ComparesResourceVersions(t *testing.T) {
	for name, row := range map[string]struct {
		shown, written string
		want           bool
	}{
		"nothing was written":           {"7", "", false},
		"the cache shows our write":     {"8", "8", false},
		"the cache shows a later write": {"9", "8", false},
		"the cache shows less":          {"7", "8", true},
		"more digits are later":         {"10", "9", false},
		"fewer digits are earlier":      {"9", "10", true},
		"no number can be compared":     {"x", "8", false},
		"no version at all":             {"", "8", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := older(row.shown, row.written); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func holdingAt(name, version string) map[string]*holding {
	return map[string]*holding{name: {secret: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}}}
}

func TestBehind_TellsWhetherTheCacheLags(t *testing.T) {
	for name, row := range map[string]struct {
		status, secret string // our last writes
		shown          string // the tenant's version in the cache
		secrets        map[string]*holding
		want           bool
	}{
		"nothing was written yet":                 {"", "", "5", holdingAt("contoso-xdr", "6"), false},
		"both writes are shown":                   {"5", "6", "5", holdingAt("contoso-xdr", "6"), false},
		"the status is not shown yet":             {"7", "6", "5", holdingAt("contoso-xdr", "6"), true},
		"the Secret is not shown yet":             {"5", "8", "5", holdingAt("contoso-xdr", "6"), true},
		"the Secret is gone":                      {"5", "8", "5", nil, false},
		"the write was to a Secret of other name": {"5", "8", "5", holdingAt("contoso-graph", "6"), false},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := someTenant()
			tenant.ResourceVersion = row.shown
			known := &remembered{written: map[string]string{"": row.status, "contoso-xdr": row.secret}}
			if got := known.behind(tenant, row.secrets); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestBehind_EndsAfterTheAPIServerWasRestoredFromABackup(t *testing.T) {
	known := &remembered{written: map[string]string{"": "5000"}}
	tenant := someTenant() // shows version 100, for ever
	looks := 0
	for known.behind(tenant, nil) {
		if looks++; looks > 10_000 {
			t.Fatal("a cache that never shows our write is waited for without end")
		}
	}
	if waited := time.Duration(looks) * cacheLag; waited < 10*time.Second || waited > 2*time.Minute {
		t.Errorf("the cache was waited for during %v", waited)
	}
	if known.behind(tenant, nil) {
		t.Error("it is waited for again")
	}
}

func TestMemory_BelongsToOneObject(t *testing.T) {
	var m memory
	first := m.of(contoso(), "uid-1")
	first.paces["xdr"] = failing()
	if m.of(contoso(), "uid-1") != first {
		t.Error("the same object is remembered twice")
	}
	if second := m.of(contoso(), "uid-2"); second == first || len(second.paces) != 0 {
		t.Error("an object of the same name inherits what was remembered of another")
	}
	m.forget(contoso())
	if again := m.of(contoso(), "uid-2"); len(again.paces) != 0 || len(m.tenants) != 1 {
		t.Error("a forgotten object is remembered")
	}
}

func TestMemory_TellsWhoFails(t *testing.T) {
	var m memory
	if !m.isFailing(contoso()) {
		t.Error("an object that was never seen has everything to gain from a look")
	}
	known := m.of(contoso(), "uid-1")
	for _, failing := range []bool{true, false} {
		m.setFailing(known, failing)
		if m.isFailing(contoso()) != failing {
			t.Errorf("failing is not %v", failing)
		}
	}
}

func TestPace_StartsAnewWithNewInputs(t *testing.T) {
	was := inputs{tenantGeneration: 1, appGeneration: 1, appUID: "a"}
	for name, is := range map[string]inputs{
		"the spec changed":        {tenantGeneration: 2, appGeneration: 1, appUID: "a"},
		"the app changed":         {tenantGeneration: 1, appGeneration: 2, appUID: "a"},
		"the app is another one":  {tenantGeneration: 1, appGeneration: 1, appUID: "b"},
		"the app is gone":         {tenantGeneration: 1},
		"another credential":      {tenantGeneration: 1, appGeneration: 1, appUID: "a", credential: "secret/2"},
		"the memory is a new one": {tenantGeneration: 1, appGeneration: 1, appUID: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			known := &remembered{paces: map[string]pace{}}
			if name != "the memory is a new one" {
				old := failing()
				old.inputs = was
				known.paces["xdr"] = old
			}
			got := known.pace("xdr", is)
			if got.attempts != 0 || got.fault != nil || !got.next.IsZero() || got.inputs != is {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Run("nothing changed", func(t *testing.T) {
		known := &remembered{paces: map[string]pace{"xdr": {inputs: was, attempts: 3}}}
		if got := known.pace("xdr", was); got.attempts != 3 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestBudget_IsTenAtOnceAndThenOneInTenSeconds(t *testing.T) {
	var m memory
	known := m.of(contoso(), "uid-1")
	count := func(at time.Time) (n int) {
		for known.budget.AllowN(at, 1) {
			n++
		}
		return n
	}
	for _, row := range []struct {
		at   time.Duration
		want int
	}{{0, 10}, {9 * time.Second, 0}, {10 * time.Second, 1}, {29 * time.Second, 1}, {time.Hour, 10}} {
		if got := count(after(row.at)); got != row.want {
			t.Errorf("after %v: %d requests, want %d", row.at, got, row.want)
		}
	}
	if m.of(types.NamespacedName{Namespace: "soc", Name: "fabrikam"}, "uid-2").budget == known.budget {
		t.Error("two tenants share a budget")
	}
}

func TestOverBudget_SaysWhatPeopleShouldRead(t *testing.T) {
	fresh := overBudget(nil, "identity")
	if fresh.Reason != "OverBudget" || fresh.Cure != token.ByRetry || fresh.After < 10*time.Second || fresh.After > 11*time.Second {
		t.Errorf("got %+v", fresh)
	}
	last := &token.Fault{Reason: "ConsentRequired", Message: "Consent.", Cure: token.ByPoll}
	behind := overBudget(last, "identity")
	if behind.Reason != "ConsentRequired" || behind.Message != "Consent." || behind.After < 10*time.Second {
		t.Errorf("got %+v", behind)
	}
	if last.After != 0 || last.Cure != token.ByPoll {
		t.Error("the former failure was changed")
	}
}

// noted gives the pace after a series of results, one minute apart.
func noted(t *testing.T, results ...result) (pace, result) {
	t.Helper()
	known := &remembered{paces: map[string]pace{}}
	var last result
	for i, res := range results {
		res.slot = goodSlot()
		started := after(time.Duration(i) * time.Minute)
		known.note(&res, inputs{tenantGeneration: 1}, started, started.Add(10*time.Second))
		last = res
	}
	return known.paces["xdr"], last
}

func TestNote_KeepsTheRhythmOfFailures(t *testing.T) {
	consent := &token.Fault{Reason: "ConsentRequired", Cure: token.ByPoll}
	roles := &token.Fault{Reason: "RolesMissing", Cure: token.ByPoll, GrantedRoles: []string{"Alert.Read.All"}}
	write := &token.Fault{Reason: "WriteFailed", Cure: token.ByRetry}
	t.Run("a failed attempt is counted and dated", func(t *testing.T) {
		p, res := noted(t, result{did: mint, fault: unavailable()})
		if p.attempts != 1 || !p.since.Equal(noon()) || !p.next.After(noon()) || !res.next.Equal(p.next) {
			t.Errorf("got %+v, next %v", p, res.next)
		}
	})
	t.Run("failures in a row are counted", func(t *testing.T) {
		p, _ := noted(t, result{did: mint, fault: consent}, result{did: mint, fault: roles}, result{did: mint, fault: consent})
		if p.attempts != 3 || !p.since.Equal(noon()) {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("a failure of another cure starts a row of its own", func(t *testing.T) {
		p, _ := noted(t, result{did: mint, fault: unavailable()}, result{did: mint, fault: consent})
		if p.attempts != 1 || !p.since.Equal(after(time.Minute)) {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("slow answers do not stretch the rhythm", func(t *testing.T) {
		p, _ := noted(t, result{did: mint, fault: unavailable()})
		if p.next.After(after(5 * time.Second)) {
			t.Errorf("the attempt that started at noon and took ten seconds is repeated at %v, want 5 s after its start", p.next)
		}
	})
	t.Run("a wait that was asked for counts from the answer", func(t *testing.T) {
		p, _ := noted(t, result{did: mint, fault: &token.Fault{Reason: "Throttled", After: time.Minute}})
		if !p.next.Equal(after(70 * time.Second)) {
			t.Errorf("the next attempt is at %v, want 12:01:10", p.next)
		}
	})
	t.Run("waiting is no attempt", func(t *testing.T) {
		p, res := noted(t, result{did: mint, fault: unavailable()}, result{did: keep, fault: unavailable()})
		if p.attempts != 1 || !res.next.Equal(p.next) {
			t.Errorf("got %+v, next %v", p, res.next)
		}
	})
	t.Run("success ends the row", func(t *testing.T) {
		p, res := noted(t, result{did: mint, fault: unavailable()}, result{did: mint})
		if p.attempts != 0 || p.fault != nil || !p.next.IsZero() || !res.next.IsZero() {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("a failed write counts whatever was done", func(t *testing.T) {
		for _, did := range []verb{mint, move, empty, mark, remove} {
			if p, res := noted(t, result{did: did, fault: write}); p.attempts != 1 || res.next.IsZero() {
				t.Errorf("%s: got %+v, next %v", did, p, res.next)
			}
		}
	})
	t.Run("what an edit mends is not waited for", func(t *testing.T) {
		p, res := noted(t, result{did: mint, fault: denied()})
		if !res.next.IsZero() {
			t.Errorf("the next look is planned for %v", res.next)
		}
		// The edit wakes the object. It must find nothing that makes it wait.
		if !p.next.IsZero() {
			t.Errorf("the attempt after the edit waits until %v, and nothing would look again then", p.next)
		}
	})
}
