package health_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

func TestEnter_TurnsStayUnderTheLimitWithinAnySecond(t *testing.T) {
	d := newDesk(t, 50, 1000)
	for i := range 2000 {
		d.Enter(d.visitor("soc", i), d.now)
	}
	var at []time.Time
	for range 20_000 { // 20 s in steps of a millisecond
		for range d.called() {
			at = append(at, d.now)
		}
		d.pass(time.Millisecond)
	}
	for i := range at {
		if j := i + 50; j < len(at) && at[j].Sub(at[i]) < time.Second {
			t.Fatalf("51 turns within %s", at[j].Sub(at[i]))
		}
	}
	if len(at) < 960 || len(at) > 1000 {
		t.Errorf("%d turns within 20 s at 50 a second, want at least 96 percent of 1000", len(at))
	}
}

func TestRoom_TheMostUrgentFirstThenOneNamespaceAfterTheOtherThenTheTokenThatEndsFirst(t *testing.T) {
	d := newDesk(t, 1, 64)
	d.ask(d.visitor("first", 0)) // takes the only turn of this second
	pressing := func(v *health.Visitor) { v.Class, v.Pressing = 30, true }
	for i := range 3 {
		d.waits(d.visitor("large", i, endsIn(d, time.Duration(30-i)*time.Minute)))
	}
	d.waits(d.visitor("small", 0))
	d.waits(d.visitor("large", 7, neverServed))
	d.waits(d.visitor("large", 8, pressing))
	for _, want := range []string{"large/tenant-008", "large/tenant-002", "small/tenant-000", "large/tenant-001", "large/tenant-000", "large/tenant-007"} {
		d.expectCalled()
		d.pass(1050 * time.Millisecond)
		d.expectCalled(want)
	}
}

func TestEnter_ACalledVisitorGetsItsTurnAndWhoEntersAgainWaitsOnce(t *testing.T) {
	d := newDesk(t, 1, 64)
	d.ask(d.visitor("soc", 0))
	late := d.visitor("soc", 1)
	d.waits(late)
	d.waits(late)
	if got := d.Of(login).Waiting; got != 1 {
		t.Errorf("waiting: %d, want 1", got)
	}
	d.pass(2 * time.Second)
	d.expectCalled("soc/tenant-001")
	d.ask(late)
	if got := d.Of(login).Waiting; got != 0 {
		t.Errorf("waiting: %d, want none", got)
	}
}

func TestCall_ATurnThatNobodyTakesGoesToTheNext(t *testing.T) {
	d := newDesk(t, 1, 64)
	d.ask(d.visitor("soc", 0))
	gone := d.visitor("soc", 1)
	d.waits(gone)
	d.pass(2 * time.Second)
	d.expectCalled("soc/tenant-001")
	d.Forget(gone.Key, d.now)
	d.pass(2 * time.Second)
	d.ask(d.visitor("soc", 3))
	d.waits(d.visitor("soc", 4))
	d.pass(2 * time.Second)
	d.expectCalled("soc/tenant-004")
	d.waits(d.visitor("soc", 5))
	d.pass(31 * time.Second) // unclaimed
	d.expectCalled("soc/tenant-005")
}

func TestBreaker_OpensWhenServedTenantsFailAndNobodySucceeds(t *testing.T) {
	for name, row := range map[string]struct {
		failures func(d *desk)
		open     bool
	}{
		"ten failures of ten served tenants": {func(d *desk) { fail(d, 10, 10) }, true},
		"ten failures of two served tenants": {func(d *desk) { fail(d, 10, 2) }, true},
		"nine failures":                      {func(d *desk) { fail(d, 9, 9) }, false},
		"a hundred failures of one tenant":   {func(d *desk) { fail(d, 100, 1) }, false},
		"a success between": {func(d *desk) {
			fail(d, 9, 9)
			d.ends(d.visitor("soc", 50), nil)
			fail(d, 9, 9)
		}, false},
		"an answer that refuses is a sign of life": {func(d *desk) {
			fail(d, 9, 9)
			d.ends(d.visitor("soc", 50), notConsented())
			fail(d, 9, 9)
		}, false},
		"nineteen tenants that were never served": {func(d *desk) { fail(d, 100, 19, neverServed) }, false},
		"twenty of them": {func(d *desk) { fail(d, 20, 20, neverServed) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, 50, 64)
			row.failures(d)
			if got := d.Of(login).Fault != nil; got != row.open {
				t.Errorf("open: %t, want %t", got, row.open)
			}
		})
	}
}

