package guard

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// The customers.
const (
	contoso  = "11111111-1111-1111-1111-111111111111"
	fabrikam = "22222222-2222-2222-2222-222222222222"
)

// tokenSecret is a Secret as the operator writes it.
func tokenSecret(owner *v1alpha1.DefenderTenant, name string) *corev1.Secret {
	controller := true
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.Namespace, Name: name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "defender-tenant-operator"},
			Annotations: map[string]string{
				"defender.tenant-operator.dev/issued-at": "2026-05-04T12:00:00Z", "defender.tenant-operator.dev/expires-at": "2026-05-04T13:00:00Z",
				"defender.tenant-operator.dev/refresh-at": "2026-05-04T12:30:00Z", "defender.tenant-operator.dev/clock-skew": "6m0s",
				"defender.tenant-operator.dev/digest": "sha256:00",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "defender.tenant-operator.dev/v1alpha1", Kind: "DefenderTenant", Name: owner.Name, UID: owner.UID, Controller: &controller,
			}},
		},
		Type: "defender.tenant-operator.dev/access-token",
		Data: map[string][]byte{
			"token": []byte("t"), "authorization": []byte("Bearer t"), "expiresAt": []byte("2026-05-04T13:00:00Z"), "tenantID": []byte(contoso),
			"clientID": []byte("c"), "resource": []byte("r"), "apiURL": []byte("u"), "state": []byte("Valid"), "token.json": []byte("{}"), "token.env": []byte("T=t"),
		},
	}
}

// newOwner is a DefenderTenant that the garbage collector finds, and that no grant allows anything.
func newOwner(t *testing.T) *v1alpha1.DefenderTenant {
	t.Helper()
	owner := &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(t), Name: "contoso"},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: contoso, App: "partner"},
	}
	must(t, shared.Create(t.Context(), owner))
	return owner
}

