package guard

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const onlyTheOperator = ": only the operator writes Secrets of type defender.tenant-operator.dev/access-token. "

// TestNobodyElseWritesTokenSecrets: not even a cluster administrator.
func TestNobodyElseWritesTokenSecrets(t *testing.T) {
	owner := newOwner(t)
	root := as(t, "root", "system:masters")
	const denied = "ValidatingAdmissionPolicy 'defender-token-secrets' with binding 'defender-token-secrets' denied request: root may not "

	t.Run("create", func(t *testing.T) {
		want := denied + "create Secret " + owner.Namespace + "/restored" + onlyTheOperator +
			"Create a DefenderTenant, and the operator creates its Secrets; from a backup leave them out."
		assertDenied(t, root.Create(t.Context(), tokenSecret(owner, "restored")), want)
		bare := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: owner.Namespace, Name: "restored"}, Type: "defender.tenant-operator.dev/access-token"}
		assertDenied(t, root.Create(t.Context(), bare), want)
		bare.ManagedFields, bare.TypeMeta = nil, metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
		//nolint:staticcheck // what kubectl apply --server-side sends, without a generated configuration
		assertDenied(t, root.Patch(t.Context(), bare, client.Apply, client.FieldOwner("kubectl")), want)
		bare.Type = "example.com/access-token"
		must(t, root.Create(t.Context(), bare))
	})

	secret := tokenSecret(owner, "contoso-xdr")
	secret.Finalizers = []string{"example.com/hold", "example.com/another"}
	plant(t, secret)
	for _, row := range []struct {
		name    string
		change  func(*corev1.Secret)
		refused bool
	}{
		{"the token", func(s *corev1.Secret) { s.Data["token"] = []byte("mine") }, true},
		{"no data at all", func(s *corev1.Secret) { s.Data = nil }, true},
		{"its label", func(s *corev1.Secret) { s.Labels = nil }, true},
		{"kubectl label", func(s *corev1.Secret) { s.Labels["team"] = "soc" }, true},
		{"kubectl annotate", func(s *corev1.Secret) { s.Annotations["replicator.v1.mittwald.de/replicate-to"] = "*" }, true},
		{"the times", func(s *corev1.Secret) {
			s.Annotations["defender.tenant-operator.dev/refresh-at"] = "2036-05-04T12:30:00Z"
		}, true},
		{"its owner", func(s *corev1.Secret) { s.OwnerReferences = nil }, true},
		{"immutable", func(s *corev1.Secret) { yes := true; s.Immutable = &yes }, true},
		{"one more finalizer", func(s *corev1.Secret) { s.Finalizers = append(s.Finalizers, "example.com/third") }, true},
		{"nothing, to encrypt it anew", func(*corev1.Secret) {}, false},
		{"one finalizer less", func(s *corev1.Secret) { s.Finalizers = s.Finalizers[:1] }, false},
	} {
		t.Run("change "+row.name, func(t *testing.T) {
			changed := secret.DeepCopy()
			row.change(changed)
			want := ""
			if row.refused {
				want = denied + "change Secret " + owner.Namespace + "/contoso-xdr" + onlyTheOperator +
					"To have it written anew, delete it; to change what it holds, edit its DefenderTenant."
			}
			assertDenied(t, root.Update(t.Context(), changed, client.DryRunAll), want)
		})
	}
	t.Run("a type never changes, policy or no policy", func(t *testing.T) {
		changed := secret.DeepCopy()
		changed.Type = corev1.SecretTypeOpaque
		if err := root.Update(t.Context(), changed); !apierrors.IsInvalid(err) {
			t.Errorf("a token Secret became another one: %v", err)
		}
		other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: owner.Namespace, Name: "other"}}
		must(t, root.Create(t.Context(), other))
		other.Type = "defender.tenant-operator.dev/access-token"
		if err := root.Update(t.Context(), other); !apierrors.IsInvalid(err) {
			t.Errorf("another Secret became a token Secret: %v", err)
		}
	})
	t.Run("controllers of Kubernetes take owners away", func(t *testing.T) {
		for _, user := range []string{
			"system:serviceaccount:kube-system:generic-garbage-collector",
			"system:serviceaccount:kube-system:namespace-controller",
			"system:kube-controller-manager",
		} {
			changed := secret.DeepCopy()
			changed.OwnerReferences = nil
			must(t, as(t, user, "system:masters").Update(t.Context(), changed, client.DryRunAll))
		}
	})
	t.Run("a Secret that hangs in its deletion", func(t *testing.T) {
		must(t, root.Delete(t.Context(), secret))
		must(t, root.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
		if !gone(t, secret) {
			t.Error("the Secret is still there")
		}
	})
}

// TestDeletionsDoNotHang: the garbage collector and the namespace controller do their work under the policies.
func TestDeletionsDoNotHang(t *testing.T) {
	t.Run("with --cascade=orphan the Secret stays without its owner", func(t *testing.T) {
		owner := newOwner(t)
		secret := tokenSecret(owner, "contoso-xdr")
		plant(t, secret)
		must(t, shared.Delete(t.Context(), owner, client.PropagationPolicy(metav1.DeletePropagationOrphan)))
		eventually(t, "the DefenderTenant is gone", func() bool { return gone(t, owner) })
		if gone(t, secret) || len(secret.OwnerReferences) > 0 {
			t.Errorf("the Secret is gone, or has owners: %v", secret.OwnerReferences)
		}
	})
	t.Run("in the foreground the Secret goes first", func(t *testing.T) {
		owner := newOwner(t)
		secret := tokenSecret(owner, "contoso-xdr")
		plant(t, secret)
		must(t, shared.Delete(t.Context(), owner, client.PropagationPolicy(metav1.DeletePropagationForeground)))
		eventually(t, "both are gone", func() bool { return gone(t, owner) && gone(t, secret) })
	})
	t.Run("a namespace goes with all its Secrets", func(t *testing.T) {
		owner := newOwner(t)
		plant(t, tokenSecret(owner, "contoso-xdr"))
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: owner.Namespace}}
		must(t, shared.Delete(t.Context(), namespace))
		eventually(t, "the namespace is gone", func() bool { return gone(t, namespace) })
	})
}