// fail makes n turns fail, of so many tenants.
func fail(d *desk, n, tenants int, changes ...func(*health.Visitor)) {
	d.t.Helper()
	for i := range n {
		d.ends(d.visitor("soc", i%tenants, changes...), hostAway())
		d.pass(time.Second)
	}
}

func TestBreaker_OneCanaryEveryFiveSecondsAsksForAll(t *testing.T) {
	d := newDesk(t, 50, 64)
	d.breakDown()
	for i := range 100 {
		told := d.told(d.visitor("soc", i, endsIn(d, time.Duration(100-i)*time.Minute)))
		if told == nil || told.Reason != "EntraUnavailable" || !told.Shared || told.TraceID != "" {
			t.Fatalf("told: %+v", told)
		}
	}
	probes := 0
	for range 25 * 60 { // 25 minutes
		for _, name := range d.called() {
			probes++
			var n int
			if _, err := fmt.Sscanf(name, "soc/tenant-%03d", &n); err != nil {
				t.Fatal(err)
			}
			if want := 100 - probes; probes <= 100 && n != want {
				t.Fatalf("probe %d is %s, want the token that ends first of those not sent yet, %d", probes, name, want)
			}
			d.ends(d.visitor("soc", n), hostAway())
			d.waits(d.visitor("soc", n))
		}
		d.pass(time.Second)
	}
	if probes < 290 || probes > 300 {
		t.Errorf("%d requests in 25 minutes, want at most one every five seconds", probes)
	}
}

func TestBreaker_ACanaryThatSucceedsLetsEverybodyInAgainAtAGrowingRate(t *testing.T) {
	d := newDesk(t, 50, 10_000)
	d.breakDown()
	for i := range 8000 {
		d.waits(d.visitor(fmt.Sprintf("team-%d", i%7), i))
	}
	d.pass(5 * time.Second)
	first := d.called()
	if len(first) != 1 {
		t.Fatalf("called while the breaker is open: %d, want one canary", len(first))
	}
	d.pass(100 * time.Millisecond)
	var n, team int
	if _, err := fmt.Sscanf(first[0], "team-%d/tenant-%d", &team, &n); err != nil {
		t.Fatal(err)
	}
	d.ends(d.visitor(fmt.Sprintf("team-%d", team), n), nil)
	perSecond := make([]int, 300)
	for i := range 3000 {
		d.pass(100 * time.Millisecond)
		perSecond[i/10] += len(d.called())
	}
	if perSecond[0] < 8 || perSecond[0] > 16 {
		t.Errorf("in the first second %d came, want about a quarter of the rate", perSecond[0])
	}
	if slices.Max(perSecond) > 50 {
		t.Errorf("%d came within a second, want at most 50", slices.Max(perSecond))
	}
	all, done := 0, 0
	for i, count := range perSecond {
		if all += count; all >= 7999 && done == 0 {
			done = i
		}
	}
	if all != 7999 || done > 200 {
		t.Errorf("%d of 7999 came, the last one after %d s; want all within 200 s", all, done)
	}
	if want := []string{login, login, login}; !slices.Equal(d.changed, want) { // first answer, open, closed
		t.Errorf("changes told: %v, want %v", d.changed, want)
	}
}

