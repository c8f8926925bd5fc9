package guard

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// TestTheOperatorUnderTheGuard runs the operator's process with the rights and under the policies that are shipped.
func TestTheOperatorUnderTheGuard(t *testing.T) {
	o := startOperator(t)
	t.Run("a customer's life without one denial", o.life)
	t.Run("a revoked grant empties the Secret within ten seconds", o.revokes)
	t.Run("a namespace that was deleted and made again", o.recreated)
	t.Run("a customer of two namespaces is shown to the platform team only", o.sharedTenant)
	t.Run("an immutable Secret with foreign annotations comes back without them", o.immutableWithForeignMarks)
	select {
	case <-o.ended:
		t.Error("the operator ended")
	default:
	}
	if t.Failed() {
		log, err := os.ReadFile(o.log)
		must(t, err)
		t.Logf("%s", log)
	}
}

// life is in stages with a DefenderTenant each: one alone would be at the end of its budget of requests.
func (o *operator) life(t *testing.T) {
	refused := denials(t)
	for name, stage := range map[string]func(*testing.T, *operator, string){
		"renewed, renamed, repaired": renewed, "ended without a successor": ended, "revoked, reduced, deleted": reduced,
	} {
		t.Run(name, func(t *testing.T) {
			namespace := newNamespace(t)
			must(t, shared.Create(t.Context(), newGrant(namespace)))
			stage(t, o, namespace)
		})
	}
	if now := denials(t); now != refused {
		t.Errorf("%d denials", now-refused)
	}
	log, err := os.ReadFile(o.log)
	must(t, err)
	if strings.Contains(string(log), "ValidatingAdmissionPolicy") || strings.Contains(string(log), "Forbidden") {
		t.Errorf("the log tells of denials:\n%s", log)
	}
}

func renewed(t *testing.T, _ *operator, namespace string) {
	t.Helper()
	object := newTenant(namespace, "contoso", v1alpha1.TokenSpec{Name: "xdr", API: "DefenderXDR", Formats: []v1alpha1.Format{"JSON", "Env"}})
	must(t, shared.Create(t.Context(), object))
	eventually(t, "a token is minted", func() bool { return state(t, namespace, "contoso-xdr") == "Valid" })

	t.Log("renewed, with what others had added")
	exempt := as(t, "system:kube-controller-manager", "system:masters")
	foreign := `{"metadata":{"labels":{"team":"soc"},"annotations":{"example.com/note":"ours"},"finalizers":["example.com/hold"]}}`
	must(t, exempt.Patch(t.Context(), read(t, namespace, "contoso-xdr"), client.RawPatch(types.MergePatchType, []byte(foreign))))
	refresh(t, object, "1", "contoso-xdr")
	kept := read(t, namespace, "contoso-xdr")
	if kept.Labels["team"] != "soc" || kept.Annotations["example.com/note"] != "ours" || len(kept.Finalizers) != 1 {
		t.Errorf("what others added is gone: %+v", kept.ObjectMeta)
	}
	clean := `{"metadata":{"labels":{"team":null},"annotations":{"example.com/note":null},"finalizers":null}}`
	must(t, exempt.Patch(t.Context(), kept, client.RawPatch(types.MergePatchType, []byte(clean))))

	t.Log("immutable, and replaced")
	frozen := read(t, namespace, "contoso-xdr")
	must(t, exempt.Patch(t.Context(), frozen, client.RawPatch(types.MergePatchType, []byte(`{"immutable":true}`))))
	refresh(t, object, "2", "contoso-xdr")
	if now := read(t, namespace, "contoso-xdr"); now.UID == frozen.UID || now.Immutable != nil {
		t.Error("the immutable Secret was not replaced")
	}

	t.Log("renamed")
	edit(t, object, func() { object.Spec.Tokens[0].SecretName = "renamed" })
	eventually(t, "the token is in the new Secret, and the old one is gone", func() bool {
		return state(t, namespace, "renamed") == "Valid" && state(t, namespace, "contoso-xdr") == "none"
	})

	t.Log("edited, and deleted by hand")
	edited := `{"data":{"token":"eA=="},"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`
	must(t, exempt.Patch(t.Context(), read(t, namespace, "renamed"), client.RawPatch(types.MergePatchType, []byte(edited))))
	eventually(t, "it is mended", func() bool {
		return len(held(t, namespace, "renamed")) > 1 && read(t, namespace, "renamed").Labels["app.kubernetes.io/managed-by"] == "defender-tenant-operator"
	})
	must(t, shared.Delete(t.Context(), read(t, namespace, "renamed")))
	eventually(t, "it is minted anew", func() bool { return state(t, namespace, "renamed") == "Valid" })
}

