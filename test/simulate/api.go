package simulate

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/controllers/tenant"
)

// watchLag is how long a write takes to reach the caches.
const watchLag = 10 * time.Millisecond

// errUnknown is for what the operator has no business to do; the API server of the simulation cannot do it.
var errUnknown = errors.New("the API server of the simulation does not do this")

// api is an API server in memory. It keeps of Secrets only what the cache keeps, so that ten thousand of them are
// small; the judge sees them before.
type api struct {
	clocks    *clocks
	conductor *conductor
	views     []*view
	onSecret  func(secret *corev1.Secret) // sees each version as a workload does; without data it was deleted

	mu      sync.Mutex
	version int64
	objects map[objectKey]client.Object
	writes  int
}

// objectKey names an object of any kind.
type objectKey struct {
	kind reflect.Type
	types.NamespacedName
}

func keyOf(o client.Object) objectKey {
	return objectKey{reflect.TypeOf(o), client.ObjectKeyFromObject(o)}
}

func resourceOf(o client.Object) schema.GroupResource {
	switch o.(type) {
	case *corev1.Secret:
		return corev1.Resource("secrets")
	case *v1alpha1.DefenderTenant:
		return schema.GroupResource{Group: v1alpha1.Group, Resource: "defendertenants"}
	default:
		return schema.GroupResource{Group: v1alpha1.Group, Resource: "others"}
	}
}

// Get reads what was written last, whatever the caches show.
func (a *api) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.objects[objectKey{reflect.TypeOf(into), key}]
	if found == nil {
		return apierrors.NewNotFound(resourceOf(into), key.Name)
	}
	assign(into, found.DeepCopyObject())
	return nil
}

// List is not for live reads: the operator reads lists from its cache.
func (a *api) List(context.Context, client.ObjectList, ...client.ListOption) error { return errUnknown }

// Create stores a new object.
func (a *api) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.objects[keyOf(o)] != nil {
		return apierrors.NewAlreadyExists(resourceOf(o), o.GetName())
	}
	o.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", a.version+1)))
	o.SetCreationTimestamp(metav1.NewTime(a.clocks.world().Truncate(time.Second)))
	o.SetGeneration(1)
	return a.commit(nil, o)
}

// Update replaces an object in the version that was read.
func (a *api) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.objects[keyOf(o)]
	switch {
	case before == nil:
		return apierrors.NewNotFound(resourceOf(o), o.GetName())
	case o.GetResourceVersion() != before.GetResourceVersion():
		return apierrors.NewConflict(resourceOf(o), o.GetName(), errors.New("the object was written meanwhile"))
	}
	return a.commit(before, o)
}

// Delete removes an object if the preconditions hold.
func (a *api) Delete(_ context.Context, o client.Object, options ...client.DeleteOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.objects[keyOf(o)]
	if before == nil {
		return apierrors.NewNotFound(resourceOf(o), o.GetName())
	}
	var asked client.DeleteOptions
	asked.ApplyOptions(options)
	if p := asked.Preconditions; p != nil && (p.UID != nil && *p.UID != before.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != before.GetResourceVersion()) {
		return apierrors.NewConflict(resourceOf(o), o.GetName(), errors.New("the object was written meanwhile"))
	}
	delete(a.objects, keyOf(o))
	if secret, ok := before.(*corev1.Secret); ok {
		a.onSecret(&corev1.Secret{ObjectMeta: secret.ObjectMeta})
	}
	a.announce(before, nil)
	return nil
}

// patchStatus stores the status that a merge patch leads to. One writer writes it, so that this is the whole of it.
func (a *api) patchStatus(o client.Object) error {
	patched, ok := o.(*v1alpha1.DefenderTenant)
	if !ok {
		return errUnknown
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before, ok := a.objects[keyOf(o)].(*v1alpha1.DefenderTenant)
	if !ok {
		return apierrors.NewNotFound(resourceOf(o), o.GetName())
	}
	after := *before
	after.Status = *patched.Status.DeepCopy()
	err := a.commit(before, &after)
	patched.ObjectMeta = *after.ObjectMeta.DeepCopy()
	return err
}

// commit stores a version and gives the caller its number. The caller has locked.
func (a *api) commit(before, o client.Object) error {
	a.version++
	a.writes++
	o.SetResourceVersion(strconv.FormatInt(a.version, 10))
	stored, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return errUnknown
	}
	if secret, isSecret := stored.(*corev1.Secret); isSecret && secret.Type == v1alpha1.SecretType {
		a.onSecret(secret)
		if _, err := tenant.StripSecret(secret); err != nil {
			return err
		}
	}
	a.objects[keyOf(o)] = stored
	a.announce(before, stored)
	return nil
}

// announce tells the caches, after a while and in the order of the writes.
func (a *api) announce(before, after client.Object) {
	version := a.version
	for _, v := range a.views {
		if !v.shows(before) && !v.shows(after) {
			continue
		}
		if !v.started {
			v.apply(before, after)
			continue
		}
		time.AfterFunc(watchLag, func() {
			a.conductor.await(turnOfWatch, version)
			v.apply(before, after)
			v.tell(before, after)
		})
	}
}

// assign copies an object as a cache does, sharing what it points to.
func assign(into, from any) {
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(from).Elem())
}
