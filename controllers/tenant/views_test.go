package tenant

import (
	"context"
	"runtime"
	"testing"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/internal/secretview"
)

// inView shows all Secrets that a reader has.
func inView(t *testing.T, reader client.Reader) *secretview.Views {
	t.Helper()
	views := secretview.New(secretview.Options{
		Open: func(context.Context, string, func(error)) (cache.Cache, error) {
			return shownCache{reader: reader}, nil
		},
		Review: func(context.Context, string, []string) ([]string, error) { return nil, nil },
		Clock:  clock.RealClock{},
	})
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- views.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for views.Ready(nil) != nil {
		runtime.Gosched()
	}
	return views
}

// shownCache is a cache that was in sync from the beginning.
type shownCache struct {
	cache.Cache // the rest of the interface: nobody calls it
	reader      client.Reader
}

// Start has nothing to start.
func (shownCache) Start(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// GetInformer has none.
func (shownCache) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return nil, nil
}

// WaitForCacheSync need not wait.
func (shownCache) WaitForCacheSync(context.Context) bool { return true }

// List reads.
func (c shownCache) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return c.reader.List(ctx, list, options...)
}
