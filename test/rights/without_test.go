package rights

import (
	"flag"
	"slices"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

var everyRight = flag.Bool("everything", false, "take each right away, not only those that differ in what follows")

// loss is a right that is missing, and what tells.
type loss struct {
	verb, resource string
	// condition is the reason that the DefenderTenant gives, where it can.
	condition string
	// renews: a token that is held is renewed all the same.
	renews bool
	// often: it is missing in the short run, too.
	often bool
	// provoke does what needs it.
	provoke func(*stage, *process)
}

// TestARightThatIsMissingIsNamed takes one right away at a time. The process names it and goes on, and is as good as new when it is back.
func TestARightThatIsMissingIsNamed(t *testing.T) {
	s := newStage(t)
	s.install("default")
	s.platform("soc")
	s.customer("soc")
	s.kubectl("delete", "clusterrolebinding", "system:basic-user") // with which everybody may ask for their rights
	first := s.start()
	first.eventually("there is a token", func() bool { return s.isReady("soc") })
	first.stop()
	// Lists are needed only where the API server does not stream.
	s.environment = []string{"KUBE_FEATURE_WatchListClient=false"}
	stall := func(verb string, often, renews bool) loss {
		return loss{verb: verb, resource: "secrets", condition: v1alpha1.ReasonNoSecretRight, often: often, renews: renews}
	}
	for _, l := range []loss{
		stall("get", false, true), stall("list", true, false), stall("watch", false, false),
		stall("create", true, true), stall("update", true, false), stall("delete", true, true),
		{verb: "patch", resource: "defendertenants/status", often: true},
		{verb: "patch", resource: "defenderapps/status", provoke: func(s *stage, _ *process) { s.credentials("secret", "absent") }},
		{verb: "list", resource: "defendertenants"},
		{verb: "watch", resource: "defendertenants"},
		{verb: "list", resource: "defendergrants", often: true},
		{verb: "watch", resource: "defendergrants"},
		{verb: "list", resource: "defenderapps"},
		{verb: "watch", resource: "defenderapps"},
		{verb: "create", resource: "events"},
		{verb: "get", resource: "leases"},
		{verb: "create", resource: "leases"},
		{verb: "update", resource: "leases", often: true},
		{verb: "create", resource: "tokenreviews", provoke: (*stage).scrapeInVain},
		{verb: "create", resource: "subjectaccessreviews", provoke: (*stage).scrapeInVain},
		{verb: "create", resource: "selfsubjectaccessreviews", often: true},
	} {
		t.Run(l.verb+" "+l.resource, func(t *testing.T) {
			if !l.often && !*everyRight {
				t.Skip("with -args -everything")
			}
			s.in(t).without(l)
		})
	}
}

func (s *stage) scrapeInVain(p *process) {
	s.t.Helper()
	token := s.tokenOf(account)
	p.eventually("nobody may read", func() bool { code, _ := p.scrape(token); return code >= 400 })
}

func (s *stage) without(l loss) {
	s.t.Helper()
	if l.resource == "leases" && l.verb == "create" {
		s.must(client.IgnoreNotFound(s.Delete(s.t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: account}})))
	}
	giveBack := s.take(l.verb, l.resource)
	lose := func() {
		s.must(client.IgnoreNotFound(s.Delete(s.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "contoso-xdr"}})))
	}
	if l.condition == "" {
		lose()
	}
	p := s.start()
	if l.provoke != nil {
		l.provoke(s, p)
	}
	if l.condition != "" {
		p.eventually("the condition names it", func() bool {
			c := s.condition("soc", v1alpha1.ConditionStalled)
			return c.Reason == l.condition && strings.Contains(c.Message, "may not "+l.verb+" secrets in all namespaces, soc among them")
		})
	}
	if l.renews {
		s.renewsWithout(p, l)
	}
	if l.condition != "" {
		lose()
	}
	if l.verb == "create" && l.resource == "secrets" {
		p.eventually("no Secret can be made", func() bool { return s.condition("soc", v1alpha1.ConditionReady).Reason == l.condition })
	}
	p.eventually("the log names it", func() bool { return namesRight(p.log.text(), l) })
	giveBack()
	s.refresh("soc", l.verb+l.resource)
	p.eventually("everything works again", func() bool {
		return s.isReady("soc") && s.tenant("soc").Status.LastHandledRefresh == l.verb+l.resource
	})
	p.stop()
}

// renewsWithout renews a token that is held, for which the right that is missing is not needed. It stays ready.
func (s *stage) renewsWithout(p *process, l loss) {
	s.t.Helper()
	former := s.tenant("soc").Status.Tokens[0].TokenID
	s.refresh("soc", "without "+l.verb)
	p.eventually("the token is renewed without the right", func() bool {
		status := s.tenant("soc").Status
		return status.LastHandledRefresh == "without "+l.verb && status.Tokens[0].TokenID != former && s.isReady("soc")
	})
	if c := s.condition("soc", v1alpha1.ConditionDegraded); c.Status != metav1.ConditionFalse {
		s.t.Errorf("it is degraded: %+v", c)
	}
	if c := s.condition("soc", v1alpha1.ConditionStalled); c.Reason != l.condition {
		s.t.Errorf("nothing names the right any more: %+v", c)
	}
}

// namesRight tells whether one line of the log has verb and resource.
func namesRight(log string, l loss) bool {
	resource, _, _ := strings.Cut(l.resource, "/")
	for line := range strings.Lines(log) {
		if strings.Contains(line, l.verb) && strings.Contains(line, resource) && (strings.Contains(line, "forbidden") || strings.Contains(line, "Missing")) {
			return true
		}
	}
	return false
}

