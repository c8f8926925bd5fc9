package secretview

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
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

// telling are enough to see whether anything changed where the operator may not look.
func telling() []string { return []string{"get", "list"} }

// Review asks the API server which of some verbs the operator may not use.
func Review(api client.Writer) func(ctx context.Context, namespace string, verbs []string) ([]string, error) {
	return func(ctx context.Context, namespace string, verbs []string) ([]string, error) {
		var missing []string
		for _, verb := range verbs {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: "secrets"},
			}}
			if err := api.Create(ctx, review); err != nil {
				return nil, fmt.Errorf("ask for the right to %s secrets: %w", verb, err)
			}
			if !review.Status.Allowed {
				missing = append(missing, verb)
			}
		}
		return missing, nil
	}
}

// rights asks which verbs are missing. Where nobody may look, the rest is of no use and is not asked for again.
func (v *Views) rights(ctx context.Context, namespace string, known []string) ([]string, error) {
	if slices.Contains(known, "list") {
		still, err := v.review(ctx, namespace, telling())
		if err != nil {
			return nil, err
		}
		if slices.Contains(still, "list") && slices.Contains(still, "get") == slices.Contains(known, "get") {
			return known, nil
		}
	}
	return v.review(ctx, namespace, needed())
}

// refusedVerb gives the right that the API server found missing, or nothing: a quota and a policy refuse, too. That is a
// guess from its words, for where it does not let the operator ask.
func refusedVerb(err error) string {
	for _, verb := range needed() {
		if strings.Contains(err.Error(), "cannot "+verb+` resource "secrets"`) {
			return verb
		}
	}
	return ""
}

// unanswered tells once that nobody can ask which rights there are.
func (v *Views) unanswered(err error) {
	v.silent.Do(func() {
		v.Log.Info("Missing rights: which others there are shows only when they are used", "verbs", []string{"create"},
			"resource", "selfsubjectaccessreviews", "cause", err.Error())
	})
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
func blind(missing []string) bool { return slices.ContainsFunc(missing, isToLook) }

func isToLook(verb string) bool { return verb == "list" || verb == "watch" }

// fault says what is missing and how to mend it: with an object to be applied as it is, where nothing is allowed yet.
func (v *Views) fault(namespace string, missing []string) *token.Fault {
	where, kind, metadata := "in namespace "+namespace, "RoleBinding", fmt.Sprintf("{name: %s, namespace: %q}", ClusterRole, namespace)
	if !v.PerNamespace {
		where, kind, metadata = "in all namespaces, "+namespace+" among them", "ClusterRoleBinding", fmt.Sprintf("{name: %s}", ClusterRole)
	}
	cure := "Who administers them must apply: " + v.binding(kind, metadata)
	if len(missing) < len(needed()) {
		cure = fmt.Sprintf("ClusterRole %s lacks these verbs, or %s %s names another role. Who administers them must mend that.", ClusterRole, kind, ClusterRole)
	}
	return &token.Fault{
		Reason: v1alpha1.ReasonNoSecretRight, Actor: token.ActorPlatform, Cure: token.ByWatch,
		Message: fmt.Sprintf("The operator may not %s secrets %s. %s", join(missing), where, cure),
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
