package purge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// reach is where Secrets may be listed.
type reach struct {
	open   []string // one without a name is the whole cluster
	closed []string // tokens are there all the same
	unused []string // closed as well, but no DefenderTenant there has a Secret
}

// lookAround serves an operator that has rights in single namespaces, too.
func (p *Purge) lookAround(ctx context.Context) (reach, error) {
	err := p.mayList(ctx, "")
	if err == nil {
		return reach{open: []string{""}}, nil
	}
	if !apierrors.IsForbidden(err) {
		return reach{}, err
	}
	holding, err := p.customers(ctx)
	if err != nil {
		return reach{}, err
	}
	var r reach
	for _, namespace := range slices.Sorted(maps.Keys(holding)) {
		err := p.mayList(ctx, namespace)
		switch {
		case err == nil:
			r.open = append(r.open, namespace)
		case !apierrors.IsForbidden(err):
			return reach{}, err
		case holding[namespace]:
			r.closed = append(r.closed, namespace)
		default: // nobody ever let the operator in, for example
			r.unused = append(r.unused, namespace)
		}
	}
	return r, nil
}

// mayList asks for no more than a name.
func (p *Purge) mayList(ctx context.Context, namespace string) error {
	var names metav1.PartialObjectMetadataList
	names.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	return p.Client.List(ctx, &names, client.InNamespace(namespace), client.MatchingFields{"type": v1alpha1.SecretType}, client.Limit(1))
}

// customers are the namespaces that have DefenderTenants, and whether one of these has a Secret.
func (p *Purge) customers(ctx context.Context) (map[string]bool, error) {
	var tenants v1alpha1.DefenderTenantList
	if err := p.Client.List(ctx, &tenants); err != nil {
		return nil, err
	}
	holding := map[string]bool{}
	for i := range tenants.Items {
		t := &tenants.Items[i]
		holding[t.Namespace] = holding[t.Namespace] || len(t.Status.SecretNames) > 0
	}
	return holding, nil
}

// refusal says who has to do what about tokens that cannot be reached.
func (r reach) refusal() error {
	if len(r.closed) == 0 {
		return nil
	}
	return fmt.Errorf("no right to list Secrets in namespaces %s, whose DefenderTenants hold tokens. "+
		"Bind the ClusterRole defender-tenant-operator-secrets there, or delete the DefenderTenants there, and their Secrets go with them",
		strings.Join(r.closed, ", "))
}
