package tenant

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

func TestClassify_PutsTheSoonestFirst(t *testing.T) {
	for left, want := range map[time.Duration]urgency{
		-time.Hour: 40, 0: 40, time.Minute - 1: 40,
		time.Minute: 30, 10*time.Minute - 1: 30,
		10 * time.Minute: 20, 30*time.Minute - 1: 20,
		30 * time.Minute: 0, 24 * time.Hour: 0,
	} {
		if got := classify(left); got != want {
			t.Errorf("%v left: class %d, want %d", left, got, want)
		}
	}
}

func TestUrgency_HasAtMostEightClasses(t *testing.T) {
	classes := []urgency{urgencyIdle, urgencyFailing, urgencyNormal, urgencyNew, urgencySoon, urgencyDying, urgencyDead}
	if !slices.IsSorted(classes) || len(slices.Compact(classes)) > 8 {
		t.Errorf("got %v", classes)
	}
}

// shownWith is a tenant whose status says when its first token ends; zero: it has none.
func shownWith(name string, generation, observed int64, left time.Duration, now time.Time) *v1alpha1.DefenderTenant {
	tenant := someTenant()
	tenant.Name, tenant.Generation, tenant.Status.ObservedGeneration = name, generation, observed
	if left != 0 {
		at := metav1.NewTime(now.Add(left))
		tenant.Status.ExpiresAt = &at
	}
	return tenant
}

func TestHintOf_GuessesFromTheStatus(t *testing.T) {
	for name, row := range map[string]struct {
		generation, observed int64
		left                 time.Duration
		want                 urgency
	}{
		"never looked at":                    {1, -1, 0, urgencyNew},
		"edited while the operator was away": {2, 1, 50 * time.Minute, urgencyNew},
		"edited, and its token dies":         {2, 1, 5 * time.Minute, urgencyNew},
		"without a token":                    {1, 1, 0, urgencyFailing},
		"comfortable":                        {1, 1, 50 * time.Minute, urgencyIdle},
		"just comfortable":                   {1, 1, 30 * time.Minute, urgencyIdle},
		"soon":                               {1, 1, 29 * time.Minute, urgencySoon},
		"dying":                              {1, 1, 9 * time.Minute, urgencyDying},
		"at its end":                         {1, 1, 30 * time.Second, urgencyDead},
		"past its end":                       {1, 1, -time.Hour, urgencyDead},
		"a status of a later generation than the one": {1, 2, 50 * time.Minute, urgencyIdle},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hintOf(shownWith("contoso", row.generation, row.observed, row.left, noon()), noon()); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}

func TestUrgency_FollowsTheTokenThatEndsFirst(t *testing.T) {
	with := func(left time.Duration) result {
		h := goodHolding()
		h.life.ExpiresAt = after(left)
		return result{held: h}
	}
	marked := with(time.Minute)
	marked.held.State = v1alpha1.StateExpired
	drained := with(time.Minute)
	drained.held.HasToken = false
	for name, row := range map[string]struct {
		results []result
		want    urgency
	}{
		"nothing is held":                  {[]result{{}}, urgencyFailing},
		"a comfortable token":              {[]result{with(time.Hour)}, urgencyNormal},
		"a token that ends soon":           {[]result{with(20 * time.Minute)}, urgencySoon},
		"the first of several":             {[]result{with(time.Hour), with(5 * time.Minute), with(20 * time.Minute)}, urgencyDying},
		"a comfortable one and none":       {[]result{{}, with(time.Hour)}, urgencyNormal},
		"what ended makes no hurry":        {[]result{marked, drained}, urgencyFailing},
		"what ended beside a good token":   {[]result{marked, with(time.Hour)}, urgencyNormal},
		"a token within its last minute":   {[]result{with(30 * time.Second)}, urgencyDead},
		"a token whose end passed unheard": {[]result{with(-time.Hour)}, urgencyDead},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (outcome{results: row.results}).urgency(noon()); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}

// realQueue is the queue of production, which runs on the real clock: here on that of the
// bubble. Without a name it keeps no numbers.
func realQueue() priorityqueue.PriorityQueue[reconcile.Request] {
	return priorityqueue.New("", func(o *priorityqueue.Opts[reconcile.Request]) { o.Log = logr.Discard() })
}

// TestOrder_AtStartTheSoonestToEndAndTheNewComeFirst: with ten thousand comfortable objects in
// the first list, whoever has little time left, and whoever waits for a first token, comes
// before them all.
func TestOrder_AtStartTheSoonestToEndAndTheNewComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := realQueue()
		r := &Reconciler{Clock: clock.RealClock{}}
		now := r.Clock.Now()
		var all []*v1alpha1.DefenderTenant
		for i := range 10_000 {
			all = append(all, shownWith(fmt.Sprintf("comfortable-%05d", i), 1, 1, 50*time.Minute, now))
		}
		for i := range 5 {
			all = append(all,
				shownWith(fmt.Sprintf("new-%d", i), 1, -1, 0, now),
				shownWith(fmt.Sprintf("soon-%d", i), 1, 1, 20*time.Minute, now),
				shownWith(fmt.Sprintf("dying-%d", i), 1, 1, 5*time.Minute, now),
				shownWith(fmt.Sprintf("dead-%d", i), 1, 1, time.Second, now),
				shownWith(fmt.Sprintf("failing-%d", i), 1, 1, 0, now))
		}
		rand.New(rand.NewPCG(6, 2026)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		handler := r.onTenant()
		for _, tenant := range all {
			handler.Create(t.Context(), event.CreateEvent{Object: tenant, IsInInitialList: true}, q)
		}
		synctest.Wait()
		want := []string{"dead", "dying", "soon", "new", "failing", "comfortable"}
		place := 0
		for i := range len(all) {
			item, priority, _ := q.GetWithPriority()
			kind, _, _ := strings.Cut(item.Name, "-")
			for place < len(want)-1 && kind != want[place] {
				place++
			}
			if kind != want[place] {
				t.Fatalf("at place %d comes %s with class %d, after %s", i, item.Name, priority, want[place])
			}
			q.Done(item)
		}
		q.ShutDown()
		<-time.NewTimer(time.Hour).C // the bubble's clock: the queue's own timers end
	})
}

