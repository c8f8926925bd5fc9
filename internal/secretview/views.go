// Package secretview shows the operator's Secrets as far as its rights reach: with one view of all
// namespaces, or with one for each namespace that needs it. A namespace that refuses holds up nobody else.
package secretview

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/internal/token"
)

// atATime bounds how many namespaces ask for their rights at the same time.
const atATime = 8

// Options are what Views needs.
type Options struct {
	// PerNamespace makes one view for each namespace instead of one of all.
	PerNamespace bool
	// Open makes the cache of a namespace, of all if that is empty. It calls refused when the API server does not let
	// it list or watch.
	Open func(ctx context.Context, namespace string, refused func(error)) (cache.Cache, error)
	// Review asks which of some verbs the operator may not use on Secrets there.
	Review func(ctx context.Context, namespace string, verbs []string) (missing []string, err error)
	// Account is the operator's service account, for those who have to give it rights.
	Account types.NamespacedName
	// Clock paces.
	Clock clock.WithTicker
	// Log tells of each change of rights once.
	Log logr.Logger
}

// Views are all views.
type Views struct {
	Options
	knock  chan struct{} // there is a view to start
	asking chan struct{} // held while rights are asked for
	silent sync.Once     // tells that nobody answers

	mu    sync.Mutex
	views map[string]*view
	feed  *feed         // nil until a controller wants events
	fed   chan struct{} // closed then
}

// New makes views that nobody has looked through yet.
func New(o Options) *Views {
	return &Views{
		Options: o, knock: make(chan struct{}, 1), asking: make(chan struct{}, atATime),
		views: map[string]*view{}, fed: make(chan struct{}),
	}
}

// NeedLeaderElection lets a replica that stands by look already, so that it need not begin with that.
func (*Views) NeedLeaderElection() bool { return false }

// Start keeps the views until ctx ends.
func (v *Views) Start(ctx context.Context) error {
	if !v.PerNamespace {
		v.of(metav1.NamespaceAll)
	}
	var running sync.WaitGroup
	defer running.Wait()
	for {
		v.mu.Lock()
		for _, w := range v.views {
			if w.stop == nil {
				var inView context.Context
				inView, w.stop = context.WithCancel(ctx)
				running.Go(func() { w.run(inView) })
			}
		}
		v.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-v.knock:
		}
	}
}

// In gives what can be seen of a namespace: nil if that is not known yet, or if the operator may not look. What it may
// not do there is given, too; what was seen before a right to look went stays in sight. Both become known to the feed.
func (v *Views) In(namespace string) (client.Reader, *Lack) {
	w := v.of(namespace)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(w.missing) > 0 {
		return w.reader, &Lack{Verbs: w.missing, Fault: v.fault(namespace, w.missing)}
	}
	return w.reader, nil
}

// Ready fails until it is known what the view of all shows, or that it may not. Views of single namespaces come and go.
func (v *Views) Ready(*http.Request) error {
	if v.PerNamespace {
		return nil
	}
	w := v.of(metav1.NamespaceAll)
	v.mu.Lock()
	defer v.mu.Unlock()
	if w.reader == nil && !blind(w.missing) {
		return errors.New("the Secrets do not show yet")
	}
	return nil
}

// Refused looks for the reason when the API server refused to read or write a Secret. It gives no fault if that is not
// for want of a right, and an error if that cannot be told.
func (v *Views) Refused(ctx context.Context, namespace string, refusal error) (*token.Fault, error) {
	w, verb := v.of(namespace), refusedVerb(refusal)
	_, lack := v.In(namespace)
	if fault := lack.Of(verb); fault != nil {
		return fault, nil
	}
	missing, err := v.review(ctx, w.namespace, needed())
	switch {
	case apierrors.IsForbidden(err) && verb != "":
		v.unanswered(err)
		fault := v.fault(namespace, []string{verb})
		fault.Cure = token.ByRetry // nobody can ask whether it came
		return fault, nil
	case err != nil:
		return nil, err
	case len(missing) == 0:
		return nil, nil
	}
	w.judge(ctx, missing)
	w.suspect()
	_, lack = v.In(namespace)
	return lack.Of(verb), nil
}

// Keep has a view of each of these namespaces, and of no other. One that is new may be of a tenant that whoever counted
// them did not know yet, so that a view goes when nobody wanted it for two rounds.
func (v *Views) Keep(namespaces map[string]bool) {
	if !v.PerNamespace {
		return
	}
	for namespace := range namespaces {
		v.of(namespace)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for namespace, w := range v.views {
		switch {
		case namespaces[namespace]:
		case !w.idle:
			w.idle = true
		default:
			delete(v.views, namespace)
			if w.stop != nil {
				w.stop()
			}
		}
	}
}

// List gives all Secrets that are in view. Nobody may change them.
func (v *Views) List(ctx context.Context) ([]corev1.Secret, error) {
	v.mu.Lock()
	var readers []client.Reader
	for _, w := range v.views {
		if w.reader != nil {
			readers = append(readers, w.reader)
		}
	}
	v.mu.Unlock()
	var all []corev1.Secret
	for _, reader := range readers {
		var list corev1.SecretList
		if err := reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		if all == nil {
			all = list.Items // the only one, where one view shows all
			continue
		}
		all = append(all, list.Items...)
	}
	return all, nil
}

// of finds the view of a namespace, or has one started.
func (v *Views) of(namespace string) *view {
	if !v.PerNamespace {
		namespace = metav1.NamespaceAll
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.views[namespace]
	if w == nil {
		w = &view{all: v, namespace: namespace, doubt: make(chan struct{}, 1), decided: make(chan struct{})}
		v.views[namespace] = w
		signal(v.knock)
	}
	w.idle = false
	return w
}

// review asks, and lets the API server take a breath where many ask.
func (v *Views) review(ctx context.Context, namespace string, verbs []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case v.asking <- struct{}{}:
		defer func() { <-v.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return v.Review(ctx, namespace, verbs)
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is about to look anyway
	}
}
