package simulate

import (
	"cmp"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// conductor decides who goes first among those who want something at the same instant. Within an instant the bubble's
// goroutines run in any order; they announce themselves here instead of going on, and when all have come to rest, the
// conductor lets them go on one at a time, in an order that follows from who they are. So a day can be repeated.
type conductor struct {
	mu       sync.Mutex
	turns    []turn
	adds     []addition
	stirring chan struct{}
}

// The parts that take turns, in their order within an instant.
const (
	turnOfStep = iota // the scenario
	turnOfNews
	turnOfWatch
	turnOfPass
	turnOfAnswer
)

// turn is somebody who waits to go on.
type turn struct {
	part   int
	number int64 // among those of the part
	start  chan struct{}
}

// addition is something that is to be put into the queue.
type addition struct {
	queue   priorityqueue.PriorityQueue[reconcile.Request]
	options priorityqueue.AddOpts
	item    reconcile.Request
}

func newConductor() *conductor { return &conductor{stirring: make(chan struct{}, 1)} }

// await returns when it is this one's turn.
func (c *conductor) await(part int, number int64) {
	mine := turn{part: part, number: number, start: make(chan struct{})}
	c.mu.Lock()
	c.turns = append(c.turns, mine)
	c.mu.Unlock()
	c.stir()
	<-mine.start
}

func (c *conductor) add(a addition) {
	c.mu.Lock()
	c.adds = append(c.adds, a)
	c.mu.Unlock()
	c.stir()
}

func (c *conductor) stir() {
	select {
	case c.stirring <- struct{}{}:
	default:
	}
}

// conduct runs until the day is over.
func (c *conductor) conduct(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-c.stirring:
		}
		synctest.Wait()
		for c.next() {
			synctest.Wait()
		}
	}
}

// next lets the waiting work into the queue, or else one goroutine go on.
func (c *conductor) next() bool {
	c.mu.Lock()
	adds := c.adds
	c.adds = nil
	if len(adds) > 0 {
		c.mu.Unlock()
		slices.SortStableFunc(adds, func(a, b addition) int { return cmp.Compare(a.item.Name, b.item.Name) })
		for _, a := range adds {
			a.queue.AddWithOpts(a.options, a.item)
		}
		return true
	}
	defer c.mu.Unlock()
	if len(c.turns) == 0 {
		return false
	}
	first := 0
	for i, t := range c.turns {
		if cmp.Or(cmp.Compare(t.part, c.turns[first].part), cmp.Compare(t.number, c.turns[first].number)) < 0 {
			first = i
		}
	}
	close(c.turns[first].start)
	last := len(c.turns) - 1
	c.turns[first] = c.turns[last]
	c.turns = c.turns[:last]
	return true
}

// orderlyQueue is the real priority queue behind the conductor: what is added at the same instant goes in by name.
type orderlyQueue struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	conductor *conductor
}

// AddWithOpts is what the controller and the handlers use.
func (q *orderlyQueue) AddWithOpts(options priorityqueue.AddOpts, items ...reconcile.Request) {
	for _, item := range items {
		q.conductor.add(addition{queue: q.PriorityQueue, options: options, item: item})
	}
}

// Add puts something in at once.
func (q *orderlyQueue) Add(item reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, item) }

// AddAfter puts something in that becomes ready later.
func (q *orderlyQueue) AddAfter(item reconcile.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, item)
}

// AddRateLimited puts something in that failed.
func (q *orderlyQueue) AddRateLimited(item reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, item)
}
