package chaos

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// objectRows are about what people do to objects.
func objectRows() []row {
	return []row{
		secretDeleted(),
		secretEdited(),
		secretTerminating(),
		secretImmutable(),
		nameTaken("by a Secret without an owner", true, &corev1.Secret{Type: v1alpha1.SecretType}),
		nameTaken("by a Secret of another type", false, &corev1.Secret{Type: corev1.SecretTypeOpaque}),
		nameTaken("by an immutable Secret", false, &corev1.Secret{Type: v1alpha1.SecretType, Immutable: new(true)}),
		labelStripped(),
		ownerStripped(),
		namespaceRecreated(),
		steady(),
	}
}

// edit changes a customer's Secret behind the operator's back.
func (sc *scene) edit(i int, change func(*corev1.Secret)) {
	sc.t.Helper()
	secret := sc.held(i)
	before := client.MergeFrom(secret.DeepCopy())
	change(secret)
	sc.must(sc.Patch(sc.t.Context(), secret, before))
}

func secretDeleted() row {
	return row{
		matrix: "45", name: "Secret deleted by hand", always: true, budget: 1, bare: 5 * time.Second,
		play: func(sc *scene) {
			secret := sc.held(0)
			sc.gone(secret)
			sc.within(5*time.Second, "the Secret is back", func() bool {
				now := sc.held(0)
				return now.UID != secret.UID && len(now.Data[v1alpha1.KeyToken]) > 0
			})
		},
	}
}

func secretEdited() row {
	return row{
		matrix: "45", name: "Secret edited by hand", always: true, budget: 1, bare: 5 * time.Second,
		play: func(sc *scene) {
			const forged = "forged by hand"
			sc.edit(0, func(s *corev1.Secret) { s.Data[v1alpha1.KeyAuthorization] = []byte(forged) })
			sc.within(5*time.Second, "the Secret is mended", func() bool { return string(sc.held(0).Data[v1alpha1.KeyAuthorization]) != forged })
		},
	}
}

// secretTerminating is a Secret that somebody's finalizer keeps from going.
func secretTerminating() row {
	const finalizer = "example.com/keep"
	return row{
		matrix: "47", name: "finalizer on the Secret", budget: 2, bare: 5 * time.Second,
		play: func(sc *scene) {
			sc.edit(0, func(s *corev1.Secret) { s.Finalizers = []string{finalizer} })
			secret := sc.held(0)
			sc.gone(secret)
			sc.unaffected(0)
			if sc.held(0).UID != secret.UID {
				sc.t.Error("the Secret went in spite of its finalizer")
			}
			sc.edit(0, func(s *corev1.Secret) { s.Finalizers = nil })
			sc.within(5*time.Second, "the Secret is back", func() bool {
				now := sc.held(0)
				return now.UID != secret.UID && len(now.Data[v1alpha1.KeyToken]) > 0
			})
		},
	}
}

// secretImmutable would outlive its token: it is replaced.
func secretImmutable() row {
	return row{
		matrix: "47", name: "our Secret made immutable", always: true, budget: 1, bare: 2 * time.Second,
		play: func(sc *scene) {
			sc.edit(0, func(s *corev1.Secret) { s.Immutable = new(true) })
			sc.unaffected(0)
			if sc.held(0).Immutable != nil {
				sc.t.Error("the Secret is immutable still")
			}
		},
	}
}

// nameTaken puts another Secret where ours belongs. It stays as it is, and Entra ID is not even asked.
func nameTaken(name string, always bool, taker *corev1.Secret) row {
	return row{
		matrix: "47", name: "name taken " + name, always: always, budget: 1, bare: patience,
		play: func(sc *scene) {
			secret := sc.held(0)
			sc.gone(sc.now(0))
			sc.eventually("the Secret was collected", func() bool { return sc.held(0).UID == "" })
			taker.Namespace, taker.Name = secret.Namespace, secret.Name
			taker.Labels = map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
			taker.Data = map[string][]byte{"password": []byte("somebody else's")}
			sc.create(taker)
			before := sc.bytes(taker)
			sc.create(sc.tenant(0))
			sc.becomes(0, "Stalled=True SecretConflict")
			sc.is(0, "Ready=False SecretConflict")
			sc.pass(3 * time.Second)
			if sc.bytes(taker) != before {
				sc.t.Error("the Secret of somebody else was changed")
			}
			if made := sc.made(); made != 0 {
				sc.t.Errorf("%d token requests for a Secret that cannot be written", made)
			}
			sc.gone(taker)
		},
	}
}

func labelStripped() row {
	return row{
		matrix: "51", name: "label stripped from the Secret", budget: 1,
		play: func(sc *scene) {
			sc.edit(0, func(s *corev1.Secret) { s.Labels = nil })
			sc.within(5*time.Second, "the label is back", func() bool { return sc.held(0).Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedByValue })
		},
	}
}

// ownerStripped makes the Secret somebody else's: nothing tells any more that it was ours.
func ownerStripped() row {
	return row{
		matrix: "51", name: "owner stripped from the Secret", always: true, budget: 1, bare: patience,
		play: func(sc *scene) {
			sc.edit(0, func(s *corev1.Secret) { s.OwnerReferences = nil })
			sc.becomes(0, "Stalled=True SecretConflict")
			orphan := sc.held(0)
			before := sc.bytes(orphan)
			sc.pass(3 * time.Second)
			if sc.bytes(orphan) != before {
				sc.t.Error("a Secret without our owner reference was changed")
			}
			sc.gone(orphan)
		},
	}
}

// namespaceRecreated deletes everything in the namespace, and makes it anew under the same name.
func namespaceRecreated() row {
	return row{
		matrix: "50", name: "namespace deleted and recreated", always: true, tenants: 3, bare: patience,
		budget: 3 + 3, // one each, and one each for a Secret that went before its owner
		play: func(sc *scene) {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: sc.namespace}}
			sc.gone(namespace)
			sc.eventually("the namespace is gone", func() bool {
				return apierrors.IsNotFound(sc.Get(sc.t.Context(), types.NamespacedName{Name: sc.namespace}, &corev1.Namespace{}))
			})
			clear(sc.foreign)
			sc.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: sc.namespace}})
			sc.strangers()
			for i := range sc.tenantIDs {
				sc.create(sc.tenant(i))
			}
		},
	}
}

// steady is no fault at all: nothing is written without a cause.
func steady() row {
	return row{
		matrix: "55", name: "steady state", always: true, tenants: 3, life: 20 * time.Second,
		budget: 3 * 4, // a renewal each 8 to 10 seconds
		play: func(sc *scene) {
			sc.pass(5 * time.Second) // what the start still causes
			before := sc.made()
			w := sc.watch()
			sc.pass(22 * time.Second)
			counts := w.stop()
			renewals := sc.made() - before
			if renewals < 3*2 || counts.secrets > renewals || counts.tenants > renewals {
				sc.t.Errorf("%d renewals, %d writes of Secrets, %d of status", renewals, counts.secrets, counts.tenants)
			}
			if counts.events != 0 || counts.others != 0 {
				sc.t.Errorf("%d events, %d writes of other objects", counts.events, counts.others)
			}
		},
	}
}