func ended(t *testing.T, o *operator, namespace string) {
	t.Helper()
	o.entra.SetLifetime(fabrikam, 5*time.Second)
	object := newTenant(
		namespace, "fabrikam",
		v1alpha1.TokenSpec{Name: "clear", API: "DefenderXDR", Formats: []v1alpha1.Format{"JSON"}},
		v1alpha1.TokenSpec{Name: "keep", API: "DefenderXDR", Formats: []v1alpha1.Format{"Env"}, OnExpiry: "Keep"},
		v1alpha1.TokenSpec{Name: "delete", API: "MicrosoftGraph", OnExpiry: "Delete"},
	)
	object.Spec.TenantID = fabrikam
	must(t, shared.Create(t.Context(), object))
	eventually(t, "all are minted", func() bool {
		return state(t, namespace, "fabrikam-clear") == "Valid" && state(t, namespace, "fabrikam-keep") == "Valid" && state(t, namespace, "fabrikam-delete") == "Valid"
	})
	o.entra.Withdraw(fabrikam, clientID)
	eventually(t, "each token ended as it has to", func() bool {
		return state(t, namespace, "fabrikam-clear") == "Expired" && state(t, namespace, "fabrikam-keep") == "Expired" && state(t, namespace, "fabrikam-delete") == "none"
	})
	if len(read(t, namespace, "fabrikam-clear").Data["token"]) > 0 || len(read(t, namespace, "fabrikam-keep").Data["token"]) == 0 {
		t.Error("Clear left a token, or Keep took it")
	}
	o.entra.SetLifetime(fabrikam, time.Hour)
	o.entra.Consent(fabrikam, clientID)
	annotate(t, object, "1")
	eventually(t, "all are back", func() bool {
		return state(t, namespace, "fabrikam-clear") == "Valid" && state(t, namespace, "fabrikam-keep") == "Valid" && state(t, namespace, "fabrikam-delete") == "Valid"
	})
}

func reduced(t *testing.T, _ *operator, namespace string) {
	t.Helper()
	object := newTenant(
		namespace, "contoso",
		v1alpha1.TokenSpec{Name: "xdr", API: "DefenderXDR"}, v1alpha1.TokenSpec{Name: "graph", API: "MicrosoftGraph", OnExpiry: "Keep"},
	)
	must(t, shared.Create(t.Context(), object))
	both := func(want string) func() bool {
		return func() bool {
			return state(t, namespace, "contoso-xdr") == want && state(t, namespace, "contoso-graph") == want
		}
	}
	eventually(t, "both are minted", both("Valid"))
	must(t, shared.Delete(t.Context(), newGrant(namespace)))
	eventually(t, "both are emptied", both("AccessRevoked"))
	must(t, shared.Create(t.Context(), newGrant(namespace)))
	eventually(t, "both are back", both("Valid"))
	edit(t, object, func() { object.Spec.Tokens = object.Spec.Tokens[:1] })
	eventually(t, "the Secret of the token that is no longer wanted is gone", func() bool { return state(t, namespace, "contoso-graph") == "none" })
	must(t, shared.Delete(t.Context(), object))
	eventually(t, "the other one is collected", func() bool { return state(t, namespace, "contoso-xdr") == "none" })
}

