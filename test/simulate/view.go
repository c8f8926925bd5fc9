package simulate

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// view is what a cache shows of one kind, with its informer. It hands out what it holds without copying, as the
// operator's cache is set up to do.
type view struct {
	cache.Informer // the rest of the interface: nobody calls it
	kind           reflect.Type
	selects        func(client.Object) bool
	started        bool // changes arrive by the watch from now on

	mu       sync.Mutex
	names    []client.ObjectKey // sorted
	objects  map[client.ObjectKey]client.Object
	indexes  map[string]*index
	handlers []toolscache.ResourceEventHandler
}

// index finds objects by a value.
type index struct {
	values  client.IndexerFunc
	objects map[string][]client.ObjectKey // sorted
}

func newView(kind client.Object, selects func(client.Object) bool) *view {
	return &view{kind: reflect.TypeOf(kind), selects: selects, objects: map[client.ObjectKey]client.Object{}, indexes: map[string]*index{}}
}

func (v *view) shows(o client.Object) bool {
	return o != nil && reflect.TypeOf(o) == v.kind && v.selects(o)
}

func compareKeys(a, b client.ObjectKey) int {
	if order := strings.Compare(a.Namespace, b.Namespace); order != 0 {
		return order
	}
	return strings.Compare(a.Name, b.Name)
}

func insert(keys []client.ObjectKey, key client.ObjectKey) []client.ObjectKey {
	at, found := slices.BinarySearchFunc(keys, key, compareKeys)
	if found {
		return keys
	}
	return slices.Insert(keys, at, key)
}

func remove(keys []client.ObjectKey, key client.ObjectKey) []client.ObjectKey {
	at, found := slices.BinarySearchFunc(keys, key, compareKeys)
	if !found {
		return keys
	}
	return slices.Delete(keys, at, at+1)
}

// apply makes a change visible.
func (v *view) apply(before, after client.Object) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if before != nil {
		key := client.ObjectKeyFromObject(before)
		for _, ix := range v.indexes {
			ix.forget(before, key)
		}
		if after == nil {
			delete(v.objects, key)
			v.names = remove(v.names, key)
		}
	}
	if after != nil {
		key := client.ObjectKeyFromObject(after)
		v.objects[key] = after
		v.names = insert(v.names, key)
		for _, ix := range v.indexes {
			ix.add(after, key)
		}
	}
}

func (ix *index) add(o client.Object, key client.ObjectKey) {
	for _, value := range ix.values(o) {
		ix.objects[value] = insert(ix.objects[value], key)
	}
}

func (ix *index) forget(o client.Object, key client.ObjectKey) {
	for _, value := range ix.values(o) {
		ix.objects[value] = remove(ix.objects[value], key)
	}
}

// tell calls the handlers, as an informer does.
func (v *view) tell(before, after client.Object) {
	for _, h := range v.handlers {
		switch {
		case before == nil:
			h.OnAdd(after, false)
		case after == nil:
			h.OnDelete(before)
		default:
			h.OnUpdate(before, after)
		}
	}
}

// AddEventHandlerWithOptions starts a handler with all that is there.
func (v *view) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, _ toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	v.mu.Lock()
	v.handlers = append(v.handlers, h)
	v.started = true
	initial := make([]client.Object, 0, len(v.names))
	for _, key := range v.names {
		initial = append(initial, v.objects[key])
	}
	v.mu.Unlock()
	for _, o := range initial {
		h.OnAdd(o, true)
	}
	return registered{}, nil
}

// registered is a handler that has seen all that was there.
type registered struct {
	toolscache.ResourceEventHandlerRegistration
}

// HasSynced is true: the initial list was delivered on registration.
func (registered) HasSynced() bool { return true }

// find gives the objects of a list request in the order of their names.
func (v *view) find(namespace, field, value string) []client.Object {
	v.mu.Lock()
	defer v.mu.Unlock()
	keys := v.names
	if field != "" {
		keys = v.indexes[field].objects[value]
	}
	found := make([]client.Object, 0, len(keys))
	for _, key := range keys {
		if namespace == "" || key.Namespace == namespace {
			found = append(found, v.objects[key])
		}
	}
	return found
}

// viewCache is a cache of several kinds.
type viewCache struct {
	cache.Cache // the rest of the interface: nobody calls it
	all         []*view
	views       map[reflect.Type]*view
}

// GetInformer gives the informer of a kind.
func (c *viewCache) GetInformer(_ context.Context, o client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	return c.views[reflect.TypeOf(o)], nil
}

// WaitForCacheSync need not wait.
func (*viewCache) WaitForCacheSync(context.Context) bool { return true }

// IndexField prepares a field for lists.
func (c *viewCache) IndexField(_ context.Context, o client.Object, field string, values client.IndexerFunc) error {
	v := c.views[reflect.TypeOf(o)]
	v.mu.Lock()
	defer v.mu.Unlock()
	ix := &index{values: values, objects: map[string][]client.ObjectKey{}}
	v.indexes[field] = ix
	for _, key := range v.names {
		ix.add(v.objects[key], key)
	}
	return nil
}

// Get reads one object.
func (c *viewCache) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	v := c.views[reflect.TypeOf(into)]
	v.mu.Lock()
	defer v.mu.Unlock()
	found := v.objects[key]
	if found == nil {
		return apierrors.NewNotFound(resourceOf(into), key.Name)
	}
	assign(into, found)
	return nil
}

// List reads objects by namespace and by one indexed field.
func (c *viewCache) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	var asked client.ListOptions
	asked.ApplyOptions(options)
	field, value, err := requirement(asked.FieldSelector)
	if err != nil {
		return err
	}
	find := func(kind client.Object) []client.Object {
		return c.views[reflect.TypeOf(kind)].find(asked.Namespace, field, value)
	}
	switch list := into.(type) {
	case *corev1.SecretList:
		list.Items = items[corev1.Secret](find(&corev1.Secret{}))
	case *v1alpha1.DefenderTenantList:
		list.Items = items[v1alpha1.DefenderTenant](find(&v1alpha1.DefenderTenant{}))
	case *v1alpha1.DefenderGrantList:
		list.Items = items[v1alpha1.DefenderGrant](find(&v1alpha1.DefenderGrant{}))
	case *v1alpha1.DefenderAppList:
		list.Items = items[v1alpha1.DefenderApp](find(&v1alpha1.DefenderApp{}))
	default:
		return errUnknown
	}
	return nil
}

func requirement(selector fields.Selector) (field, value string, err error) {
	if selector == nil || selector.Empty() {
		return "", "", nil
	}
	requirements := selector.Requirements()
	if len(requirements) != 1 {
		return "", "", errUnknown
	}
	return requirements[0].Field, requirements[0].Value, nil
}

func items[T any](found []client.Object) []T {
	all := make([]T, len(found))
	for i, o := range found {
		if same, ok := o.(any).(*T); ok {
			all[i] = *same
		}
	}
	return all
}
