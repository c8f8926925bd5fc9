package rights

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// TestNothingIsGrantedThatIsNotUsed lives through everything that the operator does, with each profile.
func TestNothingIsGrantedThatIsNotUsed(t *testing.T) {
	s := newStage(t)
	s.install("default")
	s.platform("soc", "noc", "poc")
	t.Run("standard", func(t *testing.T) {
		s := s.in(t)
		began := s.written()
		s.customer("soc")
		s.everything(s.start(), "soc")
		s.again("soc")
		s.assertRights(began)
	})
	t.Run("hardened", func(t *testing.T) {
		s := s.in(t)
		s.install("hardened")
		s.kubectl("delete", "clusterrolebinding", "defender-tenant-operator-secrets")
		s.must(s.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "soc"}}))
		s.must(s.Delete(t.Context(), s.tenant("soc")))
		s.must(s.Delete(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: account}}))
		began := s.written()
		s.customer("noc")
		p := s.start("--secret-access=Namespace")
		p.eventually("the right is missing", func() bool {
			return s.condition("noc", v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonNoSecretRight
		})
		s.applyFrom(s.condition("noc", v1alpha1.ConditionStalled).Message)
		s.customer("poc") // which has no binding and stays without
		s.everything(p, "noc")
		s.again("noc", "--secret-access=Namespace")
		s.assertRights(began)
		if c := s.condition("poc", v1alpha1.ConditionStalled); c.Reason != v1alpha1.ReasonNoSecretRight || !strings.Contains(c.Message, "in namespace poc") {
			t.Errorf("a namespace without a binding says %+v", c)
		}
	})
	t.Run("a right that is taken away", func(t *testing.T) { s.in(t).takenAway("noc") })
	t.Run("a policy that refuses", func(t *testing.T) { s.in(t).policy("noc") })
}

// takenAway takes a right while the operator works. One token is asked for in vain, and none after that.
func (s *stage) takenAway(namespace string) {
	s.t.Helper()
	p := s.start("--secret-access=Namespace")
	s.refresh(namespace, "before")
	p.eventually("it works", func() bool { return s.tenant(namespace).Status.LastHandledRefresh == "before" })
	giveBack := s.take("update", "secrets")
	before := s.entra.CountRequests(entra.Token, "")
	s.refresh(namespace, "without")
	p.eventually("the right is missing", func() bool {
		c := s.condition(namespace, v1alpha1.ConditionStalled)
		return c.Reason == v1alpha1.ReasonNoSecretRight && strings.Contains(c.Message, "may not update secrets in namespace "+namespace+".")
	})
	if !s.isReady(namespace) {
		s.t.Error("it is not ready, although its token runs")
	}
	s.refresh(namespace, "still without")
	p.eventually("that is handled", func() bool { return s.tenant(namespace).Status.LastHandledRefresh == "still without" })
	if asked := s.entra.CountRequests(entra.Token, "") - before; asked != 1 {
		s.t.Errorf("%d token requests without the right to store one, want 1", asked)
	}
	giveBack()
	p.eventually("the right is back", func() bool { return s.condition(namespace, v1alpha1.ConditionStalled).Status == metav1.ConditionFalse })
	if told := strings.Count(p.log.text(), `"Missing rights"`); told > 2 { // here and in the namespace that never had any
		s.t.Errorf("the log says %d times what is missing", told)
	}
	p.stop()
}

// policy refuses what the operator may do. That is no want of a right.
func (s *stage) policy(namespace string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "policy.yaml")
	s.must(os.WriteFile(file, []byte(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: frozen}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [secrets]}]
  validations: [{expression: "false", reason: Forbidden, message: frozen}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: frozen}
