package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
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
	secretOwnerIndex    = "controller.uid"
	grantNamespaceIndex = "spec.namespaces"
	tenantAppIndex      = "spec.app"
)

// +kubebuilder:rbac:groups=defender.tenant-operator.dev,resources=defendertenants;defenderapps;defendergrants,verbs=get;list;watch
// +kubebuilder:rbac:groups=defender.tenant-operator.dev,resources=defendertenants/status,verbs=patch
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SecretCache is how the cache has to see Secrets: only those of our type, and of those
// only what StripSecret leaves.
func SecretCache() cache.ByObject {
	shared := true // nothing changes what the cache hands out: every write starts with a copy
	return cache.ByObject{
		Field:                 fields.OneTermEqualSelector("type", v1alpha1.SecretType),
		Transform:             StripSecret,
		UnsafeDisableDeepCopy: &shared,
	}
}

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
	sweep := newSweep(r)
	for _, watch := range []source.Source{
		source.Kind(mgr.GetCache(), client.Object(&v1alpha1.DefenderTenant{}), handler.TypedEventHandler[client.Object, reconcile.Request](r.onTenant())),
		source.Kind(mgr.GetCache(), client.Object(&corev1.Secret{}), handler.TypedEventHandler[client.Object, reconcile.Request](r.onSecret())),
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
		{&corev1.Secret{}, secretOwnerIndex, func(o client.Object) []string { return []string{string(controllerUID(o))} }},
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
