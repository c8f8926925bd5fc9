package secretview

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// look is one cache from its beginning to its end; nil is none.
type look struct {
	cancel context.CancelFunc
	over   chan struct{} // closed when it ends by itself
}

// end has it end.
func (l *look) end() {
	if l != nil {
		l.cancel()
	}
}

// ended is closed when it ended by itself.
func (l *look) ended() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.over
}

// begin looks, until ctx ends or the look does.
func (w *view) begin(ctx context.Context, looking *sync.WaitGroup) *look {
	open, cancel := context.WithCancel(ctx)
	l := &look{cancel: cancel, over: make(chan struct{})}
	looking.Go(func() {
		defer cancel()
		w.look(open)
		if open.Err() == nil {
			close(l.over)
		}
	})
	return l
}

// look opens a cache, shows it once it has all that is there, and lets it run.
func (w *view) look(ctx context.Context) {
	c, err := w.all.Open(ctx, w.namespace, w.refused)
	if err != nil {
		w.all.Log.Error(err, "Could not open a view of Secrets", "namespace", orAll(w.namespace))
		return
	}
	inTime, cancel := context.WithCancel(ctx)
	var showing sync.WaitGroup
	defer showing.Wait()
	defer cancel()
	showing.Go(func() { w.show(inTime, c) })
	if err := c.Start(ctx); err != nil {
		w.all.Log.Error(err, "A view of Secrets ended", "namespace", orAll(w.namespace))
	}
}

// show lets a cache be read as soon as it has everything, and brings its events.
func (w *view) show(ctx context.Context, c cache.Cache) {
	if !w.isInSync(ctx, c) {
		return
	}
	if !w.shows(ctx, c) {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-w.all.fed: // a replica that stands by waits here
	}
	if err := w.all.feed.drink(ctx, c); err != nil {
		w.all.Log.Error(err, "Could not watch Secrets", "namespace", orAll(w.namespace))
	}
	w.tell(ctx)
	w.once.Do(func() { close(w.decided) })
}

// shows lets a cache be read, unless it was ended meanwhile. The rights to look are there, even if nobody may ask.
func (w *view) shows(ctx context.Context, c cache.Cache) bool {
	w.all.mu.Lock()
	if ctx.Err() != nil {
		w.all.mu.Unlock()
		return false
	}
	w.reader = c
	missing := slices.DeleteFunc(slices.Clone(w.missing), isToLook)
	changed := w.keep(missing)
	w.all.mu.Unlock()
	if changed {
		w.announce(ctx, missing)
	}
	return true
}

// isInSync waits until a cache shows everything, and tells whether it does.
func (*view) isInSync(ctx context.Context, c cache.Cache) bool {
	if _, err := c.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false)); err != nil {
		return false
	}
	return c.WaitForCacheSync(ctx)
}
