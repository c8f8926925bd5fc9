package tenant

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/keyring"
)

// queue is what handlers add to.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// add puts an object into the queue in its class, where the queue has classes.
func add(q queue, key types.NamespacedName, class urgency) {
	request := reconcile.Request{NamespacedName: key}
	if ordered, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		priority := int(class)
		ordered.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request)
		return
	}
	q.Add(request)
}

// onTenant looks at an object when it appears, goes, or is asked for something new. Our
// own status writes wake nobody.
func (r *Reconciler) onTenant() handler.Funcs {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			add(q, client.ObjectKeyFromObject(e.Object), hintOf(e.Object.(*v1alpha1.DefenderTenant), r.Clock.Now()))
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || newRequest(e) {
				add(q, client.ObjectKeyFromObject(e.ObjectNew), urgencyNormal)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			add(q, client.ObjectKeyFromObject(e.Object), urgencyNormal)
		},
	}
}

// newRequest tells whether somebody asks for a refresh.
func newRequest(e event.UpdateEvent) bool {
	was, is := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
	return was[v1alpha1.RefreshRequestedAnnotation] != is[v1alpha1.RefreshRequestedAnnotation]
}

// onSecret looks at the owner when one of its Secrets is gone or no longer as we wrote
// it. Our own writes leave data and digest in agreement and wake nobody.
func (r *Reconciler) onSecret() handler.Funcs {
	wake := func(o client.Object, q queue) { wakeOwner(q, o, urgencyNew) }
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList && !newHolding(e.Object.(*corev1.Secret)).Intact {
				wake(e.Object, q)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if controllerUID(e.ObjectOld) != controllerUID(e.ObjectNew) {
				wake(e.ObjectOld, q)
				wake(e.ObjectNew, q)
			} else if !newHolding(e.ObjectNew.(*corev1.Secret)).Intact {
				wake(e.ObjectNew, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { wake(e.Object, q) },
	}
}

// onSight looks at the tenants whose Secrets came into view, or for which the rights changed.
func (r *Reconciler) onSight(ctx context.Context, q queue, namespace string) {
	r.each(ctx, func(tenant *v1alpha1.DefenderTenant) {
		add(q, client.ObjectKeyFromObject(tenant), hintOf(tenant, r.Clock.Now()))
	}, client.InNamespace(namespace))
}

// wakeOwner adds the object that controls a Secret.
func wakeOwner(q queue, secret client.Object, class urgency) {
	if owner := metav1.GetControllerOf(secret); owner != nil && owner.Kind == "DefenderTenant" {
		add(q, types.NamespacedName{Namespace: secret.GetNamespace(), Name: owner.Name}, class)
	}
}

// onGrant looks at the tenants for which a grant says something else than before.
func (r *Reconciler) onGrant() handler.Funcs {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				r.wakeGranted(ctx, q, nil, &e.Object.(*v1alpha1.DefenderGrant).Spec)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			was, is := e.ObjectOld.(*v1alpha1.DefenderGrant), e.ObjectNew.(*v1alpha1.DefenderGrant)
			r.wakeGranted(ctx, q, &was.Spec, &is.Spec)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			r.wakeGranted(ctx, q, &e.Object.(*v1alpha1.DefenderGrant).Spec, nil)
		},
	}
}

func (r *Reconciler) wakeGranted(ctx context.Context, q queue, was, is *v1alpha1.DefenderGrantSpec) {
	// What is granted to those whom both name: if that is the same, they need no look.
	sameTerms := was != nil && is != nil && was.App == is.App &&
		slices.Equal(was.APIs, is.APIs) && slices.Equal(was.MaxRoles, is.MaxRoles)
	for _, namespace := range namespacesOf(was, is) {
		r.each(ctx, func(tenant *v1alpha1.DefenderTenant) {
			before := was != nil && grantNames(*was, namespace, tenant.Spec.TenantID, nil)
			after := is != nil && grantNames(*is, namespace, tenant.Spec.TenantID, nil)
			if before != after || before && !sameTerms {
				add(q, client.ObjectKeyFromObject(tenant), urgencyDead)
			}
		}, client.InNamespace(namespace))
	}
}

func namespacesOf(specs ...*v1alpha1.DefenderGrantSpec) []string {
	var all []string
	for _, spec := range specs {
		if spec != nil {
			all = append(all, spec.Namespaces...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// onApp looks at the tenants of an application when it says something else than before.
func (r *Reconciler) onApp() handler.Funcs {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				r.wakeApp(ctx, q, e.Object.GetName(), false)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			was, is := e.ObjectOld.(*v1alpha1.DefenderApp), e.ObjectNew.(*v1alpha1.DefenderApp)
			if was.Generation == is.Generation && was.UID == is.UID && !newRequest(e) {
				return
			}
			a, b := was.Spec.DeepCopy(), is.Spec.DeepCopy()
			a.Credentials, b.Credentials = nil, nil
			// A credential alone changes the answer only for those who have none yet.
			onlyCredentials := apiequality.Semantic.DeepEqual(a, b) && !newRequest(e)
			r.wakeApp(ctx, q, is.Name, onlyCredentials)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			r.wakeApp(ctx, q, e.Object.GetName(), false)
		},
	}
}

// onCredential looks at the tenants without a token when a credential's Secret changes.
func (r *Reconciler) onCredential() handler.Funcs {
	wake := func(ctx context.Context, o client.Object, q queue) {
		var apps v1alpha1.DefenderAppList
		if err := r.List(ctx, &apps); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Could not list DefenderApps; the next attempts will find the change")
			return
		}
		for _, app := range apps.Items {
			if slices.ContainsFunc(app.Spec.Credentials, func(c v1alpha1.Credential) bool { return keyring.SecretName(c) == o.GetName() }) {
				r.wakeApp(ctx, q, app.Name, true)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				wake(ctx, e.Object, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { wake(ctx, e.ObjectNew, q) },
	}
}

// wakeApp adds the tenants of an application, or only those whose last pass failed.
func (r *Reconciler) wakeApp(ctx context.Context, q queue, app string, onlyFailing bool) {
	r.Health.Reconsider(app)
	r.each(ctx, func(tenant *v1alpha1.DefenderTenant) {
		key := client.ObjectKeyFromObject(tenant)
		if !onlyFailing || r.memory.isFailing(key) {
			add(q, key, hintOf(tenant, r.Clock.Now()))
		}
	}, client.MatchingFields{tenantAppIndex: app})
}

// each visits cached objects without copying them: visit must not change them.
func (r *Reconciler) each(ctx context.Context, visit func(*v1alpha1.DefenderTenant), options ...client.ListOption) {
	var list v1alpha1.DefenderTenantList
	if err := r.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list DefenderTenants; the sweep will find them")
		return
	}
	for i := range list.Items {
		visit(&list.Items[i])
	}
}
