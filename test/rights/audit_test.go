package rights

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// right is one thing that may be done.
type right struct {
	verb, group, resource string // with its subresource
	namespace             string // empty: in all, and what is in none
	name                  string // empty: any
}

// String is for people.
func (r right) String() string {
	return fmt.Sprintf("%s %s.%s name=%q namespace=%q", r.verb, r.resource, r.group, r.name, r.namespace)
}

// granted are the rights that bindings give the operator's service account.
func (s *stage) granted() []right {
	s.t.Helper()
	var all []right
	var wide rbacv1.ClusterRoleBindingList
	s.must(s.List(s.t.Context(), &wide))
	for _, binding := range wide.Items {
		if names(binding.Subjects) {
			all = append(all, s.rules(binding.RoleRef, "")...)
		}
	}
	var narrow rbacv1.RoleBindingList
	s.must(s.List(s.t.Context(), &narrow))
	for _, binding := range narrow.Items {
		if names(binding.Subjects) {
			all = append(all, s.rules(binding.RoleRef, binding.Namespace)...)
		}
	}
	return all
}

func names(subjects []rbacv1.Subject) bool {
	return slices.Contains(subjects, rbacv1.Subject{Kind: "ServiceAccount", Namespace: own, Name: account})
}

func (s *stage) rules(ref rbacv1.RoleRef, namespace string) []right {
	s.t.Helper()
	var rules []rbacv1.PolicyRule
	if ref.Kind == "ClusterRole" {
		role := &rbacv1.ClusterRole{}
		s.must(s.Get(s.t.Context(), client.ObjectKey{Name: ref.Name}, role))
		rules = role.Rules
	} else {
		role := &rbacv1.Role{}
		s.must(s.Get(s.t.Context(), client.ObjectKey{Namespace: namespace, Name: ref.Name}, role))
		rules = role.Rules
	}
	var all []right
	for _, rule := range rules {
		if len(rule.NonResourceURLs) > 0 {
			s.t.Errorf("%s %s grants %v", ref.Kind, ref.Name, rule.NonResourceURLs)
		}
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						all = append(all, right{verb: verb, group: group, resource: resource, namespace: namespace, name: name})
					}
				}
			}
		}
	}
	return all
}

// event is a line of the audit log, as far as it matters.
type event struct {
	Verb        string
	RequestURI  string
	User        struct{ Username string }
	ObjectRef   *struct{ Resource, Namespace, Name, APIGroup, Subresource string }
	Annotations map[string]string
}

// requests are those of the operator after the first so many bytes of the audit log.
func (s *stage) requests(after int) []event {
	s.t.Helper()
	text, err := os.ReadFile(s.auditLog)
	s.must(err)
	var all []event
	for line := range bytes.Lines(text[after:]) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue // it is being written
		}
		if e.User.Username == "system:serviceaccount:"+own+":"+account {
			all = append(all, e)
		}
	}
	return all
}

// written is how long the audit log is.
func (s *stage) written() int {
	s.t.Helper()
	info, err := os.Stat(s.auditLog)
	s.must(err)
	return int(info.Size())
}

func (e event) resource() string {
	return strings.TrimSuffix(e.ObjectRef.Resource+"/"+e.ObjectRef.Subresource, "/")
}

// uses tells whether a request needs this right.
func (e event) uses(r right) bool {
	return e.ObjectRef != nil && e.Verb == r.verb && e.ObjectRef.APIGroup == r.group && e.resource() == r.resource &&
		(r.namespace == "" || r.namespace == e.ObjectRef.Namespace) && (r.name == "" || r.name == e.ObjectRef.Name)
}

// compare gives the rights that no request needed, and the requests that no right of ours allowed.
func compare(granted []right, requests []event) (unused []right, uncovered []string) {
	// A request uses the narrowest right that allows it.
	narrowFirst := slices.SortedFunc(slices.Values(granted), func(a, b right) int { return cmp.Compare(b.namespace, a.namespace) })
	used := map[right]bool{}
	for _, e := range requests {
		if i := slices.IndexFunc(narrowFirst, e.uses); i >= 0 {
			used[narrowFirst[i]] = true
		}
		reason := e.Annotations["authorization.k8s.io/reason"]
		builtIn := strings.Contains(reason, `of ClusterRole "system:`) // discovery, as everybody may
		if covered := slices.ContainsFunc(granted, e.uses); e.Annotations["authorization.k8s.io/decision"] != "allow" || !covered && !builtIn {
			uncovered = append(uncovered, e.Verb+" "+e.RequestURI+": "+cmp.Or(reason, "refused"))
		}
	}
	for _, r := range granted {
		if !used[r] {
			unused = append(unused, r)
		}
	}
	slices.Sort(uncovered)
	return unused, slices.Compact(uncovered)
}