func TestBreaker_TenantsWithTroublesOfTheirOwnDoNotKeepItOpen(t *testing.T) {
	d := newDesk(t, 50, 64)
	bad := []health.Visitor{d.visitor("bad", 1, endsIn(d, time.Minute)), d.visitor("bad", 2, endsIn(d, 2*time.Minute))}
	for range 5 {
		for _, v := range bad {
			d.ends(v, hostAway())
			d.pass(time.Second)
		}
	}
	good := d.visitor("good", 1)
	d.waits(good)
	for _, v := range bad {
		d.waits(v)
	}
	for _, want := range []string{"bad/tenant-001", "bad/tenant-002"} {
		d.pass(5 * time.Second)
		d.expectCalled(want)
		v := bad[want[len(want)-1]-'1']
		d.ends(v, hostAway())
		d.waits(v)
	}
	d.pass(5 * time.Second)
	d.expectCalled("good/tenant-001")
	d.ends(good, nil)
	if d.Of(login).Fault != nil {
		t.Error("a success did not close the breaker")
	}
}

func TestThrottling_OfOneTenantIsItsOwnAffairOfTwoItIsEveryones(t *testing.T) {
	d := newDesk(t, 50, 64)
	for range 20 {
		d.ends(d.visitor("soc", 1), throttled(time.Minute))
		_, hold := d.Enter(d.visitor("soc", 1), d.now) // edited, or asked for by a person
		if hold == nil || hold.Fault.Reason != "Throttled" || !hold.Until.Equal(d.now.Add(time.Minute)) {
			t.Fatalf("who was told to wait a minute got %+v", hold)
		}
		d.pass(time.Minute)
	}
	for i := range 15 {
		d.ends(d.visitor("bad", i, neverServed), throttled(time.Minute))
		d.pass(time.Second)
	}
	if d.Of(login).Fault != nil {
		t.Fatal("one throttled customer and those never served stopped all")
	}
	d.ends(d.visitor("soc", 3), nil)
	d.pass(time.Second)
	d.ends(d.visitor("soc", 1), throttled(time.Minute))
	d.pass(time.Second)
	d.ends(d.visitor("soc", 2), throttled(90*time.Second))
	if told := d.told(d.visitor("soc", 4)); told == nil || told.Reason != "Throttled" {
		t.Fatalf("told: %+v", told)
	}
	d.pass(89 * time.Second)
	d.expectCalled()
	d.pass(time.Second)
	d.expectCalled("soc/tenant-004")
	d.ends(d.visitor("soc", 4), throttled(2*time.Minute))
	d.waits(d.visitor("soc", 5))
	d.pass(119 * time.Second)
	d.expectCalled()
	d.pass(time.Second)
	d.expectCalled("soc/tenant-005")
}

func TestThrottling_TheRateRecoversByAddition(t *testing.T) {
	d := newDesk(t, 60, 1000)
	for i := range 2 {
		d.ends(d.visitor("soc", i), throttled(time.Minute))
		d.pass(time.Second)
	}
	d.pass(time.Minute)
	d.ends(d.visitor("soc", 2), nil)
	for i := range 5000 {
		d.Enter(d.visitor("soc", 10+i), d.now)
	}
	var perSecond []int
	for range 90 {
		n := 0
		for range 20 {
			d.pass(50 * time.Millisecond)
			n += len(d.called())
		}
		perSecond = append(perSecond, n)
	}
	// A quarter of 60, and one more each second.
	for second, want := range map[int]int{0: 15, 10: 25, 20: 35, 44: 57, 80: 57} {
		if got := perSecond[second]; got < want-2 || got > want+3 {
			t.Errorf("in second %d: %d turns, want about %d", second, got, want)
		}
	}
}