spec: {policyName: frozen, validationActions: [Deny]}
`), 0o600))
	s.kubectl("apply", "-f", file)
	defer s.kubectl("delete", "-f", file)
	p := s.start("--secret-access=Namespace")
	// The guard lets an update pass that changes nothing.
	p.eventually("the policy is in force", func() bool {
		err := s.Update(s.t.Context(), s.secret(namespace, "renamed"))
		return err != nil && strings.Contains(err.Error(), "'frozen'")
	})
	s.refresh(namespace, "frozen")
	p.eventually("the write fails", func() bool {
		c := s.condition(namespace, v1alpha1.ConditionDegraded)
		return c.Status == metav1.ConditionTrue && strings.Contains(c.Message, "a quota or an admission policy forbids it")
	})
	if c := s.condition(namespace, v1alpha1.ConditionStalled); c.Status != metav1.ConditionFalse {
		s.t.Errorf("it is stalled: %+v", c)
	}
	p.stop()
}

// applyFrom does what a message says.
func (s *stage) applyFrom(message string) {
	s.t.Helper()
	_, binding, found := strings.Cut(message, "apply: ")
	if !found {
		s.t.Fatalf("%q says nothing to apply", message)
	}
	file := filepath.Join(s.t.TempDir(), "binding.yaml")
	s.must(os.WriteFile(file, []byte(binding), 0o600))
	s.kubectl("apply", "-f", file)
}

// everything uses each right.
func (s *stage) everything(p *process, namespace string) {
	s.t.Helper()
	p.eventually("there is a token", func() bool { return s.isReady(namespace) })
	p.eventually("its event is told", func() bool { return s.events(namespace, v1alpha1.ReasonTokensReady+"=") == 1 })

	first := s.tenant(namespace).Status.Tokens[0].TokenID
	s.refresh(namespace, "please")
	p.eventually("it is renewed", func() bool { return s.tenant(namespace).Status.Tokens[0].TokenID != first })

	s.edit(namespace, func(d *v1alpha1.DefenderTenant) {
		d.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", API: v1alpha1.APIDefenderXDR, SecretName: "renamed"}}
	})
	p.eventually("the Secret has another name", func() bool {
		return len(s.secret(namespace, "renamed").Data) > 0 && s.secret(namespace, "contoso-xdr").Name == ""
	})

	// Of two events that are alike, the second is added to the first.
	s.credentials("secret", "gone", "lost")
	p.eventually("two credentials are missing", func() bool { return s.events(metav1.NamespaceDefault, v1alpha1.ReasonCredentialUnusable+"=2") == 1 })
	s.credentials("secret")
	s.metrics(p)
	p.stop()
}

// again starts another process, as if for an API server that is too old to stream what there is: it has to be listed. A
// token that is good is not asked for again.
func (s *stage) again(namespace string, args ...string) {
	s.t.Helper()
	s.environment = []string{"KUBE_FEATURE_WatchListClient=false"}
	before := s.entra.CountRequests(entra.Token, "")
	p := s.start(args...)
	s.refresh(namespace, "once more")
	p.eventually("it is renewed", func() bool { return s.tenant(namespace).Status.LastHandledRefresh == "once more" })
	if asked := s.entra.CountRequests(entra.Token, "") - before; asked != 1 {
		s.t.Errorf("%d token requests after a restart, want 1, which somebody asked for", asked)
	}
	p.stop()
}

// metrics are for those who may.
func (s *stage) metrics(p *process) {
	s.t.Helper()
	s.must(client.IgnoreAlreadyExists(s.Create(s.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "prometheus"}})))
	token := s.tokenOf("prometheus")
	p.eventually("nobody reads the metrics without a right", func() bool { code, _ := p.scrape(token); return code == http.StatusForbidden })
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "defender-tenant-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: own, Name: "prometheus"}},
	}
	s.must(s.Create(s.t.Context(), binding))
	s.t.Cleanup(func() { _ = s.Delete(s.t.Context(), binding) })
	p.eventually("Prometheus reads the metrics", func() bool {
		code, text := p.scrape(token)
		return code == http.StatusOK && strings.Contains(text, "defender_tenant_token_requests_total")
	})
	s.must(s.Delete(s.t.Context(), binding))
}

// credentials gives the DefenderApp these client secrets; only the first one's Secret exists.
func (s *stage) credentials(names ...string) {
	s.t.Helper()
	app := &v1alpha1.DefenderApp{}
	s.must(s.Get(s.t.Context(), types.NamespacedName{Name: "partner"}, app))
	before := client.MergeFrom(app.DeepCopy())
	app.Spec.Credentials = nil
	for _, name := range names {
		secret := v1alpha1.SecretKeyReference{Name: "partner"}
		if name != names[0] {
			secret.Name = name
		}
		app.Spec.Credentials = append(app.Spec.Credentials, v1alpha1.Credential{Name: name, ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: secret}})
	}
	s.must(s.Patch(s.t.Context(), app, before))
}

// events counts those of a reason and a number of times, as Reason=2; the first time there is no number.
func (s *stage) events(namespace, event string) int {
	s.t.Helper()
	text := s.kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", `jsonpath={range .items[*]}{.reason}={.series.count}{"\n"}{end}`)
	return strings.Count("\n"+text, "\n"+event+"\n")
}

// assertRights compares what is granted with what was used since a place in the audit log.
func (s *stage) assertRights(began int) {
	s.t.Helper()
	granted := s.granted()
	unused, uncovered := compare(granted, s.requests(began))
	for _, r := range unused {
		s.t.Errorf("granted and not used: %s", r)
	}
	for _, request := range uncovered {
		s.t.Errorf("asked for without a right: %s", request)
	}
	for _, r := range granted {
		if strings.Contains(r.verb+r.group+r.resource, "*") {
			s.t.Errorf("granted: %s", r)
		}
	}
	if len(granted) < 20 {
		s.t.Errorf("%d rights are granted: does anything bind the roles?", len(granted))
	}
	if requests := s.entra.CountRequests(entra.Token, ""); requests == 0 {
		s.t.Error("Entra ID was never asked")
	}
}