// revokes measures on the real process. The promise is ten seconds, whatever the machine is busy with.
func (o *operator) revokes(t *testing.T) {
	const promise = 10 * time.Second
	for _, row := range []struct {
		name   string
		revoke func(*v1alpha1.DefenderGrant)
	}{
		{"deleted", nil},
		{"another namespace", func(g *v1alpha1.DefenderGrant) { g.Spec.Namespaces = []string{"elsewhere"} }},
		{"another customer", func(g *v1alpha1.DefenderGrant) {
			g.Spec.TenantIDs = []string{fabrikam}
		}},
		{"another API", func(g *v1alpha1.DefenderGrant) { g.Spec.APIs = []string{"MicrosoftGraph"} }},
		{"another application", func(g *v1alpha1.DefenderGrant) { g.Spec.App = "another" }},
		{"fewer roles", func(g *v1alpha1.DefenderGrant) { g.Spec.MaxRoles = []string{"AdvancedHunting.Read.All"} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			namespace := newNamespace(t)
			grant := newGrant(namespace)
			must(t, shared.Create(t.Context(), grant))
			must(t, shared.Create(t.Context(), newTenant(namespace, "contoso")))
			eventually(t, "there is a token", func() bool { return state(t, namespace, "contoso-xdr") == "Valid" })

			revoked := time.Now()
			if row.revoke == nil {
				must(t, shared.Delete(t.Context(), grant))
			} else {
				row.revoke(grant)
				must(t, shared.Update(t.Context(), grant))
			}
			err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, promise, true, func(context.Context) (bool, error) {
				return state(t, namespace, "contoso-xdr") == "AccessRevoked", nil
			})
			if err != nil {
				t.Fatalf("the Secret is not emptied after %s", promise)
			}
			t.Logf("emptied after %s", time.Since(revoked).Round(time.Millisecond))
			data := read(t, namespace, "contoso-xdr").Data
			if len(data["token"])+len(data["authorization"])+len(data["expiresAt"]) > 0 {
				t.Error("something of the token is left")
			}
		})
	}
}

// recreated: a grant names a namespace by name only. What is in a new one of that name is judged anew.
func (o *operator) recreated(t *testing.T) {
	for _, row := range []struct {
		name    string
		granted bool
	}{{"still granted", true}, {"no longer granted", false}} {
		t.Run(row.name, func(t *testing.T) {
			name := newNamespace(t)
			grant := newGrant(name)
			must(t, shared.Create(t.Context(), grant))
			must(t, shared.Create(t.Context(), newTenant(name, "contoso")))
			eventually(t, "there is a token", func() bool { return state(t, name, "contoso-xdr") == "Valid" })
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			must(t, shared.Delete(t.Context(), namespace))
			eventually(t, "the namespace is gone", func() bool { return gone(t, namespace) })
			if !row.granted {
				must(t, shared.Delete(t.Context(), grant))
			}
			must(t, shared.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))

			// Whatever the operator would still do for the former namespace, it has done by the time that another
			// customer who came later has a token.
			later := newNamespace(t)
			must(t, shared.Create(t.Context(), newGrant(later)))
			must(t, shared.Create(t.Context(), newTenant(later, "contoso")))
			eventually(t, "somebody else has a token", func() bool { return state(t, later, "contoso-xdr") == "Valid" })
			if got := state(t, name, "contoso-xdr"); got != "none" {
				t.Fatalf("the new namespace has a Secret that nobody asked for: %s", got)
			}

			object := newTenant(name, "contoso")
			must(t, shared.Create(t.Context(), object))
			if row.granted {
				eventually(t, "there is a token", func() bool { return state(t, name, "contoso-xdr") == "Valid" })
				return
			}
			eventually(t, "it is refused", func() bool {
				must(t, shared.Get(t.Context(), client.ObjectKeyFromObject(object), object))
				ready := apimeta.FindStatusCondition(object.Status.Conditions, "Ready")
				return ready != nil && ready.Reason == "AccessDenied"
			})
			if got := state(t, name, "contoso-xdr"); got != "none" {
				t.Errorf("a token without a grant: %s", got)
			}
		})
	}
}