func TestRefused_OneCanaryEveryThirtySecondsUntilTheCredentialIsAccepted(t *testing.T) {
	d := newDesk(t, 50, 64)
	d.ends(d.visitor("soc", 0, refusedApp), credentialRefused()) // who comes first is the canary
	for i := 1; i < 5; i++ {
		if told := d.told(d.visitor("soc", i, refusedApp, endsIn(d, time.Duration(10-i)*time.Minute))); told == nil || told.Reason != "CredentialRefused" || !told.Shared {
			t.Fatalf("told: %+v", told)
		}
	}
	other := d.visitor("soc", 6, func(v *health.Visitor) { v.App = "another" })
	d.ends(other, nil) // another application goes on
	d.pass(29 * time.Second)
	d.expectCalled()
	d.pass(time.Second)
	d.expectCalled("soc/tenant-004")
	d.ends(d.visitor("soc", 4, refusedApp), notConsented()) // says nothing of the credential
	d.pass(4 * time.Second)
	d.expectCalled()
	d.pass(time.Second)
	d.expectCalled("soc/tenant-003")
	d.ends(d.visitor("soc", 3, refusedApp), credentialRefused())
	d.Reconsider("partner") // a new one was stored
	d.expectCalled("soc/tenant-002")
	d.ends(d.visitor("soc", 2, refusedApp), nil)
	d.expectCalled("soc/tenant-001")
	d.ask(d.visitor("soc", 1))
}

func TestSlow_TenantsShareAQuarterOfTheWorkers(t *testing.T) {
	d := newDesk(t, 1000, 8)
	for i := range 100 { // what is usual
		turn := d.ask(d.visitor("quick", i))
		d.pass(100 * time.Millisecond)
		d.Leave(turn, nil, d.now)
	}
	var first []health.Turn
	for i := range 4 {
		first = append(first, d.ask(d.visitor("slow", i)))
	}
	d.pass(10 * time.Second)
	for _, turn := range first {
		d.Leave(turn, hostAway(), d.now)
	}
	d.ends(d.visitor("quick", 1), nil)
	a, b := d.ask(d.visitor("slow", 0)), d.ask(d.visitor("slow", 1))
	d.waits(d.visitor("slow", 2))
	d.waits(d.visitor("slow", 3))
	for i := range 50 {
		d.ends(d.visitor("quick", i), nil) // nobody else waits for them
	}
	d.expectCalled()
	d.pass(time.Second)
	d.Leave(a, nil, d.now) // it became quick
	d.expectCalled("slow/tenant-002")
	d.ask(d.visitor("slow", 0))
	d.Leave(b, nil, d.now)
	d.expectCalled("slow/tenant-003")
}

func TestSlow_WhenAllAreSlowNobodyIs(t *testing.T) {
	d := newDesk(t, 1000, 8)
	for range 20 {
		var turns []health.Turn
		for i := range 8 {
			turns = append(turns, d.ask(d.visitor("soc", i)))
		}
		d.pass(5 * time.Second)
		for _, turn := range turns {
			d.Leave(turn, nil, d.now)
		}
	}
	for i := range 8 {
		d.ask(d.visitor("soc", i))
	}
}

func TestDecline_CostsNothing(t *testing.T) {
	d := newDesk(t, 2, 64)
	for range 10 {
		d.Decline(d.ask(d.visitor("soc", 0)))
	}
	d.breakDown()
	d.waits(d.visitor("soc", 1))
	d.pass(5 * time.Second)
	d.expectCalled("soc/tenant-001")
	d.Decline(d.ask(d.visitor("soc", 1)))
	d.waits(d.visitor("soc", 1))
	d.pass(5 * time.Second)
	d.expectCalled("soc/tenant-001")
}

func TestCharge_CountsRequestsBeyondATurn(t *testing.T) {
	d := newDesk(t, 1, 64)
	d.ask(d.visitor("soc", 0))
	d.Charge(login)
	d.waits(d.visitor("soc", 1))
	d.pass(1500 * time.Millisecond)
	d.expectCalled()
	d.pass(time.Second)
	d.expectCalled("soc/tenant-001")
}

