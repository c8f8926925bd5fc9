package secretview

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Queue is what a feed adds to.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// feed brings the events of all views into the queue of a controller.
type feed struct {
	views   *Views
	handler handler.EventHandler
	changed func(ctx context.Context, q Queue, namespace string)
	queue   Queue
}

// Feed is the source of a controller: its handler gets the events of every view, and changed is called with a
// namespace, or with none for all, when its Secrets come into view and when the rights there change.
func (v *Views) Feed(h handler.EventHandler, changed func(ctx context.Context, q Queue, namespace string)) source.SyncingSource {
	return &feed{views: v, handler: h, changed: changed}
}

// Start begins to feed.
func (f *feed) Start(_ context.Context, q Queue) error {
	f.queue = q
	f.views.mu.Lock()
	defer f.views.mu.Unlock()
	f.views.feed = f
	close(f.views.fed)
	return nil
}

// WaitForSync holds the controller back until the one view of all shows everything, or is refused. Where each
// namespace has its own view, nobody waits for another.
func (f *feed) WaitForSync(ctx context.Context) error {
	if f.views.PerNamespace {
		return nil
	}
	select {
	case <-f.views.of(metav1.NamespaceAll).decided:
	case <-ctx.Done():
	}
	return nil
}

// String is for logs.
func (*feed) String() string { return "Secrets in view" }

// drink brings the events of one cache, until ctx ends.
func (f *feed) drink(ctx context.Context, c cache.Cache) error {
	events := source.TypedKind(c, client.Object(&corev1.Secret{}), f.handler)
	if err := events.Start(ctx, f.queue); err != nil {
		return err
	}
	return events.WaitForSync(ctx)
}
