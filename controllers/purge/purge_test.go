package purge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// server is an API server with two pages of Secrets that answers as it is told to.
type server struct {
	client.Client // nothing else is asked
	pages         [][]corev1.Secret
	onList        func(list int) error
	onUpdate      func(try int, secret *corev1.Secret) error
	lists         int
	updates       map[string]int
}

func secretOf(name string) corev1.Secret {
	controller := true
	return corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "DefenderTenant", Name: "contoso", UID: types.UID("1"), Controller: &controller,
		}}},
		Type: v1alpha1.SecretType, Data: map[string][]byte{"token": []byte("canary")},
	}
}

func newServer(pages ...[]string) *server {
	s := &server{updates: map[string]int{}, onList: func(int) error { return nil }, onUpdate: func(int, *corev1.Secret) error { return nil }}
	for _, names := range pages {
		var page []corev1.Secret
		for _, name := range names {
			page = append(page, secretOf(name))
		}
		s.pages = append(s.pages, page)
	}
	return s
}

func (s *server) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	into, full := list.(*corev1.SecretList)
	if !full { // whether it may, before
		return nil
	}
	s.lists++
	if err := s.onList(s.lists); err != nil {
		return err
	}
	at := len(o.Continue)
	for _, secret := range s.pages[at] {
		into.Items = append(into.Items, *secret.DeepCopy())
	}
	if at+1 < len(s.pages) {
		into.Continue = o.Continue + "+"
	}
	return nil
}

func (s *server) find(name string) *corev1.Secret {
	for _, page := range s.pages {
		for i := range page {
			if page[i].Name == name {
				return &page[i]
			}
		}
	}
	return nil
}

func (s *server) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	s.find(key.Name).DeepCopyInto(object.(*corev1.Secret))
	return nil
}

func (s *server) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	secret := object.(*corev1.Secret)
	s.updates[secret.Name]++
	if err := s.onUpdate(s.updates[secret.Name], secret); err != nil {
		return err
	}
	secret.DeepCopyInto(s.find(secret.Name))
	return nil
}

func (s *server) tokens() (names []string) {
	for _, page := range s.pages {
		for _, secret := range page {
			if len(secret.Data["token"]) > 0 {
				names = append(names, secret.Name)
			}
		}
	}
	return names
}

var secrets = schema.GroupResource{Resource: "secrets"}

func TestPurge(t *testing.T) {
	for name, row := range map[string]struct {
		prepare func(*server)
		want    string // of the error
		left    string
	}{
		"two pages": {prepare: func(*server) {}},
		"the list grows old between two pages": {prepare: func(s *server) {
			s.onList = func(list int) error {
				if list == 2 {
					return apierrors.NewResourceExpired("too old")
				}
				return nil
			}
		}},
		"somebody else writes in between": {prepare: func(s *server) {
			s.onUpdate = func(try int, secret *corev1.Secret) error {
				if secret.Name == "b" && try < 3 {
					return apierrors.NewConflict(secrets, secret.Name, errors.New("canary"))
				}
				return nil
			}
		}},
		"somebody else writes all the time": {
			prepare: func(s *server) {
				s.onUpdate = func(_ int, secret *corev1.Secret) error {
					if secret.Name == "b" {
						return apierrors.NewConflict(secrets, secret.Name, errors.New("canary"))
					}
					return nil
				}
			},
			want: "empty Secret soc/b: Conflict; its token stays until it expires", left: "b",
		},
		"it is gone meanwhile": {prepare: func(s *server) {
			s.onUpdate = func(_ int, secret *corev1.Secret) error {
				if secret.Name == "b" {
					s.find("b").Data = nil
					return apierrors.NewNotFound(secrets, secret.Name)
				}
				return nil
			}
		}},
		"no answer to one write": {
			prepare: func(s *server) {
				s.onUpdate = func(_ int, secret *corev1.Secret) error {
					if secret.Name == "a" {
						return errors.New("canary")
					}
					return nil
				}
			},
			want: "empty Secret soc/a: no answer; its token stays until it expires", left: "a",
		},
	} {
		s := newServer([]string{"a", "b"}, []string{"c"})
		row.prepare(s)
		err := (&Purge{Client: s, Log: logr.Discard()}).Run(t.Context())
		if got := fmt.Sprint(err); err == nil && row.want != "" || err != nil && got != row.want {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
		if left := strings.Join(s.tokens(), " "); left != row.left {
			t.Errorf("%s: tokens are left in %q, want %q", name, left, row.left)
		}
	}
}

// TestPurge_StopsWithItsContext: without the lease an operator may fill what is emptied.
func TestPurge_StopsWithItsContext(t *testing.T) {
	s := newServer([]string{"a", "b"})
	ctx, stop := context.WithCancel(t.Context())
	s.onUpdate = func(int, *corev1.Secret) error { stop(); return nil }
	err := (&Purge{Client: s, Log: logr.Discard()}).Run(ctx)
	if err == nil || err.Error() != "go through all Secrets: stopped before the end: context canceled" || s.updates["b"] != 0 {
		t.Errorf("%v after %v", err, s.updates)
	}
}

func TestPurge_TellsWhatPeopleCanRead(t *testing.T) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("s%02d", i))
	}
	s := newServer(names)
	s.onUpdate = func(_ int, secret *corev1.Secret) error {
		return apierrors.NewForbidden(secrets, secret.Name, errors.New("canary"))
	}
	err := (&Purge{Client: s, Log: logr.Discard()}).Run(t.Context())
	if err == nil || strings.Count(err.Error(), "\n") != 20 || !strings.HasSuffix(err.Error(), "\nand 30 more") {
		t.Errorf("got %v", err)
	}
}

