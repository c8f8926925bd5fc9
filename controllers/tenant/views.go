package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// secretOwnerIndex finds the Secrets of an object.
const secretOwnerIndex = "controller.uid"

// OpenSecrets is how a view has to see Secrets: only those of our type, and of those only what StripSecret leaves.
func OpenSecrets(mgr ctrl.Manager) func(ctx context.Context, namespace string, refused func(error)) (cache.Cache, error) {
	// There is one kind and nothing to look up.
	secrets := apimeta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	secrets.Add(corev1.SchemeGroupVersion.WithKind("Secret"), apimeta.RESTScopeNamespace)
	shared := true // nothing changes what the cache hands out: every write starts with a copy
	return func(ctx context.Context, namespace string, refused func(error)) (cache.Cache, error) {
		selected := fields.OneTermEqualSelector("type", v1alpha1.SecretType)
		if namespace != metav1.NamespaceAll { // which the cache takes for the namespace to ask for
			selected = fields.AndSelectors(selected, fields.OneTermEqualSelector("metadata.namespace", namespace))
		}
		c, err := cache.New(mgr.GetConfig(), cache.Options{
			HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: secrets,
			DefaultFieldSelector:         selected,
			DefaultTransform:             StripSecret,
			DefaultUnsafeDisableDeepCopy: &shared,
			DefaultWatchErrorHandler: func(ctx context.Context, r *toolscache.Reflector, err error) {
				if apierrors.IsForbidden(err) {
					refused(err) // which leads to a line that tells what is missing
					return
				}
				toolscache.DefaultWatchErrorHandler(ctx, r, err)
			},
		})
		if err != nil {
			return nil, fmt.Errorf("make cache of Secrets: %w", err)
		}
		return c, IndexSecrets(ctx, c)
	}
}

// IndexSecrets lets the Secrets of an object be found.
func IndexSecrets(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, &corev1.Secret{}, secretOwnerIndex, func(o client.Object) []string {
		return []string{string(controllerUID(o))}
	})
}