// TestWhereTheOperatorMayNotAsk for its rights it finds out which are missing, and when they come.
func TestWhereTheOperatorMayNotAsk(t *testing.T) {
	s := newStage(t)
	s.install("default")
	s.platform("soc")
	s.customer("soc")
	s.environment = []string{"KUBE_FEATURE_WatchListClient=false"}
	s.kubectl("delete", "clusterrolebinding", "system:basic-user")
	s.take("create", "selfsubjectaccessreviews")
	giveBack := s.take("list", "secrets")
	p := s.start()
	p.eventually("the condition names the right", func() bool {
		c := s.condition("soc", v1alpha1.ConditionStalled)
		return c.Reason == v1alpha1.ReasonNoSecretRight && strings.Contains(c.Message, "may not list secrets in all namespaces")
	})
	giveBack()
	p.eventually("there is a token", func() bool { return s.isReady("soc") })
	log := p.log.text()
	if told := strings.Count(log, "selfsubjectaccessreviews\""); told != 1 {
		t.Errorf("the log names the right to ask %d times, want once", told)
	}
	p.stop()
}

// TestNobodyWaitsForCredentialsThatCannotBeListed: a grant that is taken away empties its Secret all the same.
func TestNobodyWaitsForCredentialsThatCannotBeListed(t *testing.T) {
	s := newStage(t)
	s.install("hardened") // with the standard profile the right to the Secrets of all namespaces would do
	s.platform("soc")
	s.customer("soc")
	p := s.start("--secret-access=Namespace")
	p.eventually("the right to the namespace is missing", func() bool {
		return s.condition("soc", v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonNoSecretRight
	})
	s.applyFrom(s.condition("soc", v1alpha1.ConditionStalled).Message)
	p.eventually("there is a token", func() bool { return s.isReady("soc") })
	p.stop()
	s.environment = []string{"KUBE_FEATURE_WatchListClient=false"}
	giveBack := s.take("list", "credentials")
	p = s.start("--secret-access=Namespace")
	s.refresh("soc", "without credentials")
	p.eventually("the object says what is missing", func() bool {
		c := s.condition("soc", v1alpha1.ConditionStalled)
		return c.Reason == v1alpha1.ReasonCredentialUnusable && strings.Contains(c.Message, "may not list secrets in namespace "+own)
	})
	if !s.isReady("soc") {
		t.Error("it is not ready, although its token runs")
	}
	if log := p.log.text(); !strings.Contains(log, `cannot list resource \"secrets\" in API group \"\" in the namespace \"defender-system\"`) {
		t.Error("the log does not name the right")
	}
	grant := &v1alpha1.DefenderGrant{}
	s.must(s.Get(t.Context(), types.NamespacedName{Name: "partner"}, grant))
	s.must(s.Delete(t.Context(), grant))
	p.eventually("the Secret is empty", func() bool {
		secret := s.secret("soc", "contoso-xdr")
		return string(secret.Data[v1alpha1.KeyState]) == "AccessRevoked" && len(secret.Data[v1alpha1.KeyToken]) == 0
	})
	s.create(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: "partner"}, Spec: grant.Spec})
	giveBack()
	p.eventually("there is a token again", func() bool { return s.isReady("soc") })
	p.stop()
}

// take removes one verb on one resource from every role of ours, and gives it back. The Secrets of the operator's own
// namespace are called credentials.
func (s *stage) take(verb, resource string) (giveBack func()) {
	s.t.Helper()
	everywhere, here := resource, resource
	switch resource {
	case "secrets":
		here = ""
	case "credentials":
		everywhere, here = "", "secrets"
	}
	wide := &rbacv1.ClusterRoleList{}
	s.must(s.List(s.t.Context(), wide))
	narrow := &rbacv1.RoleList{}
	s.must(s.List(s.t.Context(), narrow, client.InNamespace(own)))
	var back []func()
	change := func(role client.Object, rules *[]rbacv1.PolicyRule, resource string) {
		if !strings.HasPrefix(role.GetName(), account) {
			return
		}
		before := client.MergeFrom(role.DeepCopyObject().(client.Object))
		all := *rules
		*rules = lessen(all, verb, resource)
		s.must(s.Patch(s.t.Context(), role, before))
		back = append(back, func() {
			before := client.MergeFrom(role.DeepCopyObject().(client.Object))
			*rules = all
			s.must(s.Patch(s.t.Context(), role, before))
		})
	}
	for i := range wide.Items {
		change(&wide.Items[i], &wide.Items[i].Rules, everywhere)
	}
	for i := range narrow.Items {
		change(&narrow.Items[i], &narrow.Items[i].Rules, here)
	}
	return func() {
		for _, f := range back {
			f()
		}
	}
}

// lessen leaves one verb on one resource out.
func lessen(rules []rbacv1.PolicyRule, verb, resource string) []rbacv1.PolicyRule {
	var left []rbacv1.PolicyRule
	for _, rule := range rules {
		for _, r := range rule.Resources {
			one := *rule.DeepCopy()
			one.Resources = []string{r}
			if r == resource {
				one.Verbs = slices.DeleteFunc(one.Verbs, func(v string) bool { return v == verb })
			}
			if len(one.Verbs) > 0 {
				left = append(left, one)
			}
		}
	}
	return left
}
