package health

import (
	"cmp"
	"container/heap"
	"maps"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// room is where visitors wait: those who are pressing first, by class; then all others, one
// namespace after the other; and within a namespace the highest class, then the token that
// ends first. So a namespace that makes much work for itself holds up nobody else.
type room struct {
	classes map[int]*class
	waiting map[types.NamespacedName]*waiter
}

// class is the pressing visitors of one urgency, or all that are not pressing.
type class struct {
	order  []string // namespaces, the next to be served first
	spaces map[string]*byEnd
}

// waiter is one visitor that waits.
type waiter struct {
	Visitor
	gone bool // it left, or waits elsewhere; dropped when it comes up
}

func newRoom() *room {
	return &room{classes: map[int]*class{}, waiting: map[types.NamespacedName]*waiter{}}
}

func (r *room) len() int { return len(r.waiting) }

// othersThan tells whether anybody else waits.
func (r *room) othersThan(key types.NamespacedName) bool {
	return len(r.waiting) > 1 || len(r.waiting) == 1 && r.waiting[key] == nil
}

// push lets a visitor wait. One that waits already keeps its place unless its urgency changed.
func (r *room) push(v Visitor) {
	if w := r.waiting[v.Key]; w != nil && w.Class == v.Class && w.Pressing == v.Pressing && w.ExpiresAt.Equal(v.ExpiresAt) {
		w.Visitor = v
		return
	}
	r.remove(v.Key)
	w := &waiter{Visitor: v}
	r.waiting[v.Key] = w
	rank := math.MinInt
	if v.Pressing {
		rank = v.Class
	}
	c := r.classes[rank]
	if c == nil {
		c = &class{spaces: map[string]*byEnd{}}
		r.classes[rank] = c
	}
	space := c.spaces[v.Key.Namespace]
	if space == nil {
		space = &byEnd{}
		c.spaces[v.Key.Namespace] = space
		c.order = append(c.order, v.Key.Namespace)
	}
	heap.Push(space, w)
}

func (r *room) remove(key types.NamespacedName) {
	if w := r.waiting[key]; w != nil {
		w.gone = true
		delete(r.waiting, key)
	}
}

// pop takes out whoever is next.
func (r *room) pop() (Visitor, bool) {
	for len(r.classes) > 0 {
		top := slices.Max(slices.Collect(maps.Keys(r.classes)))
		if w := r.classes[top].pop(); w != nil {
			delete(r.waiting, w.Key)
			return w.Visitor, true
		}
		delete(r.classes, top)
	}
	return Visitor{}, false
}

// pop serves the namespace whose turn it is and puts it last.
func (c *class) pop() *waiter {
	for len(c.order) > 0 {
		name := c.order[0]
		c.order = c.order[1:]
		space := c.spaces[name]
		for space.Len() > 0 {
			w := (*space)[0]
			heap.Pop(space)
			if w.gone {
				continue
			}
			c.order = append(c.order, name)
			return w
		}
		delete(c.spaces, name)
	}
	return nil
}

// canary takes out the visitor whose token ends first, of those that were not sent before if
// there are any: one tenant with a trouble of its own must not be the only one to try.
func (r *room) canary(probed map[types.NamespacedName]bool) (Visitor, bool) {
	var best *waiter
	for _, w := range r.waiting {
		if best == nil || before(w, best, probed) {
			best = w
		}
	}
	if best == nil {
		return Visitor{}, false
	}
	r.remove(best.Key)
	return best.Visitor, true
}

func before(a, b *waiter, probed map[types.NamespacedName]bool) bool {
	if probed[a.Key] != probed[b.Key] {
		return !probed[a.Key]
	}
	return sooner(a.Visitor, b.Visitor)
}

// sooner orders by the end of the token; who has none has nothing to lose and comes last.
func sooner(a, b Visitor) bool {
	if !a.ExpiresAt.Equal(b.ExpiresAt) {
		return !a.ExpiresAt.IsZero() && (b.ExpiresAt.IsZero() || a.ExpiresAt.Before(b.ExpiresAt))
	}
	return cmp.Or(cmp.Compare(a.Key.Namespace, b.Key.Namespace), cmp.Compare(a.Key.Name, b.Key.Name)) < 0
}

// drain takes everybody out.
func (r *room) drain() []Visitor {
	var all []Visitor
	for v, ok := r.pop(); ok; v, ok = r.pop() {
		all = append(all, v)
	}
	return all
}

// byEnd is a heap of the waiters of a namespace.
type byEnd []*waiter

func (h byEnd) Len() int { return len(h) }
func (h byEnd) Less(i, j int) bool {
	if h[i].Class != h[j].Class {
		return h[i].Class > h[j].Class
	}
	return sooner(h[i].Visitor, h[j].Visitor)
}
func (h byEnd) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are container/heap's.
func (h *byEnd) Push(x any) {
	if w, ok := x.(*waiter); ok {
		*h = append(*h, w)
	}
}

// Pop gives the last one.
func (h *byEnd) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	return last
}
