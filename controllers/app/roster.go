package app

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// gatherInterval lets many changes of who wants whom end in one look: thousands of customers may
// be onboarded in a minute.
const gatherInterval = 5 * time.Second

// roster knows which DefenderTenants want which customer. The watch fills it before the first look,
// and afterwards a change costs no more than the few that want the same customer.
type roster struct {
	mu      sync.Mutex
	wanting map[string][]wanter // by tenant ID
}

// wanter is one DefenderTenant.
type wanter struct{ namespace, name, app string }

// enter notes a DefenderTenant.
func (r *roster) enter(t *v1alpha1.DefenderTenant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanting == nil {
		r.wanting = map[string][]wanter{}
	}
	r.remove(t)
	r.wanting[t.Spec.TenantID] = append(r.wanting[t.Spec.TenantID], wanter{t.Namespace, t.Name, t.Spec.App})
}

// leave forgets a DefenderTenant.
func (r *roster) leave(t *v1alpha1.DefenderTenant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(t)
}

// remove needs mu.
func (r *roster) remove(t *v1alpha1.DefenderTenant) {
	left := slices.DeleteFunc(r.wanting[t.Spec.TenantID], func(w wanter) bool { return w.namespace == t.Namespace && w.name == t.Name })
	if len(left) == 0 {
		delete(r.wanting, t.Spec.TenantID)
		return
	}
	r.wanting[t.Spec.TenantID] = left
}

// sharing are the namespaces that want one customer, and the applications that they want it with.
type sharing struct {
	tenantID         string
	namespaces, apps []string
}

// of one customer; it is shared if there are several namespaces.
func (r *roster) of(tenantID string) sharing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return sharingOf(tenantID, r.wanting[tenantID])
}

func sharingOf(tenantID string, wanting []wanter) sharing {
	s := sharing{tenantID: tenantID}
	for _, w := range wanting {
		s.namespaces, s.apps = append(s.namespaces, w.namespace), append(s.apps, w.app)
	}
	slices.Sort(s.namespaces)
	slices.Sort(s.apps)
	s.namespaces, s.apps = slices.Compact(s.namespaces), slices.Compact(s.apps)
	return s
}

// shared are the customers that several namespaces want, at least one of them with this application.
func (r *roster) shared(app string) []sharing {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []sharing
	for tenantID, wanting := range r.wanting {
		if len(wanting) < 2 {
			continue
		}
		if s := sharingOf(tenantID, wanting); len(s.namespaces) > 1 && slices.Contains(s.apps, app) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b sharing) int { return strings.Compare(a.tenantID, b.tenantID) })
	return found
}

// onTenant keeps the roster, and looks at the applications for which a change makes a difference.
func (r *Reconciler) onTenant() handler.TypedEventHandler[*v1alpha1.DefenderTenant, reconcile.Request] {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	compared := func(q queue, tenantID string, change func()) {
		before := r.roster.of(tenantID)
		change()
		for _, app := range affected(before, r.roster.of(tenantID)) {
			q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: app}}, gatherInterval)
		}
	}
	return handler.TypedFuncs[*v1alpha1.DefenderTenant, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*v1alpha1.DefenderTenant], q queue) {
			compared(q, e.Object.Spec.TenantID, func() { r.roster.enter(e.Object) })
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*v1alpha1.DefenderTenant], q queue) {
			was, is := e.ObjectOld.Spec, e.ObjectNew.Spec
			if was.TenantID != is.TenantID { // another one of the same name
				compared(q, was.TenantID, func() { r.roster.leave(e.ObjectOld) })
			}
			if was.TenantID != is.TenantID || was.App != is.App {
				compared(q, is.TenantID, func() { r.roster.enter(e.ObjectNew) })
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*v1alpha1.DefenderTenant], q queue) {
			compared(q, e.Object.Spec.TenantID, func() { r.roster.leave(e.Object) })
		},
	}
}

// affected are the applications that have something else to tell of a customer than before.
func affected(before, after sharing) []string {
	if len(before.namespaces) < 2 && len(after.namespaces) < 2 ||
		slices.Equal(before.namespaces, after.namespaces) && slices.Equal(before.apps, after.apps) {
		return nil
	}
	apps := slices.Concat(before.apps, after.apps)
	slices.Sort(apps)
	return slices.Compact(apps)
}
