package tenant

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// apiPatience bounds each call to the API server. It answers within a second or not at all: a connection
	// that hangs must not hold a worker, and etcd that is slow to elect a leader gets its time.
	apiPatience = 10 * time.Second
	// farewell is how long a pass may go on after the manager was told to stop: what Entra ID was asked for
	// is stored, and the next replica leads within two seconds all the same.
	farewell = 1500 * time.Millisecond
)

// patiently makes one call to the API server.
func patiently(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()
	return call(ctx)
}

// readLive reads what only the API server has.
func (r *Reconciler) readLive(ctx context.Context, key client.ObjectKey, secret *corev1.Secret) error {
	return patiently(ctx, func(ctx context.Context) error { return r.Live.Get(ctx, key, secret) })
}

// outlast gives a context that ends a little after ctx, so that what has begun is finished.
func (r *Reconciler) outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := r.Clock.NewTimer(farewell)
		defer timer.Stop()
		select {
		case <-timer.C():
			cancel(context.Cause(ctx))
		case <-lasting.Done():
		}
	})
	return lasting, func() {
		stop()
		cancel(nil)
	}
}
