package guard

import (
	"fmt"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// TestAuthorsMustHaveTheRightToWriteTheSecrets: users of every kind create and change DefenderTenants.
func TestAuthorsMustHaveTheRightToWriteTheSecrets(t *testing.T) {
	namespace, elsewhere := newNamespace(t), newNamespace(t)
	bindEdit(t, namespace, "editor")
	bindEdit(t, elsewhere, "neighbour")
	bindSecrets(t, namespace, "writer", []string{"create", "update"}, "a-xdr", "chosen")
	bindSecrets(t, namespace, "updater", []string{"get", "update", "patch"})
	bindSecrets(t, namespace, "creator", []string{"create"})

	named := v1alpha1.TokenSpec{Name: "xdr", API: "DefenderXDR", SecretName: "chosen"}
	other := v1alpha1.TokenSpec{Name: "graph", API: "MicrosoftGraph"}
	for _, row := range []struct {
		name, user, tenant string
		tokens             []v1alpha1.TokenSpec
		refused            string // the Secret that is named in the sentence
	}{
		{name: "the role edit includes both", user: "editor", tenant: "a"},
		{name: "eight tokens are within the budget", user: "editor", tenant: "a", tokens: eight()},
		{name: "no right to Secrets", user: "author", tenant: "a", refused: "a-xdr"},
		{name: "no right to Secrets, with an empty list of tokens", user: "author", tenant: "a", tokens: []v1alpha1.TokenSpec{}, refused: "a-xdr"},
		{name: "no right to Secrets, with a name of their own choice", user: "author", tenant: "a", tokens: []v1alpha1.TokenSpec{named}, refused: "chosen"},
		{name: "a right in another namespace", user: "neighbour", tenant: "a", refused: "a-xdr"},
		{name: "may update only", user: "updater", tenant: "a", refused: "a-xdr"},
		{name: "may create only", user: "creator", tenant: "a", refused: "a-xdr"},
		{name: "this very Secret by default", user: "writer", tenant: "a"},
		{name: "this very Secret by name", user: "writer", tenant: "b", tokens: []v1alpha1.TokenSpec{named}},
		{name: "another Secret by default", user: "writer", tenant: "b", refused: "b-xdr"},
		{name: "another Secret as the second", user: "writer", tenant: "a", tokens: []v1alpha1.TokenSpec{named, other}, refused: "a-graph"},
		{name: "a GitOps controller as cluster administrator", user: "root", tenant: "a", tokens: eight()},
	} {
		t.Run(row.name, func(t *testing.T) {
			group := "authors"
			if row.user == "root" {
				group = "system:masters"
			}
			object := newTenant(namespace, row.tenant, row.tokens...)
			want := ""
			if row.refused != "" {
				want = sentence(row.user, namespace, row.refused, row.tenant)
			}
			assertDenied(t, as(t, row.user, group).Create(t.Context(), object, client.DryRunAll), want)
		})
	}

	t.Run("each place of the list is looked at", func(t *testing.T) {
		for i := range eight() {
			user := fmt.Sprintf("all-but-%d", i)
			var names []string
			for j, spec := range eight() {
				if j != i {
					names = append(names, "a-"+spec.Name)
				}
			}
			bindSecrets(t, namespace, user, []string{"create", "update"}, names...)
			err := as(t, user, "authors").Create(t.Context(), newTenant(namespace, "a", eight()...), client.DryRunAll)
			assertDenied(t, err, sentence(user, namespace, "a-"+eight()[i].Name, "a"))
		}
	})
	t.Run("a name that the API server makes", func(t *testing.T) {
		object := newTenant(namespace, "")
		object.GenerateName = "made-"
		must(t, as(t, "editor", "authors").Create(t.Context(), object, client.DryRunAll))
		err := as(t, "author", "authors").Create(t.Context(), object, client.DryRunAll)
		if err == nil {
			t.Error("was not refused")
		}
	})
	t.Run("changes", func(t *testing.T) {
		editor, author := as(t, "editor", "authors"), as(t, "author", "authors")
		object := newTenant(namespace, "changed")
		must(t, editor.Create(t.Context(), object))
		object.Annotations = map[string]string{"defender.tenant-operator.dev/refresh-requested": "1"}
		object.Labels = map[string]string{"team": "soc"}
		object.Finalizers = []string{"example.com/hold"}
		must(t, author.Update(t.Context(), object))
		object.Finalizers = nil
		must(t, author.Update(t.Context(), object))
		must(t, author.Update(t.Context(), object)) // nothing

		suspended := object.DeepCopy()
		suspended.Spec.Suspend = true
		assertDenied(t, author.Update(t.Context(), suspended), sentence("author", namespace, "changed-xdr", "changed"))
		moved := object.DeepCopy()
		moved.Spec.Tokens = []v1alpha1.TokenSpec{named}
		assertDenied(t, author.Update(t.Context(), moved), sentence("author", namespace, "chosen", "changed"))
		must(t, as(t, "writer", "authors").Update(t.Context(), moved)) // the former name is no longer of interest
		must(t, editor.Update(t.Context(), moved))
		must(t, author.Delete(t.Context(), moved))
	})
	t.Run("the operator writes the status", func(t *testing.T) {
		object := newTenant(namespace, "status")
		must(t, shared.Create(t.Context(), object))
		before := object.DeepCopy()
		object.Status.ConsentURL = "https://login.example"
		must(t, as(t, operatorUser, "").Status().Patch(t.Context(), object, client.MergeFrom(before)))
	})
}

func sentence(user, namespace, secret, tenant string) string {
	return "ValidatingAdmissionPolicy 'defender-tenant-authors' with binding 'defender-tenant-authors' denied request: " +
		user + " may not have a token written into Secret " + namespace + "/" + secret + " by DefenderTenant " + tenant +
		" without the right to create and update that Secret. An administrator of namespace " + namespace +
		" must give that right, or the author must choose another secretName."
}

func newTenant(namespace, name string, tokens ...v1alpha1.TokenSpec) *v1alpha1.DefenderTenant {
	return &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: contoso, App: "partner", Tokens: tokens},
	}
}

// eight is as many tokens as there can be.
func eight() []v1alpha1.TokenSpec {
	var tokens []v1alpha1.TokenSpec
	for _, name := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight"} {
		tokens = append(tokens, v1alpha1.TokenSpec{Name: name, API: "DefenderXDR"})
	}
	return tokens
}

// bindEdit gives a user Kubernetes' own role edit in one namespace, by the part that the control plane has without the
// controller that aggregates roles.
func bindEdit(t *testing.T, namespace, user string) {
	t.Helper()
	must(t, shared.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user + "-edit"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:aggregate-to-edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}))
	awaitRight(t, user, authorizationv1.ResourceAttributes{Namespace: namespace, Resource: "secrets", Verb: "update"})
}

// bindSecrets lets a user do something with Secrets, all of a namespace if none is named.
func bindSecrets(t *testing.T, namespace, user string, verbs []string, names ...string) {
	t.Helper()
	must(t, shared.Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: names, Verbs: verbs}},
	}))
	must(t, shared.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}))
	var name string
	if len(names) > 0 {
		name = names[0]
	}
	awaitRight(t, user, authorizationv1.ResourceAttributes{Namespace: namespace, Resource: "secrets", Verb: verbs[0], Name: name})
}

// awaitRight waits until the API server has taken notice of a right.
func awaitRight(t *testing.T, user string, what authorizationv1.ResourceAttributes) {
	t.Helper()
	eventually(t, user+" has the right", func() bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &what}}
		must(t, shared.Create(t.Context(), review))
		return review.Status.Allowed
	})
}
