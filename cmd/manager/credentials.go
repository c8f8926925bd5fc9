package main

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/internal/credential"
)

// credentials is the cache of the Secrets of the operator's own namespace, and of no others. Where the API server does
// not let it look, nobody is held back: who wants a credential is told why there is none, and all else goes on.
type credentials struct {
	cache.Cache
	namespace string
	refused   chan struct{} // closed when the API server refuses
	once      sync.Once     // closes it
}

// credentialCache makes the cache and has it started.
func credentialCache(mgr ctrl.Manager, namespace string) (*credentials, error) {
	// It is asked on every pass, and there is nothing to look up.
	secrets := apimeta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	secrets.Add(corev1.SchemeGroupVersion.WithKind("Secret"), apimeta.RESTScopeNamespace)
	own := &credentials{namespace: namespace, refused: make(chan struct{})}
	var err error
	own.Cache, err = cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: secrets,
		DefaultNamespaces: map[string]cache.Config{namespace: {}},
		DefaultTransform:  cache.TransformStripManagedFields(),
		DefaultWatchErrorHandler: func(ctx context.Context, r *toolscache.Reflector, err error) {
			if apierrors.IsForbidden(err) {
				own.once.Do(func() { close(own.refused) })
			}
			toolscache.DefaultWatchErrorHandler(ctx, r, err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make cache of credentials: %w", err)
	}
	return own, mgr.Add(everyReplica{own.Cache})
}

// Get reads what was seen. It waits for the first look only while nobody refuses it.
func (c *credentials) Get(ctx context.Context, key client.ObjectKey, secret client.Object, options ...client.GetOption) error {
	informer, err := c.Cache.GetInformer(ctx, secret, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("look at the Secrets of namespace %s: %w", c.namespace, err)
	}
	if !informer.HasSynced() && isClosed(c.refused) {
		return &credential.Defect{Passing: true, Text: fmt.Sprintf(
			"the operator may not list secrets in namespace %s, and the platform team must give it that right with Role %s there", c.namespace, serviceAccount)}
	}
	return c.Cache.Get(ctx, key, secret, options...)
}

// GetInformer gives one that counts as in sync once the API server refuses.
func (c *credentials) GetInformer(ctx context.Context, object client.Object, options ...cache.InformerGetOption) (cache.Informer, error) {
	informer, err := c.Cache.GetInformer(ctx, object, append(options, cache.BlockUntilSynced(false))...)
	return patientInformer{Informer: informer, refused: c.refused}, err
}

// WaitForCacheSync waits until everything is in view, or the API server refuses.
func (c *credentials) WaitForCacheSync(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.refused:
			cancel()
		case <-ctx.Done():
		}
	}()
	return c.Cache.WaitForCacheSync(ctx) || isClosed(c.refused)
}

// patientInformer may bring what there is later than those who watch begin to work.
type patientInformer struct {
	cache.Informer
	refused <-chan struct{}
}

// AddEventHandlerWithOptions tells of what comes into view late as of something new.
func (i patientInformer) AddEventHandlerWithOptions(to toolscache.ResourceEventHandler, options toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	registered, err := i.Informer.AddEventHandlerWithOptions(lateHandler{to, i.refused}, options)
	return patientRegistration{registered, i.refused}, err
}

type lateHandler struct {
	toolscache.ResourceEventHandler
	refused <-chan struct{}
}

// OnAdd passes an object on.
func (h lateHandler) OnAdd(object any, isInInitialList bool) {
	h.ResourceEventHandler.OnAdd(object, isInInitialList && !isClosed(h.refused))
}

type patientRegistration struct {
	toolscache.ResourceEventHandlerRegistration
	refused <-chan struct{}
}

// HasSynced tells whether nobody has to wait any more.
func (r patientRegistration) HasSynced() bool {
	return r.ResourceEventHandlerRegistration.HasSynced() || isClosed(r.refused)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
