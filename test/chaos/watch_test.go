package chaos

import (
	"context"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// observer counts what is written in a namespace.
type observer struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	secrets, tenants, events, others atomic.Int64
}

// writes are counts of writes by kind.
type writes struct{ secrets, tenants, events, others int }

// watch starts to count, from now on.
func (sc *scene) watch() *observer {
	sc.t.Helper()
	ctx, cancel := context.WithCancel(sc.t.Context())
	o := &observer{cancel: cancel}
	api, err := client.NewWithWatch(sc.plane.Config, client.Options{Scheme: sc.Scheme()})
	sc.must(err)
	mine := client.InNamespace(sc.namespace)
	for _, kind := range []struct {
		list    client.ObjectList
		into    *atomic.Int64
		options []client.ListOption
	}{
		{&corev1.SecretList{}, &o.secrets, []client.ListOption{mine}},
		{&v1alpha1.DefenderTenantList{}, &o.tenants, []client.ListOption{mine}},
		{&eventsv1.EventList{}, &o.events, []client.ListOption{mine}},
		{&corev1.ConfigMapList{}, &o.others, []client.ListOption{mine}},
		{&v1alpha1.DefenderAppList{}, &o.others, []client.ListOption{client.MatchingFields{"metadata.name": sc.app}}},
		{&v1alpha1.DefenderGrantList{}, &o.others, []client.ListOption{client.MatchingFields{"metadata.name": sc.app}}},
	} {
		sc.must(sc.List(ctx, kind.list, kind.options...))
		version := kind.list.GetResourceVersion()
		from := append(kind.options, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
		w, err := api.Watch(ctx, kind.list, from...)
		sc.must(err)
		o.running.Go(func() { count(w, kind.into) })
	}
	return o
}

func count(w watch.Interface, into *atomic.Int64) {
	for event := range w.ResultChan() {
		if event.Type != watch.Error { // the end of the watch itself
			into.Add(1)
		}
	}
}

// stop ends the watch and gives what was counted.
func (o *observer) stop() writes {
	o.cancel()
	o.running.Wait()
	return writes{int(o.secrets.Load()), int(o.tenants.Load()), int(o.events.Load()), int(o.others.Load())}
}