// hardened is an API server that lets Secrets be listed in single namespaces only.
type hardened struct {
	server
	tenants []v1alpha1.DefenderTenant
	open    []string
	listed  []string // where Secrets were
}

func (h *hardened) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	if into, ok := list.(*v1alpha1.DefenderTenantList); ok {
		into.Items = h.tenants
		return nil
	}
	if !slices.Contains(h.open, o.Namespace) {
		return apierrors.NewForbidden(secrets, "", errors.New("no right"))
	}
	if _, full := list.(*corev1.SecretList); full {
		h.listed = append(h.listed, o.Namespace)
	}
	return h.server.List(ctx, list, opts...)
}

func tenantIn(namespace, name string, holds ...string) v1alpha1.DefenderTenant {
	return v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Status: v1alpha1.DefenderTenantStatus{SecretNames: holds},
	}
}

// TestPurge_ClosedNamespaces: only one with tokens in it is worth stopping for.
func TestPurge_ClosedNamespaces(t *testing.T) {
	const refused = "no right to list Secrets in namespaces lost, taken, whose DefenderTenants hold tokens. " +
		"Bind the ClusterRole defender-tenant-operator-secrets there, or delete the DefenderTenants there, and their Secrets go with them"
	never := tenantIn("never", "contoso")
	for name, row := range map[string]struct {
		tenants []v1alpha1.DefenderTenant
		want    string
	}{
		"never let in": {tenants: []v1alpha1.DefenderTenant{tenantIn("soc", "contoso", "a"), never}},
		"shut out since": {
			tenants: []v1alpha1.DefenderTenant{
				tenantIn("taken", "contoso", "a"), tenantIn("soc", "contoso", "a"), never,
				tenantIn("lost", "contoso", "a"), tenantIn("lost", "fabrikam"), // the last one does not speak for all
			},
			want: refused,
		},
	} {
		h := &hardened{server: *newServer([]string{"a"}), tenants: row.tenants, open: []string{"soc"}}
		check := (&Purge{Client: h, Log: logr.Discard()}).Check(t.Context())
		if len(h.listed) > 0 || len(h.updates) > 0 {
			t.Errorf("%s: the check read Secrets in %q and wrote %v", name, h.listed, h.updates)
		}
		run := (&Purge{Client: h, Log: logr.Discard()}).Run(t.Context())
		for step, err := range map[string]error{"check": check, "run": run} {
			if got := fmt.Sprint(err); err == nil && row.want != "" || err != nil && got != row.want {
				t.Errorf("%s, %s: %v, want %q", name, step, err, row.want)
			}
		}
		if left := h.tokens(); len(left) > 0 || !slices.Equal(h.listed, []string{"soc"}) {
			t.Errorf("%s: went through %q, tokens are left in %q", name, h.listed, left)
		}
	}
}