// TestTheOperatorWritesNothingButTokenSecrets: what the service account may do, whoever uses it.
func TestTheOperatorWritesNothingButTokenSecrets(t *testing.T) {
	owner := newOwner(t)
	namespace := owner.Namespace
	operator := as(t, operatorUser, "")
	// The roles of the operator are no help here: they allow all Secrets.
	opaque := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "somebody-elses"}, Data: map[string][]byte{"k": []byte("v")}}
	must(t, shared.Create(t.Context(), opaque))

	const attempt = "ValidatingAdmissionPolicy 'defender-operator-secrets' with binding 'defender-operator-secrets' denied request: " +
		"system:serviceaccount:defender-system:defender-tenant-operator may not "
	const remedy = ". That is nothing the operator does: the platform team must find out who uses its service account."

	t.Run("create", func(t *testing.T) {
		for i, row := range []struct {
			name    string
			change  func(*corev1.Secret)
			refused string
		}{
			{"as the operator writes it", func(*corev1.Secret) {}, ""},
			{"an emptied one", func(s *corev1.Secret) { s.Data["token"], s.Data["authorization"], s.Data["expiresAt"] = nil, nil, nil }, ""},
			{"without formats and clock skew", func(s *corev1.Secret) {
				delete(s.Data, "token.json")
				delete(s.Data, "token.env")
				delete(s.Annotations, "defender.tenant-operator.dev/clock-skew")
			}, ""},
			{
				"no type", func(s *corev1.Secret) { s.Type = "" },
				" of type Opaque, only Secrets of type defender.tenant-operator.dev/access-token",
			},
			{"a service account's token", func(s *corev1.Secret) {
				s.Type = corev1.SecretTypeServiceAccountToken
				s.Annotations["kubernetes.io/service-account.name"] = "default"
			}, " of type kubernetes.io/service-account-token, only Secrets of type defender.tenant-operator.dev/access-token"},
			{"no label", func(s *corev1.Secret) { s.Labels = nil }, " without its label app.kubernetes.io/managed-by"},
			{"the label of another program", func(s *corev1.Secret) { s.Labels["app.kubernetes.io/managed-by"] = "Helm" }, " without its label app.kubernetes.io/managed-by"},
			{
				"no owner", func(s *corev1.Secret) { s.OwnerReferences = nil },
				" without a DefenderTenant as its controller, or with one whose deletion it would block",
			},
			{
				"no controller", func(s *corev1.Secret) { s.OwnerReferences[0].Controller = nil },
				" without a DefenderTenant as its controller, or with one whose deletion it would block",
			},
			{
				"a Deployment as owner", func(s *corev1.Secret) {
					s.OwnerReferences[0].APIVersion, s.OwnerReferences[0].Kind = "apps/v1", "Deployment"
				},
				" without a DefenderTenant as its controller, or with one whose deletion it would block",
			},
			{
				"a DefenderTenant of another group", func(s *corev1.Secret) { s.OwnerReferences[0].APIVersion = "example.com/v1" },
				" without a DefenderTenant as its controller, or with one whose deletion it would block",
			},
			{
				"blocks the deletion of its owner", blocking,
				" without a DefenderTenant as its controller, or with one whose deletion it would block",
			},
			{"a second owner", func(s *corev1.Secret) {
				s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "other"})
			}, " with owners besides its DefenderTenant, or change them"},
			{"a foreign key", func(s *corev1.Secret) { s.Data["kubeconfig"] = []byte("k") }, " with keys that no token Secret has"},
			{"immutable", func(s *corev1.Secret) { yes := true; s.Immutable = &yes }, " and make it immutable"},
			{"a foreign label", func(s *corev1.Secret) { s.Labels["argocd.argoproj.io/secret-type"] = "cluster" }, " with labels that are not its own"},
			{"a foreign annotation", func(s *corev1.Secret) { s.Annotations["replicator.v1.mittwald.de/replicate-to"] = "*" }, " with annotations that are not its own"},
			{"a finalizer", func(s *corev1.Secret) { s.Finalizers = []string{"example.com/hold"} }, " with a finalizer"},
		} {
			t.Run(row.name, func(t *testing.T) {
				secret := tokenSecret(owner, fmt.Sprintf("create-%d", i))
				row.change(secret)
				want := row.refused
				if want != "" {
					want = attempt + "create Secret " + namespace + "/" + secret.Name + row.refused + remedy
				}
				assertDenied(t, operator.Create(t.Context(), secret), want)
			})
		}
	})

	t.Run("update", func(t *testing.T) {
		for i, row := range []struct {
			name    string
			before  func(*corev1.Secret)
			change  func(*corev1.Secret)
			refused string
		}{
			{"renewed", nil, func(s *corev1.Secret) { s.Data["token"] = []byte("another") }, ""},
			{"emptied", nil, func(s *corev1.Secret) { s.Data["token"], s.Data["state"] = nil, []byte("AccessRevoked") }, ""},
			{"its annotations follow", nil, func(s *corev1.Secret) { delete(s.Annotations, "defender.tenant-operator.dev/expires-at") }, ""},
			{"mends the label", func(s *corev1.Secret) { s.Labels = nil }, func(s *corev1.Secret) {
				s.Labels = map[string]string{"app.kubernetes.io/managed-by": "defender-tenant-operator"}
			}, ""},
			{"drops a foreign key", func(s *corev1.Secret) { s.Data["extra"] = []byte("x") }, func(s *corev1.Secret) { delete(s.Data, "extra") }, ""},
			{"emptied, although it blocks the deletion of its owner", blocking, func(s *corev1.Secret) { s.Data["token"] = nil }, ""},
			{
				"begins to block the deletion of its owner", nil, blocking,
				" with owners besides its DefenderTenant, or change them",
			},
			{"keeps what others added", foreignMarks, func(s *corev1.Secret) { s.Data["token"] = []byte("another") }, ""},
			{"takes a foreign annotation away", foreignMarks, func(s *corev1.Secret) { delete(s.Annotations, "example.com/note") }, ""},
			{"changes a foreign annotation", foreignMarks, func(s *corev1.Secret) { s.Annotations["example.com/note"] = "other" }, " with annotations that are not its own"},
			{"changes a foreign label", foreignMarks, func(s *corev1.Secret) { s.Labels["example.com/team"] = "other" }, " with labels that are not its own"},
			{"adds a finalizer", nil, func(s *corev1.Secret) { s.Finalizers = []string{"example.com/hold"} }, " with a finalizer"},
			{"leaves the label out", nil, func(s *corev1.Secret) { s.Labels = nil }, " without its label app.kubernetes.io/managed-by"},
			{"adds a key", nil, func(s *corev1.Secret) { s.Data["extra"] = []byte("x") }, " with keys that no token Secret has"},
			{"makes it immutable", nil, func(s *corev1.Secret) { yes := true; s.Immutable = &yes }, " and make it immutable"},
			{
				"takes it over for another DefenderTenant", nil, func(s *corev1.Secret) { s.OwnerReferences[0].UID = "another" },
				" with owners besides its DefenderTenant, or change them",
			},
			{
				"adopts an orphan", func(s *corev1.Secret) { s.OwnerReferences = nil },
				func(s *corev1.Secret) { s.OwnerReferences = tokenSecret(owner, "x").OwnerReferences },
				" with owners besides its DefenderTenant, or change them",
			},
		} {
			t.Run(row.name, func(t *testing.T) {
				secret := tokenSecret(owner, fmt.Sprintf("update-%d", i))
				if row.before != nil {
					row.before(secret)
				}
				plant(t, secret)
				row.change(secret)
				want := row.refused
				if want != "" {
					want = attempt + "update Secret " + namespace + "/" + secret.Name + row.refused + remedy
				}
				assertDenied(t, operator.Update(t.Context(), secret), want)
			})
		}
		t.Run("somebody else's", func(t *testing.T) {
			secret := opaque.DeepCopy()
			secret.Data["k"] = []byte("overwritten")
			assertDenied(t, operator.Update(t.Context(), secret), attempt+"update Secret "+namespace+
				"/somebody-elses of type Opaque, only Secrets of type defender.tenant-operator.dev/access-token"+remedy)
		})
	})

	t.Run("delete", func(t *testing.T) {
		secret := tokenSecret(owner, "delete")
		secret.Labels, secret.Annotations = nil, nil // whatever became of it
		plant(t, secret)
		must(t, operator.Delete(t.Context(), secret))
		assertDenied(t, operator.Delete(t.Context(), opaque.DeepCopy()), attempt+"delete Secret "+namespace+
			"/somebody-elses of type Opaque, only Secrets of type defender.tenant-operator.dev/access-token"+remedy)
	})

	t.Run("others may do all that", func(t *testing.T) {
		admin := as(t, "root", "system:masters")
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "by-root"}}
		must(t, admin.Create(t.Context(), secret))
		secret.Data = map[string][]byte{"k": nil}
		must(t, admin.Update(t.Context(), secret))
		must(t, admin.Delete(t.Context(), secret))
	})
}

func blocking(s *corev1.Secret) {
	yes := true
	s.OwnerReferences[0].BlockOwnerDeletion = &yes
}

func foreignMarks(s *corev1.Secret) {
	s.Labels["example.com/team"], s.Annotations["example.com/note"] = "soc", "ours"
	s.Finalizers = []string{"example.com/hold"}
}

// plant creates a token Secret past the policies, as if it had been there before them.
func plant(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	exempt := as(t, "system:kube-controller-manager", "system:masters")
	must(t, exempt.Create(t.Context(), secret))
}

// assertDenied compares the whole sentence that people read; empty means that nothing is refused.
func assertDenied(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if err == nil {
		t.Errorf("was not refused, want %q", want)
		return
	}
	_, got, _ := strings.Cut(err.Error(), " is forbidden: ")
	if got != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}
