package simulate

import (
	"context"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/controllers/tenant"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/secretview"
	"github.com/defender-tenant/operator/internal/token"
)

// workers are the operator's default.
const workers = 64

// newReconciler builds the reconciler as cmd/manager does.
func (w *world) newReconciler() *tenant.Reconciler {
	shared := health.New(health.Options{RequestsPerSecond: requestRate, Workers: workers})
	w.entra.discovering = func() { shared.Charge(cloud.Catalog{}.Login(v1alpha1.CloudPublic).Host()) }
	changed := func(app string) {
		shared.Reconsider(app)
		w.conductor.await(turnOfNews, 0) // whoever is called now goes before the pass that brought the news
	}
	return &tenant.Reconciler{
		Health: shared,
		Client: &apiClient{viewCache: w.cache, api: w.api},
		Live:   w.api,
		Secrets: secretview.New(secretview.Options{
			Open: func(ctx context.Context, _ string, _ func(error)) (cache.Cache, error) {
				return w.cache, tenant.IndexSecrets(ctx, w.cache)
			},
			Review: func(context.Context, string, []string) ([]string, error) { return nil, nil }, // everything is allowed
			Clock:  w.clocks.operators(),
		}),
		Tokens:  w.entra,
		Keyring: &keyring.Keyring{Secrets: w.credentials, Namespace: ownNamespace, Changed: changed},
		Gate:    token.Gate{MinLifetime: token.DefaultMinLifetime},
		Clock:   w.clocks.operators(),
		Events:  &w.events,
	}
}

// startOperator wires and starts the controller as cmd/manager does. It ends with the context.
func (w *world) startOperator(ctx context.Context) error {
	mgr := &inMemoryManager{cache: w.cache}
	options := controller.Options{
		MaxConcurrentReconciles: workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, 30*time.Second),
		NewQueue:                w.newQueue,
	}
	if err := w.newReconciler().Setup(ctx, mgr, w.credentials, options); err != nil {
		return err
	}
	for _, runnable := range mgr.runnables {
		go func() { w.ended <- runnable.Start(ctx) }()
	}
	w.running = len(mgr.runnables)
	return nil
}

// newViews are the caches of the operator, with the selections that cmd/manager sets up.
func (w *world) newViews() {
	everything := func(client.Object) bool { return true }
	tokens := func(o client.Object) bool { return o.(*corev1.Secret).Type == v1alpha1.SecretType }
	own := func(o client.Object) bool { return o.GetNamespace() == ownNamespace }
	w.cache = newViewCache(
		newView(&corev1.Secret{}, tokens), newView(&v1alpha1.DefenderTenant{}, everything),
		newView(&v1alpha1.DefenderGrant{}, everything), newView(&v1alpha1.DefenderApp{}, everything))
	w.credentials = newViewCache(newView(&corev1.Secret{}, own))
	for _, c := range []*viewCache{w.cache, w.credentials} {
		w.api.views = append(w.api.views, c.all...)
	}
}

func newViewCache(views ...*view) *viewCache {
	c := &viewCache{all: views, views: map[reflect.Type]*view{}}
	for _, v := range views {
		c.views[v.kind] = v
	}
	return c
}

// Start has nothing to start.
func (*viewCache) Start(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// inMemoryManager is as much of a manager as Setup asks for.
type inMemoryManager struct {
	ctrl.Manager // the rest of the interface: nobody calls it
	cache        *viewCache
	runnables    []manager.Runnable
}

// GetFieldIndexer gives the cache.
func (m *inMemoryManager) GetFieldIndexer() client.FieldIndexer { return m.cache }

// GetCache gives the cache.
func (m *inMemoryManager) GetCache() cache.Cache { return m.cache }

// GetControllerOptions allows many controllers of the same name in one process.
func (*inMemoryManager) GetControllerOptions() config.Controller {
	again := true
	return config.Controller{SkipNameValidation: &again}
}

// GetLogger keeps silent.
func (*inMemoryManager) GetLogger() logr.Logger { return logr.Discard() }

// Add takes what is to be started.
func (m *inMemoryManager) Add(r manager.Runnable) error {
	m.runnables = append(m.runnables, r)
	return nil
}

// AddHealthzCheck has nobody to tell.
func (*inMemoryManager) AddHealthzCheck(string, healthz.Checker) error { return nil }

// apiClient reads from the cache and writes to the API server.
type apiClient struct {
	client.Client // the rest of the interface: nobody calls it
	*viewCache
	api *api
}

// Get reads from the cache.
func (c *apiClient) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	return c.viewCache.Get(ctx, key, into, o...)
}

// List reads from the cache.
func (c *apiClient) List(ctx context.Context, into client.ObjectList, o ...client.ListOption) error {
	return c.viewCache.List(ctx, into, o...)
}

// Create writes to the API server.
func (c *apiClient) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return c.api.Create(ctx, o, options...)
}

// Update writes to the API server.
func (c *apiClient) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return c.api.Update(ctx, o, options...)
}

// Delete writes to the API server.
func (c *apiClient) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	return c.api.Delete(ctx, o, options...)
}

// Status writes to the API server.
func (c *apiClient) Status() client.SubResourceWriter { return &statusWriter{api: c.api} }

// statusWriter is as much of a status writer as the reconciler asks for.
type statusWriter struct {
	client.SubResourceWriter
	api *api
}

// Patch writes a status.
func (s *statusWriter) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.api.patchStatus(o)
}

// eventCounter counts what people would be told.
type eventCounter struct{ told atomic.Int64 }

// Eventf is an event.
func (e *eventCounter) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {
	e.told.Add(1)
}
