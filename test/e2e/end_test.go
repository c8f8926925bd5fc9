package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// deleteNamespace deletes the customers' one with everything in it.
func (w *world) deleteNamespace() {
	ctx := w.t.Context()
	w.must(w.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}}))
	w.figures.took("namespace deleted until it is gone", w.eventually("the namespace is gone", patience, func(ctx context.Context) error {
		err := w.Get(ctx, types.NamespacedName{Name: team}, &corev1.Namespace{})
		if err == nil {
			return errors.New("it is still there")
		}
		return client.IgnoreNotFound(err)
	}))
	if left := w.tokenSecrets(); len(left) != 0 {
		w.t.Errorf("Secrets with tokens are left: %q", left)
	}
	if text := w.operatorsLogs(); strings.Contains(text, "panic") {
		w.t.Errorf("the operator panicked:\n%s", text)
	}
	// A namespace of the same name starts with nothing, and gets a token as soon as somebody asks for it.
	w.applySamples()
	w.awaitTenant(metav1.ConditionTrue, v1alpha1.ReasonTokensReady)
}

func (w *world) tokenSecrets() []string {
	w.t.Helper()
	var list corev1.SecretList
	w.must(w.List(w.t.Context(), &list, client.MatchingFields{"type": v1alpha1.SecretType}))
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Namespace+"/"+list.Items[i].Name)
	}
	return names
}

// uninstall takes the operator away and compares what is left with what docs/install.md says.
func (w *world) uninstall() {
	started := time.Now()
	w.helm("uninstall", operator, "--namespace", operators, "--wait", "--timeout", "5m")
	w.figures.took("helm uninstall", time.Since(started))
	w.eventually("no Pod of the operator runs", patience, func(ctx context.Context) error {
		var pods corev1.PodList
		err := w.List(ctx, &pods, client.InNamespace(operators))
		if err == nil && len(pods.Items) != 0 {
			err = fmt.Errorf("%d do", len(pods.Items))
		}
		return err
	})
	left := []string{}
	for name, object := range w.takeInventory() {
		if _, before := w.before[name]; !before && !passing(name, object.GetNamespace()) {
			left = append(left, name)
		}
	}
	slices.Sort(left)
	want := append(remains(), applied()...)
	slices.Sort(want)
	if !slices.Equal(left, want) {
		w.t.Errorf("left is\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
	// Two before the upgrade, two after it, the one that was started after the kill, and the Job.
	if all, purge := w.keptLogs(operator), w.keptLogs(operator+"-purge"); all != 6 || purge != 1 {
		w.t.Errorf("%d logs of the operator can be searched, %d of them of the Job that empties Secrets; want 6 and 1", all, purge)
	}
	w.emptySecrets()
}

// emptySecrets proves that the customer's Secrets are there, without a token.
func (w *world) emptySecrets() {
	w.t.Helper()
	var list corev1.SecretList
	w.must(w.List(w.t.Context(), &list, client.InNamespace(team), client.MatchingFields{"type": v1alpha1.SecretType}))
	if len(list.Items) != 2 {
		w.t.Errorf("there are %d Secrets for tokens, want 2", len(list.Items))
	}
	for _, secret := range list.Items {
		if state := string(secret.Data[v1alpha1.KeyState]); len(secret.Data[v1alpha1.KeyToken]) != 0 || state != "Suspended" {
			w.t.Errorf("Secret %s holds %d bytes of a token, its state is %s", secret.Name, len(secret.Data[v1alpha1.KeyToken]), state)
		}
	}
}

// remains are those of the operator's own objects that outlive it: the CRDs, since the customers' objects would go with
// them, and the lease, which the operator made and no chart knows.
func remains() []string {
	return []string{
		"customresourcedefinitions.apiextensions.k8s.io//defenderapps.defender.tenant-operator.dev",
		"customresourcedefinitions.apiextensions.k8s.io//defendergrants.defender.tenant-operator.dev",
		"customresourcedefinitions.apiextensions.k8s.io//defendertenants.defender.tenant-operator.dev",
		"leases.coordination.k8s.io/defender-system/defender-tenant-operator",
	}
}

// applied are the objects that people made, which are not the chart's to delete, with what hangs on them.
func applied() []string {
	return []string{
		"defenderapps.defender.tenant-operator.dev//partner",
		"defendergrants.defender.tenant-operator.dev//contoso",
		"namespaces//soc",
		"configmaps/soc/kube-root-ca.crt",
		"defendertenants.defender.tenant-operator.dev/soc/contoso",
		"secrets/soc/contoso-graph",
		"secrets/soc/contoso-xdr",
		"serviceaccounts/soc/default",
		"secrets/defender-system/partner",
	}
}

// passing tells whether an object comes and goes by itself: events, the node's sign of life, and what the API server
// makes of a CRD.
func passing(name, namespace string) bool {
	kind, _, _ := strings.Cut(name, "/")
	return namespace == corev1.NamespaceNodeLease ||
		slices.Contains([]string{"events", "events.events.k8s.io", "apiservices.apiregistration.k8s.io"}, kind)
}
