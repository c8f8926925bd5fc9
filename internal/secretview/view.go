package secretview

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// pollInterval is how soon a right that comes is noticed while somebody is likely to be at it, lazyInterval later.
	pollInterval = 15 * time.Second
	lazyInterval = time.Minute
	// busy is how long somebody is likely to be at it.
	busy = 10 * time.Minute
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
	idle    bool               // the last round found no tenant, and nobody looked since
	reader  client.Reader      // nil until the first look is complete
	missing []string           // verbs that the operator may not use
	since   time.Time          // when the last change of those was
	denied  string             // list or watch, if that was refused since the rights were asked for
}

// run asks for the rights and looks as soon as they are there. It asks again when something is refused, and by and by
// while something is missing.
func (w *view) run(ctx context.Context) {
	var looking sync.WaitGroup
	defer looking.Wait()
	var open *look
	defer func() { open.end() }()
	unheard := false
	for ctx.Err() == nil {
		missing, readable, err := w.ask(ctx)
		if err != nil {
			level := w.all.Log
			if unheard {
				level = level.V(1)
			}
			level.Info("Could not ask which rights there are", "namespace", orAll(w.namespace), "cause", err.Error())
			unheard = true
			w.await(ctx, retryInterval, nil)
			continue
		}
		unheard = false
		open = w.follow(ctx, missing, readable, open, &looking)
		if w.await(ctx, w.interval(), open) {
			open = nil
			w.await(ctx, retryInterval, nil) // and then look anew
		}
	}
}

// ask tells which verbs are missing, and whether to look. Where it may not ask it has to try: it looks until that is
// refused, and again after a while.
func (w *view) ask(ctx context.Context) (missing []string, readable bool, err error) {
	w.all.mu.Lock()
	known, denied := w.missing, w.denied
	w.denied = ""
	w.all.mu.Unlock()
	missing, err = w.all.rights(ctx, w.namespace, known)
	switch {
	case err == nil:
		return missing, !blind(missing), nil
	case !apierrors.IsForbidden(err):
		return nil, false, err
	case denied != "":
		missing, readable = []string{denied}, false
	default:
		missing, readable = slices.DeleteFunc(slices.Clone(known), func(verb string) bool { return !isToLook(verb) }), true // until it turns out otherwise
	}
	w.all.unanswered(err)
	return missing, readable, nil
}

// refused notes that the API server did not let a cache look.
func (w *view) refused(err error) {
	w.all.mu.Lock()
	w.denied = cmp.Or(refusedVerb(err), "list")
	w.all.mu.Unlock()
	w.suspect()
}

// follow begins to look when the operator may, and ends that when it may not. open is under way, nil: nothing is.
func (w *view) follow(ctx context.Context, missing []string, readable bool, open *look, looking *sync.WaitGroup) *look {
	switch {
	case !readable:
		open.end() // what it showed last can still be read
		w.judge(ctx, missing)
		return nil
	case open != nil:
		w.judge(ctx, missing)
		return open
	case !blind(missing):
		w.forget()
	}
	w.judge(ctx, missing)
	return w.begin(ctx, looking)
}

// interval is how long to wait before asking again, zero if something has to happen before.
func (w *view) interval() time.Duration {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	switch {
	case len(w.missing) == 0:
		return 0
	case w.all.Clock.Since(w.since) < busy:
		return pollInterval
	}
	return lazyInterval
}

// await returns when something is refused, after the interval if that is not zero, and when ctx ends. It tells whether
// a look ended by itself.
func (w *view) await(ctx context.Context, interval time.Duration, open *look) (ended bool) {
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
	case <-open.ended():
		return true
	}
	return false
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
	changed := w.keep(missing)
	w.all.mu.Unlock()
	if changed {
		w.announce(ctx, missing)
	}
}

// keep is judge for whoever holds all.mu, and leaves it to them to tell.
func (w *view) keep(missing []string) (changed bool) {
	changed = !slices.Equal(w.missing, missing)
	w.missing = missing
	if changed {
		w.since = w.all.Clock.Now()
	}
	return changed
}

// announce tells of other rights than before.
func (w *view) announce(ctx context.Context, missing []string) {
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

// tell has the tenants looked at that the view is for.
func (w *view) tell(ctx context.Context) {
	w.all.mu.Lock()
	to := w.all.feed
	w.all.mu.Unlock()
	if to != nil {
		to.changed(ctx, to.queue, w.namespace)
	}
}