// sharedTenant wants one customer in two namespaces, of which only the platform team may learn.
func (o *operator) sharedTenant(t *testing.T) {
	const twice = "00000000-0000-0000-0000-000000000002" // first in any list
	var objects []*v1alpha1.DefenderTenant
	for range 2 {
		object := newTenant(newNamespace(t), "twice")
		object.Spec.TenantID = twice
		must(t, shared.Create(t.Context(), newGrant(object.Namespace)))
		must(t, shared.Create(t.Context(), object))
		objects = append(objects, object)
	}
	one, other := objects[0], objects[1]
	told := func() string {
		app := &v1alpha1.DefenderApp{}
		must(t, shared.Get(t.Context(), types.NamespacedName{Name: "partner"}, app))
		if c := apimeta.FindStatusCondition(app.Status.Conditions, "TenantsShared"); c != nil {
			return c.Message
		}
		return ""
	}
	entry := fmt.Sprintf("%s (%s, %s)", twice, min(one.Namespace, other.Namespace), max(one.Namespace, other.Namespace))
	eventually(t, "the DefenderApp tells of both", func() bool { return strings.Contains(told(), entry) })
	for _, object := range objects {
		must(t, shared.Get(t.Context(), client.ObjectKeyFromObject(object), object))
	}
	if strings.Contains(fmt.Sprintf("%+v", one.Status), other.Namespace) || strings.Contains(fmt.Sprintf("%+v", other.Status), one.Namespace) {
		t.Error("a DefenderTenant tells of the other namespace")
	}
	must(t, shared.Delete(t.Context(), one))
	eventually(t, "the DefenderApp tells of it no more", func() bool { return !strings.Contains(told(), twice) })
}

// immutableWithForeignMarks can only be from before the policies. The first attempt is refused for the annotation that
// goes with it; the next one starts from nothing.
func (o *operator) immutableWithForeignMarks(t *testing.T) {
	namespace := newNamespace(t)
	must(t, shared.Create(t.Context(), newGrant(namespace)))
	object := newTenant(namespace, "contoso")
	must(t, shared.Create(t.Context(), object))
	eventually(t, "there is a token", func() bool { return state(t, namespace, "contoso-xdr") == "Valid" })
	secret := read(t, namespace, "contoso-xdr")
	marks := `{"immutable":true,"metadata":{"annotations":{"example.com/note":"ours"}}}`
	exempt := as(t, "system:kube-controller-manager", "system:masters")
	must(t, exempt.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(marks))))
	annotate(t, object, "1")
	former := string(secret.Data["token"])
	eventually(t, "another Secret has a token", func() bool { return !slices.Contains([]string{"", former}, held(t, namespace, "contoso-xdr")) })
	if now := read(t, namespace, "contoso-xdr"); now.UID == secret.UID || now.Annotations["example.com/note"] != "" {
		t.Errorf("not another one, or the annotation came along: %+v", now.ObjectMeta)
	}
}

// refresh asks for new tokens and waits until each Secret has another one.
func refresh(t *testing.T, object *v1alpha1.DefenderTenant, value string, names ...string) {
	t.Helper()
	before := map[string]string{}
	for _, name := range names {
		before[name] = held(t, object.Namespace, name)
	}
	annotate(t, object, value)
	for _, name := range names {
		eventually(t, name+" has another token", func() bool {
			return !slices.Contains([]string{"", before[name]}, held(t, object.Namespace, name))
		})
	}
}

// annotate asks for a refresh.
func annotate(t *testing.T, object *v1alpha1.DefenderTenant, value string) {
	t.Helper()
	edit(t, object, func() {
		object.SetAnnotations(map[string]string{"defender.tenant-operator.dev/refresh-requested": value})
	})
}

// edit changes an object, again if somebody else wrote in between.
func edit(t *testing.T, object client.Object, change func()) {
	t.Helper()
	for {
		must(t, shared.Get(t.Context(), client.ObjectKeyFromObject(object), object))
		change()
		err := shared.Update(t.Context(), object)
		if !apierrors.IsConflict(err) {
			must(t, err)
			return
		}
	}
}

func newGrant(namespace string) *v1alpha1.DefenderGrant {
	return &v1alpha1.DefenderGrant{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: v1alpha1.DefenderGrantSpec{
			App: "partner", Namespaces: []string{namespace}, TenantIDs: []string{contoso, fabrikam}, APIs: []string{"DefenderXDR", "MicrosoftGraph"},
		},
	}
}

// read gives a Secret that has to be there.
func read(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	must(t, shared.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, secret))
	return secret
}

// held is what a Secret holds, nothing without a Secret: one that is replaced is gone for a moment.
func held(t *testing.T, namespace, name string) string {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if gone(t, secret) {
		return ""
	}
	return string(secret.Data["token"])
}

// state is what a Secret says of its token, none without a Secret.
func state(t *testing.T, namespace, name string) string {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if gone(t, secret) {
		return "none"
	}
	return string(secret.Data["state"])
}