func TestClock_AJumpBackHoldsNobodyUp(t *testing.T) {
	d := newDesk(t, 50, 64)
	d.breakDown()
	d.waits(d.visitor("soc", 1))
	d.pass(-2 * time.Hour)
	if got := d.called(); len(got) != 1 {
		t.Fatalf("called after the jump: %v, want the canary", got)
	}
	d.ends(d.visitor("soc", 1), nil)
	d.waits(d.visitor("soc", 2))
	d.pass(time.Second)
	d.expectCalled("soc/tenant-002")

	d.ends(d.visitor("soc", 2), nil)
	d.ends(d.visitor("soc", 3, refusedApp), credentialRefused())
	d.pass(-2 * time.Hour)
	d.ask(d.visitor("soc", 4, refusedApp))
}

// TestNobodyIsLost drives everything at random: who entered and was neither served nor
// forgotten is waiting, called or asking, and in the end everybody was served.
func TestNobodyIsLost(t *testing.T) {
	for seed := range uint64(200) {
		d := newDesk(t, 5, 8)
		random := rand.New(rand.NewPCG(seed, 2026))
		wanting, asking := map[types.NamespacedName]health.Visitor{}, map[types.NamespacedName]health.Turn{}
		resting := map[types.NamespacedName]time.Time{}
		outcomes := []*token.Fault{nil, nil, hostAway(), throttled(time.Minute), credentialRefused(), notConsented()}
		enter := func(v health.Visitor) {
			turn, hold := d.Enter(v, d.now)
			switch delete(resting, v.Key); {
			case hold == nil:
				asking[v.Key] = turn
			case !hold.Until.IsZero():
				resting[v.Key] = hold.Until
			}
		}
		step := func(good bool) {
			visitors, _ := d.Call(d.now)
			for _, v := range visitors {
				if len(asking) < 8 {
					enter(wanting[v.Key])
				}
			}
			for key, until := range resting {
				if !d.now.Before(until) {
					enter(wanting[key])
				}
			}
			for key, turn := range asking {
				outcome := outcomes[random.IntN(len(outcomes))]
				if good {
					outcome = nil
				}
				d.Leave(turn, outcome, d.now)
				delete(asking, key)
				if outcome == nil {
					delete(wanting, key)
				} else {
					enter(wanting[key])
				}
			}
			d.pass(time.Duration(random.IntN(4000)) * time.Millisecond)
		}
		for i := range 60 {
			v := d.visitor(fmt.Sprintf("team-%d", i%3), i)
			if random.IntN(3) == 0 {
				refusedApp(&v)
			}
			wanting[v.Key] = v
			enter(v)
			step(false)
		}
		for i := 0; i < 2000 && len(wanting) > 0; i++ {
			step(true)
		}
		if len(wanting) > 0 || d.Of(login).Waiting > 0 {
			t.Fatalf("seed %d: %d were never served, %d wait", seed, len(wanting), d.Of(login).Waiting)
		}
	}
}

func TestEnter_WhoLooksAgainKeepsItsPlace(t *testing.T) {
	d := newDesk(t, 1, 64)
	d.ask(d.visitor("soc", 0))
	for range 1000 {
		d.waits(d.visitor("soc", 1))
		d.waits(d.visitor("soc", 2))
	}
	d.pass(1100 * time.Millisecond)
	d.expectCalled("soc/tenant-001")
	d.Withdraw(d.visitor("soc", 1).Key)
	d.pass(1100 * time.Millisecond)
	d.expectCalled("soc/tenant-002")
	if got := d.Of(login).Waiting; got != 0 {
		t.Errorf("waiting: %d, want none", got)
	}
}

