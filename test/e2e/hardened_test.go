package e2e

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// harden installs the operator again, in the other profile. The customer of before is still there, with empty Secrets.
func (w *world) harden() {
	w.helmInstall(nextTag, "profile=hardened")
	w.awaitTenant(metav1.ConditionFalse, v1alpha1.ReasonNoSecretRight)
	w.emptySecrets()
	w.kubectl("create", "rolebinding", "defender-tenant-operator-secrets", "--namespace", team,
		"--clusterrole=defender-tenant-operator-secrets", "--serviceaccount=defender-system:defender-tenant-operator")
	started := time.Now()
	w.awaitTenant(metav1.ConditionTrue, v1alpha1.ReasonTokensReady)
	w.figures.took("hardened profile: RoleBinding until the token is in its Secret", time.Since(started))
	secret, err := w.tokenSecret(w.t.Context())
	w.must(err)
	if state := string(secret.Data[v1alpha1.KeyState]); len(secret.Data[v1alpha1.KeyToken]) == 0 || state != "Valid" {
		w.t.Errorf("the Secret holds %d bytes of a token, its state is %s", len(secret.Data[v1alpha1.KeyToken]), state)
	}
}
