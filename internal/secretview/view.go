package secretview

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// pollInterval is how soon a right that comes is noticed.
	pollInterval = 15 * time.Second
	// retryInterval is how soon an API server is asked again that did not answer.
	retryInterval = time.Second
	// patience is how long an API server may take to answer.
	patience = 10 * time.Second
)

// view is what can be seen of a namespace, or of all.
type view struct {
	all       *Views
	namespace string
	doubt     chan struct{} // something was refused
	decided   chan struct{} // closed once it is known what can be seen
	once      sync.Once     // closes it

	// Guarded by all.mu.
	stop    context.CancelFunc // nil until it is started
	reader  client.Reader      // nil until the first look is complete
	missing []string           // verbs that the operator may not use
}

// run asks for the rights and looks as soon as they are there. It asks again when something is refused, and by and by
// while something is missing.
func (w *view) run(ctx context.Context) {
	var looking sync.WaitGroup
	defer looking.Wait()
	var shut context.CancelFunc
	for ctx.Err() == nil {
		missing, err := w.all.review(ctx, w.namespace)
		if err != nil {
			w.all.Log.V(1).Info("Could not ask which rights there are", "namespace", w.namespace, "cause", err.Error())
			w.await(ctx, retryInterval)
			continue
		}
		shut = w.follow(ctx, missing, shut, &looking)
		if len(missing) > 0 {
			w.await(ctx, pollInterval)
		} else {
			w.await(ctx, 0)
		}
	}
	if shut != nil {
		shut()
	}
}

// follow begins to look when the operator may, and ends that when it may not. shut ends what is under way, nil: nothing is.
func (w *view) follow(ctx context.Context, missing []string, shut context.CancelFunc, looking *sync.WaitGroup) context.CancelFunc {
	readable := !blind(missing)
	switch {
	case readable == (shut != nil):
		w.judge(ctx, missing)
		return shut
	case !readable:
		shut() // what it showed last can still be read
		w.judge(ctx, missing)
		return nil
	}
	w.forget()
	w.judge(ctx, missing)
	open, shut := context.WithCancel(ctx)
	looking.Go(func() { w.look(open, looking) })
	return shut
}

// await returns when something is refused, after the interval if that is not zero, and when ctx ends.
func (w *view) await(ctx context.Context, interval time.Duration) {
	var due <-chan time.Time
	if interval > 0 {
		timer := w.all.Clock.NewTimer(interval)
		defer timer.Stop()
		due = timer.C()
	}
	select {
	case <-ctx.Done():
	case <-w.doubt:
	case <-due:
	}
}

// suspect has the rights looked at again.
func (w *view) suspect() { signal(w.doubt) }

// forget takes what was seen away: it may be long past, and the next look is about to begin.
func (w *view) forget() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	w.reader = nil
}

// judge keeps which rights are missing, and tells if that changed.
func (w *view) judge(ctx context.Context, missing []string) {
	w.all.mu.Lock()
	same := slices.Equal(w.missing, missing)
	w.missing = missing
	w.all.mu.Unlock()
	if same {
		return
	}
	if len(missing) == 0 {
		w.all.Log.Info("Got the rights that were missing", "resource", "secrets", "namespace", orAll(w.namespace))
	} else {
		w.all.Log.Info("Missing rights", "verbs", missing, "resource", "secrets", "namespace", orAll(w.namespace))
	}
	if blind(missing) {
		w.once.Do(func() { close(w.decided) })
	}
	w.tell(ctx)
}

// look opens a cache, waits until it shows all that is there and lets it run.
func (w *view) look(ctx context.Context, looking *sync.WaitGroup) {
	c, err := w.all.Open(ctx, w.namespace, w.suspect)
	if err != nil {
		w.all.Log.Error(err, "Could not open a view of Secrets", "namespace", orAll(w.namespace))
		return
	}
	looking.Go(func() {
		if err := c.Start(ctx); err != nil {
			w.all.Log.Error(err, "A view of Secrets ended", "namespace", orAll(w.namespace))
		}
	})
	if !w.isInSync(ctx, c) {
		return
	}
	w.all.mu.Lock()
	w.reader = c
	w.all.mu.Unlock()
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

// isInSync waits until a cache shows everything, and tells whether it does.
func (*view) isInSync(ctx context.Context, c cache.Cache) bool {
	if _, err := c.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false)); err != nil {
		return false
	}
	return c.WaitForCacheSync(ctx)
}

// tell has the tenants looked at that the view is for.
func (w *view) tell(ctx context.Context) {
	w.all.mu.Lock()
	to := w.all.feed
	w.all.mu.Unlock()
	if to != nil {
		to.changed(ctx, to.queue, w.namespace)
	}
}
