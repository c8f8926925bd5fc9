package simulate

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// day is what is to be lived.
type day struct {
	tenants  int
	seed     uint64
	scenario scenario
}

// world is one day in the making.
type world struct {
	day         day
	clocks      *clocks
	conductor   *conductor
	fleet       *fleet
	ledger      *ledger
	judge       *judge
	entra       *entra
	api         *api
	cache       *viewCache
	credentials *viewCache
	events      eventCounter
	ended       chan error
	running     int
	passes      int
}

func newWorld(d day) *world {
	w := &world{day: d, clocks: newClocks(), conductor: newConductor(), fleet: newFleet(d.tenants), ledger: newLedger(), ended: make(chan error, 1)}
	seed := chance(mix(d.seed))
	w.judge = newJudge(w.clocks, w.fleet, w.ledger, seed)
	w.entra = &entra{
		clocks: w.clocks, operators: w.clocks.operators().Now, conductor: w.conductor, chance: seed, scenario: d.scenario,
		fleet: w.fleet, ledger: w.ledger, limiter: rate.NewLimiter(requestRate, requestRate),
		asked: make([]int, d.tenants), known: make([]string, d.tenants),
	}
	w.api = &api{clocks: w.clocks, conductor: w.conductor, onSecret: w.judge.sees, objects: map[objectKey]client.Object{}}
	w.newViews()
	return w
}

// live goes through the day. It must be called in a bubble, and takes an hour more of the bubble's time, in which the
// queue's goroutines come to their end.
func (d day) live(ctx context.Context) (*world, error) {
	w := newWorld(d)
	if err := w.fleet.apply(ctx, w.api); err != nil {
		return nil, err
	}
	over := make(chan struct{})
	defer close(over)
	go w.conductor.conduct(over)
	running, stop := context.WithCancel(ctx)
	defer stop()
	if err := w.startOperator(running); err != nil {
		return nil, err
	}
	for n, s := range w.steps() {
		w.until(s.at)
		w.conductor.await(turnOfStep, int64(n))
		if err := s.do(ctx, w); err != nil {
			return nil, err
		}
	}
	w.judge.finish()
	stop()
	<-time.NewTimer(time.Hour).C
	for range w.running {
		if err := <-w.ended; err != nil {
			return nil, err
		}
	}
	return w, nil
}

// until lets time pass up to a moment of the day.
func (w *world) until(at time.Duration) {
	if left := at - w.clocks.elapsed(); left > 0 {
		<-time.NewTimer(left).C
	}
}

// step is something that happens at a moment of the day.
type step struct {
	at time.Duration
	do func(context.Context, *world) error
}

// steps are the beginnings and ends of the ordeals, and the end of the day.
func (w *world) steps() []step {
	all := []step{{dayLength, func(context.Context, *world) error { return nil }}}
	for _, o := range w.day.scenario.ordeals {
		var t *trial
		all = append(all,
			step{o.from, func(ctx context.Context, w *world) error {
				t = w.judge.begin(o)
				return o.started(ctx, w)
			}},
			step{o.to, func(ctx context.Context, w *world) error {
				w.judge.end(t)
				return o.ended(ctx, w)
			}})
	}
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (o ordeal) started(ctx context.Context, w *world) error {
	if o.begin == nil {
		return nil
	}
	return o.begin(ctx, w)
}

func (o ordeal) ended(ctx context.Context, w *world) error {
	if o.end == nil {
		return nil
	}
	return o.end(ctx, w)
}

// takingTurns makes the passes of one instant start one after another.
type takingTurns struct {
	orderlyQueue
	world *world
}

// newQueue is for controller.Options. Without a name the queue keeps no numbers.
func (w *world) newQueue(_ string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	queue := priorityqueue.New("", func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter })
	return &takingTurns{world: w, orderlyQueue: orderlyQueue{conductor: w.conductor, PriorityQueue: queue}}
}

// GetWithPriority is where a worker gets its work.
func (q *takingTurns) GetWithPriority() (item reconcile.Request, priority int, shutdown bool) {
	item, priority, shutdown = q.orderlyQueue.GetWithPriority()
	if !shutdown {
		q.conductor.await(turnOfPass, int64(q.world.fleet.byName[item.NamespacedName]))
		q.world.passes++
	}
	return item, priority, shutdown
}