func TestThrottling_OneCustomerCostsTheOthersNothing(t *testing.T) {
	d := newDesk(t, 50, 1000)
	d.ends(d.visitor("good", 0), nil)
	for range 8 {
		d.ends(d.visitor("bad", 1, neverServed), throttled(time.Second))
		d.pass(time.Second)
	}
	for i := range 600 {
		d.Enter(d.visitor("good", i), d.now)
	}
	turns := 0
	for range 200 {
		d.pass(50 * time.Millisecond)
		turns += len(d.called())
	}
	if turns < 450 {
		t.Errorf("the others got %d turns in 10 s at 50 a second", turns)
	}
}

func TestThrottling_OfManyAmongSuccessesSlowsDown(t *testing.T) {
	d := newDesk(t, 50, 1000)
	for i := range 6 {
		d.ends(d.visitor("soc", i), throttled(time.Minute))
		d.pass(time.Second)
		d.ends(d.visitor("good", i), nil)
	}
	if d.Of(login).Fault != nil {
		t.Fatal("successes in between, and yet everybody is held back")
	}
	for i := range 600 {
		d.Enter(d.visitor("good", 100+i), d.now)
	}
	turns := 0
	for range 20 {
		d.pass(50 * time.Millisecond)
		turns += len(d.called())
	}
	if turns > 20 {
		t.Errorf("%d turns in the second after six customers were throttled within six seconds, want a slower rate", turns)
	}
}

// TestRoom_ANamespaceInALoopStarvesNobody: its objects are new again after each edit, and come
// before what else it wants, but not before others.
func TestRoom_ANamespaceInALoopStarvesNobody(t *testing.T) {
	d := newDesk(t, 10, 8)
	class := func(n int) func(*health.Visitor) { return func(v *health.Visitor) { v.Class = n } }
	for i := range 400 {
		d.Enter(d.visitor("loop", i, neverServed, class(10)), d.now)
	}
	d.waits(d.visitor("quiet", 1, neverServed, class(-10)))
	for range 20 {
		d.pass(100 * time.Millisecond)
		if slices.Contains(d.called(), "quiet/tenant-001") {
			return
		}
	}
	t.Error("the other namespace got no turn within two seconds")
}

// TestBreaker_WhatWasNeverSentSaysNothing: an application whose vault is away as well.
func TestBreaker_WhatWasNeverSentSaysNothing(t *testing.T) {
	vaultAway := credentialRefused()
	vaultAway.Unsent = true
	d := newDesk(t, 50, 64)
	for i := range 20 {
		d.ends(d.visitor("soc", i), hostAway())
		if d.Of(login).Fault != nil {
			break
		}
		d.ends(d.visitor("vaulted", i), vaultAway)
		d.pass(time.Second)
	}
	if d.Of(login).Fault == nil {
		t.Fatal("the breaker did not open")
	}
	d.waits(d.visitor("vaulted", 1))
	d.pass(10 * time.Second)
	d.expectCalled("vaulted/tenant-001")
	d.ends(d.visitor("vaulted", 1), vaultAway)
	if d.Of(login).Fault == nil {
		t.Error("a request that was never sent closed the breaker")
	}
}

func TestBreaker_NeverServedTenantsDoNotOpenItWhileOthersAreServed(t *testing.T) {
	d := newDesk(t, 50, 64)
	d.ends(d.visitor("good", 1), nil)
	fail(d, 100, 50, neverServed)
	if d.Of(login).Fault != nil {
		t.Error("tenants that were never served stopped the others")
	}
}

// TestRefused_ACanaryThatMovesAwayIsReplaced: its DefenderTenant names another application now.
func TestRefused_ACanaryThatMovesAwayIsReplaced(t *testing.T) {
	d := newDesk(t, 50, 8)
	d.ends(d.visitor("soc", 3, refusedApp), credentialRefused())
	d.waits(d.visitor("soc", 1, refusedApp))
	d.waits(d.visitor("soc", 2, refusedApp))
	d.pass(30 * time.Second)
	d.expectCalled("soc/tenant-001")
	d.ends(d.visitor("soc", 1, func(v *health.Visitor) { v.App = "another" }), nil)
	d.expectCalled("soc/tenant-002")
}
