package secretview

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// +kubebuilder:rbac:groups=core,resources=secrets,verbs=get;list;watch;create;update;delete,roleName=defender-tenant-operator-secrets
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=selfsubjectaccessreviews,verbs=create

// ClusterRole has the rights to Secrets that the operator needs, and its name is that of the bindings, too.
const ClusterRole = "defender-tenant-operator-secrets"

// needed are the verbs of that role.
func needed() []string { return []string{"get", "list", "watch", "create", "update", "delete"} }

// Review asks the API server about the operator's own rights.
func Review(api client.Writer) func(ctx context.Context, namespace string) ([]string, error) {
	return func(ctx context.Context, namespace string) ([]string, error) {
		var missing []string
		for _, verb := range needed() {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: "secrets"},
			}}
			switch err := api.Create(ctx, review); {
			case apierrors.IsForbidden(err):
				return nil, nil // who may not ask has to try
			case err != nil:
				return nil, fmt.Errorf("ask for the right to %s secrets: %w", verb, err)
			case !review.Status.Allowed:
				missing = append(missing, verb)
			}
		}
		return missing, nil
	}
}

// Lack is what the operator may not do with the Secrets of a namespace; nil: it may do everything.
type Lack struct {
	// Verbs are those that it may not use.
	Verbs []string
	// Fault names them, and who can help.
	Fault *token.Fault
}

// Of gives the fault if one of these verbs is missing.
func (l *Lack) Of(verbs ...string) *token.Fault {
	if l != nil && slices.ContainsFunc(verbs, func(verb string) bool { return slices.Contains(l.Verbs, verb) }) {
		return l.Fault
	}
	return nil
}

// Blind gives the fault if nobody can tell what there is.
func (l *Lack) Blind() *token.Fault { return l.Of("list", "watch") }

// blind tells whether the operator may not look.
func blind(missing []string) bool {
	return slices.Contains(missing, "list") || slices.Contains(missing, "watch")
}

// fault says what is missing and gives the object that mends it, to be applied as it is.
func (v *Views) fault(namespace string, missing []string) *token.Fault {
	where, binding := "in namespace "+namespace, v.binding("RoleBinding", fmt.Sprintf("{name: %s, namespace: %q}", ClusterRole, namespace))
	if !v.PerNamespace {
		where, binding = "in all namespaces, "+namespace+" among them", v.binding("ClusterRoleBinding", fmt.Sprintf("{name: %s}", ClusterRole))
	}
	return &token.Fault{
		Reason: v1alpha1.ReasonNoSecretRight, Actor: token.ActorPlatform, Cure: token.ByWatch,
		Message: fmt.Sprintf("The operator may not %s secrets %s. Who administers them must apply: %s", join(missing), where, binding),
	}
}

// binding is YAML on one line.
func (v *Views) binding(kind, metadata string) string {
	return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: %s, metadata: %s, "+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}, subjects: [{kind: ServiceAccount, name: %q, namespace: %q}]}",
		kind, metadata, ClusterRole, v.Account.Name, v.Account.Namespace)
}

// join lists verbs as a sentence does.
func join(verbs []string) string {
	last := len(verbs) - 1
	if last == 0 {
		return verbs[0]
	}
	return strings.Join(verbs[:last], ", ") + " or " + verbs[last]
}

func orAll(namespace string) string {
	if namespace == metav1.NamespaceAll {
		return "(all)"
	}
	return namespace
}
