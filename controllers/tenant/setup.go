package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// The indexes of the cache.
const (
	grantNamespaceIndex = "spec.namespaces"
	tenantAppIndex      = "spec.app"
)

// +kubebuilder:rbac:groups=defender.tenant-operator.dev,resources=defendertenants;defenderapps;defendergrants,verbs=list;watch
// +kubebuilder:rbac:groups=defender.tenant-operator.dev,resources=defendertenants/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Setup wires the controller, its watches and its sweep into a manager. credentials is the
// cache of the operator's own namespace.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager, credentials cache.Cache, options controller.Options) error {
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	options.Reconciler = r
	c, err := controller.New("defendertenant", mgr, options)
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	if err := mgr.Add(r.Secrets); err != nil {
		return err
	}
	sweep := newSweep(r)
	for _, watch := range []source.Source{
		source.Kind(mgr.GetCache(), client.Object(&v1alpha1.DefenderTenant{}), handler.TypedEventHandler[client.Object, reconcile.Request](r.onTenant())),
		r.Secrets.Feed(r.onSecret(), r.onSight),
		source.Kind(mgr.GetCache(), client.Object(&v1alpha1.DefenderGrant{}), handler.TypedEventHandler[client.Object, reconcile.Request](r.onGrant())),
		source.Kind(mgr.GetCache(), client.Object(&v1alpha1.DefenderApp{}), handler.TypedEventHandler[client.Object, reconcile.Request](r.onApp())),
		source.Kind(credentials, client.Object(&corev1.Secret{}), handler.TypedEventHandler[client.Object, reconcile.Request](r.onCredential())),
		source.Func(sweep.start),
		source.Func(r.usher),
	} {
		if err := c.Watch(watch); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
	return mgr.AddHealthzCheck("sweep", sweep.check)
}

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		object client.Object
		field  string
		values client.IndexerFunc
	}{
		{&v1alpha1.DefenderGrant{}, grantNamespaceIndex, func(o client.Object) []string { return o.(*v1alpha1.DefenderGrant).Spec.Namespaces }},
		{&v1alpha1.DefenderTenant{}, tenantAppIndex, func(o client.Object) []string { return []string{o.(*v1alpha1.DefenderTenant).Spec.App} }},
	} {
		if err := indexer.IndexField(ctx, index.object, index.field, index.values); err != nil {
			return fmt.Errorf("index %s: %w", index.field, err)
		}
	}
	return nil
}

func controllerUID(o client.Object) types.UID {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return owner.UID
	}
	return ""
}