// TestOrder_AnUrgentEventOvertakesTheFlood: a revoked grant and a Secret that was deleted
// by hand come before ten thousand edits.
func TestOrder_AnUrgentEventOvertakesTheFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := realQueue()
		key := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "soc", Name: name} }
		for i := range 10_000 {
			add(q, key(fmt.Sprintf("edited-%05d", i)), urgencyNormal)
		}
		secret := filled()
		wakeOwner(q, secret, urgencyNew)
		add(q, key("revoked"), urgencyDead)
		add(q, key("edited-09999"), urgencySoon) // waits already, and is more urgent now
		synctest.Wait()
		for _, want := range []string{"revoked", "edited-09999", "contoso", "edited-00000", "edited-00001"} {
			item, _, _ := q.GetWithPriority()
			if item.Name != want {
				t.Errorf("got %s, want %s", item.Name, want)
			}
			q.Done(item)
		}
		if n := q.Len(); n != 9997 {
			t.Errorf("%d wait, want 9997: nothing may be in the queue twice", n)
		}
		q.ShutDown()
		<-time.NewTimer(time.Hour).C
	})
}

// look is one pass of the controller at an object.
type look struct {
	name string
	at   time.Duration // since the start of the bubble
}

// passes runs the real controller with one worker, which needs a second for each pass, and
// notes what it looks at.
type passes struct {
	mu      sync.Mutex
	started time.Time
	looks   []look
	answer  func(name string, looks int) ctrl.Result
}

func (p *passes) Reconcile(_ context.Context, request reconcile.Request) (ctrl.Result, error) {
	p.mu.Lock()
	before := 0
	for _, l := range p.looks {
		if l.name == request.Name {
			before++
		}
	}
	p.looks = append(p.looks, look{request.Name, time.Since(p.started)})
	p.mu.Unlock()
	<-time.NewTimer(time.Second).C
	return p.answer(request.Name, before), nil
}

