package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

type (
	created = event.TypedCreateEvent[*v1alpha1.DefenderTenant]
	updated = event.TypedUpdateEvent[*v1alpha1.DefenderTenant]
	deleted = event.TypedDeleteEvent[*v1alpha1.DefenderTenant]
)

const (
	contoso  = "11111111-1111-1111-1111-111111111111"
	fabrikam = "22222222-2222-2222-2222-222222222222"
)

// wants is a DefenderTenant, named namespace/name.
func wants(key, tenantID, app string) *v1alpha1.DefenderTenant {
	namespace, name, _ := strings.Cut(key, "/")
	return &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: tenantID, App: app},
	}
}

// later is a queue that notes what is to be looked at after a while; nothing else is expected of it.
type later struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	apps []string
}

// AddAfter notes.
func (q *later) AddAfter(request reconcile.Request, wait time.Duration) {
	q.apps = append(q.apps, fmt.Sprintf("%s in %s", request.Name, wait))
}

func (q *later) taken() []string {
	defer func() { q.apps = nil }()
	return q.apps
}

func TestRoster_LooksOnlyAtApplicationsForWhichAChangeMakesADifference(t *testing.T) {
	b := newBench(t)
	on, q := b.onTenant(), &later{}
	create := func(o *v1alpha1.DefenderTenant) func() {
		return func() { on.Create(t.Context(), created{Object: o}, q) }
	}
	update := func(was, is *v1alpha1.DefenderTenant) func() {
		return func() { on.Update(t.Context(), updated{ObjectOld: was, ObjectNew: is}, q) }
	}
	remove := func(o *v1alpha1.DefenderTenant) func() {
		return func() { on.Delete(t.Context(), deleted{Object: o}, q) }
	}
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"the first", create(wants("soc/a", contoso, "partner")), nil},
		{"another one in the same namespace", create(wants("soc/b", contoso, "partner")), nil},
		{"another customer elsewhere", create(wants("noc/a", fabrikam, "partner")), nil},
		{"in a second namespace", create(wants("noc/b", contoso, "other")), []string{"other in 5s", "partner in 5s"}},
		{"seen twice", create(wants("noc/b", contoso, "other")), nil},
		{"in a third namespace", create(wants("dev/a", contoso, "partner")), []string{"other in 5s", "partner in 5s"}},
		{"its status changed", update(wants("dev/a", contoso, "partner"), wants("dev/a", contoso, "partner")), nil},
		{"one of two in a namespace is gone", remove(wants("soc/b", contoso, "partner")), nil},
		{"with another application", update(wants("noc/b", contoso, "other"), wants("noc/b", contoso, "third")), []string{"other in 5s", "partner in 5s", "third in 5s"}},
		{"another customer of the same name", update(wants("dev/a", contoso, "partner"), wants("dev/a", fabrikam, "partner")), []string{"partner in 5s", "third in 5s", "partner in 5s"}},
		{"back to one namespace", remove(wants("noc/b", contoso, "third")), []string{"partner in 5s", "third in 5s"}},
		{"one that nobody knew is gone", remove(wants("noc/x", contoso, "third")), nil},
		{"the last", remove(wants("soc/a", contoso, "partner")), nil},
	} {
		step.do()
		if got := q.taken(); !slices.Equal(got, step.want) {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
	if _, ok := b.roster.wanting[contoso]; ok {
		t.Error("a customer whom nobody wants is remembered")
	}
}

func TestRoster_TenThousandCustomersWakeNobody(t *testing.T) {
	b := newBench(t)
	on, q := b.onTenant(), &later{}
	id := func(i int) string { return fmt.Sprintf("00000000-0000-4000-a000-%012d", i) }
	for i := range 10_000 {
		on.Create(t.Context(), created{Object: wants(fmt.Sprintf("soc/c%d", i), id(i), "partner"), IsInInitialList: true}, q)
	}
	if got := q.taken(); got != nil {
		t.Errorf("got %d looks", len(got))
	}
	on.Create(t.Context(), created{Object: wants("noc/c", id(4711), "partner")}, q)
	if got := q.taken(); !slices.Equal(got, []string{"partner in 5s"}) {
		t.Errorf("got %q", got)
	}
	if got := b.roster.shared("partner"); len(got) != 1 || got[0].tenantID != id(4711) {
		t.Errorf("got %v", got)
	}
}

func TestReconcile_TellsOfCustomersThatSeveralNamespacesWant(t *testing.T) {
	b := newBench(t, partner())
	b.reconcile(t)
	b.reconcile(t)
	for _, step := range []struct {
		name    string
		enter   []*v1alpha1.DefenderTenant
		leave   []*v1alpha1.DefenderTenant
		want    string
		patches int
	}{
		{"one namespace", []*v1alpha1.DefenderTenant{wants("soc/a", contoso, "partner"), wants("soc/b", contoso, "partner")}, nil, "", 1},
		{
			"two",
			[]*v1alpha1.DefenderTenant{wants("noc/a", contoso, "partner")},
			nil,
			"DefenderTenants in more than one namespace want the same customer: 11111111-1111-1111-1111-111111111111 (noc, soc). " +
				"If one of them should not, the platform team must take its namespace out of the DefenderGrants.", 2,
		},
		{"the same", nil, nil, "DefenderTenants in more than one namespace want the same customer: 11111111-1111-1111-1111-111111111111 (noc, soc). " +
			"If one of them should not, the platform team must take its namespace out of the DefenderGrants.", 2},
		{
			"one of another application does not concern this one",
			[]*v1alpha1.DefenderTenant{wants("soc/x", fabrikam, "other"), wants("noc/x", fabrikam, "other")},
			nil,
			"DefenderTenants in more than one namespace want the same customer: 11111111-1111-1111-1111-111111111111 (noc, soc). " +
				"If one of them should not, the platform team must take its namespace out of the DefenderGrants.", 2,
		},
		{
			"more namespaces than a message has room for",
			[]*v1alpha1.DefenderTenant{
				wants("n1/a", contoso, "other"), wants("n2/a", contoso, "other"), wants("n3/a", contoso, "other"), wants("n4/a", contoso, "other"), wants("n5/a", contoso, "other"),
			},
			nil,
			"DefenderTenants in more than one namespace want the same customer: 11111111-1111-1111-1111-111111111111 (n1, n2, n3, n4, n5 and 2 more). " +
				"If one of them should not, the platform team must take its namespace out of the DefenderGrants.", 3,
		},
		{"none", nil, []*v1alpha1.DefenderTenant{
			wants("noc/a", contoso, "partner"), wants("n1/a", contoso, "other"), wants("n2/a", contoso, "other"), wants("n3/a", contoso, "other"), wants("n4/a", contoso, "other"), wants("n5/a", contoso, "other"),
		}, "", 4},
		{"more customers than a message has room for", customersOfTwo(7), nil, "DefenderTenants in more than one namespace want the same customer: c1 (noc, soc), c2 (noc, soc), c3 (noc, soc), c4 (noc, soc), c5 (noc, soc) and 2 more. " +
			"If one of them should not, the platform team must take its namespace out of the DefenderGrants.", 5},
	} {
		for _, o := range step.enter {
			b.roster.enter(o)
		}
		for _, o := range step.leave {
			b.roster.leave(o)
		}
		b.reconcile(t)
		got := ""
		if c := apimeta.FindStatusCondition(b.read(t).Status.Conditions, "TenantsShared"); c != nil {
			got = c.Message
			if c.Status != metav1.ConditionTrue || c.Reason != "SeveralNamespaces" || c.ObservedGeneration != 3 {
				t.Errorf("%s: got %+v", step.name, c)
			}
		}
		if got != step.want || b.patches != step.patches {
			t.Errorf("%s: %d writes, want %d\ngot  %s\nwant %s", step.name, b.patches, step.patches, got, step.want)
		}
	}
}

// customersOfTwo are wanted in two namespaces each.
func customersOfTwo(n int) []*v1alpha1.DefenderTenant {
	var all []*v1alpha1.DefenderTenant
	for i := range n {
		id := fmt.Sprintf("c%d", i+1)
		all = append(all, wants("soc/"+id, id, "partner"), wants("noc/"+id, id, "partner"))
	}
	return all
}