// run starts the controller and returns when the bubble's clock has gone on by d.
func (p *passes) run(t *testing.T, d time.Duration, fill func(queue)) {
	t.Helper()
	skip := true
	logger := logr.Discard()
	c, err := controller.NewUnmanaged("order", controller.Options{
		Reconciler: p, SkipNameValidation: &skip, MaxConcurrentReconciles: 1,
		LogConstructor: func(*reconcile.Request) logr.Logger { return logger },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Watch(source.Func(func(_ context.Context, q queue) error { fill(q); return nil })); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.started = time.Now()
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	<-time.NewTimer(d).C
	cancel()
	<-time.NewTimer(time.Hour).C
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestOrder_ARequeueKeepsItsClass: the renewal of a token that ends soon is not held up by
// two hundred comfortable objects that became ready before it.
func TestOrder_ARequeueKeepsItsClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := goodSight()
		p := &passes{}
		p.answer = func(name string, looks int) ctrl.Result {
			if name != "contoso" || looks > 0 {
				return ctrl.Result{}
			}
			h := goodHolding()
			now := time.Now()
			h.life = token.Life{IssuedAt: now.Add(-52 * time.Minute), ExpiresAt: now.Add(8 * time.Minute)}
			s := goodSlot()
			s.held = h
			return wait(outcome{seen: seen, results: []result{{slot: s, did: mint, held: h, fault: unavailable(), next: now.Add(30 * time.Second)}}}, now)
		}
		p.run(t, 5*time.Minute, func(q queue) {
			add(q, types.NamespacedName{Namespace: "soc", Name: "contoso"}, urgencyNew)
			for i := range 200 {
				add(q, types.NamespacedName{Namespace: "soc", Name: fmt.Sprintf("flood-%03d", i)}, urgencyNormal)
			}
		})
		var at []time.Duration
		for _, l := range p.looks {
			if l.name == "contoso" {
				at = append(at, l.at)
			}
		}
		if len(p.looks) != 202 || len(at) != 2 {
			t.Fatalf("%d passes, of them %d of the urgent one, want 202 and 2", len(p.looks), len(at))
		}
		if at[0] > time.Second || at[1] < 31*time.Second || at[1] > 33*time.Second {
			t.Errorf("the urgent one was looked at after %v, want at once and after 31 s plus the pass under way", at)
		}
	})
}

// TestOrder_AComfortableObjectRisesWithItsToken: what starts in the lowest class does not
// stay there when its renewal comes.
func TestOrder_AComfortableObjectRisesWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &passes{}
		started := time.Now()
		life := token.Life{IssuedAt: started, ExpiresAt: started.Add(50 * time.Minute)}
		seen := goodSight()
		p.answer = func(name string, looks int) ctrl.Result {
			if name != "contoso" || looks > 1 {
				return ctrl.Result{}
			}
			h := goodHolding()
			h.life = life
			s := goodSlot()
			s.held = h
			return wait(outcome{seen: seen, results: []result{{slot: s, did: keep, held: h}}}, time.Now())
		}
		var q queue
		p.run(t, time.Hour, func(into queue) {
			q = into
			add(q, types.NamespacedName{Namespace: "soc", Name: "contoso"}, urgencyIdle)
			go func() { // five minutes of idle work, from before the renewal until after
				<-time.NewTimer(18 * time.Minute).C
				for i := range 900 {
					add(q, types.NamespacedName{Namespace: "soc", Name: fmt.Sprintf("idle-%03d", i)}, urgencyIdle)
				}
			}()
		})
		due := life.RefreshAt(50, identityOf(seen.tenant, "xdr")).Sub(started)
		var at []time.Duration
		for _, l := range p.looks {
			if l.name == "contoso" {
				at = append(at, l.at)
			}
		}
		if len(at) < 2 || at[1] < due || at[1] > due+2*time.Second {
			t.Errorf("looked at after %v; the renewal is due after %v", at, due)
		}
	})
}
