package simulate

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

const (
	clientID     = "00000000-0000-4000-9000-00000000000a"
	appName      = "partner"
	ownNamespace = "defender-system"
	credential   = "partner-secret"
	namespaces   = 10
	firstSecret  = "the-client-secret-that-expires"
	secondSecret = "the-client-secret-that-replaces-it"
)

// fleet are the customers.
type fleet struct {
	tenants  []customer
	byID     map[string]int
	byName   map[types.NamespacedName]int
	bySecret map[types.NamespacedName]int
}

// customer is one DefenderTenant.
type customer struct {
	id  string
	key types.NamespacedName
}

func newFleet(n int) *fleet {
	f := &fleet{byID: map[string]int{}, byName: map[types.NamespacedName]int{}, bySecret: map[types.NamespacedName]int{}}
	for i := range n {
		c := customer{
			id:  fmt.Sprintf("00000000-0000-4000-a000-%012d", i),
			key: types.NamespacedName{Namespace: fmt.Sprintf("soc-%d", i%namespaces), Name: fmt.Sprintf("customer-%05d", i)},
		}
		f.tenants = append(f.tenants, c)
		f.byID[c.id], f.byName[c.key] = i, i
		f.bySecret[types.NamespacedName{Namespace: c.key.Namespace, Name: c.key.Name + "-xdr"}] = i
	}
	return f
}

// apply creates all that the platform team and its namespaces apply.
func (f *fleet) apply(ctx context.Context, a *api) error {
	grant := &v1alpha1.DefenderGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "all"},
		Spec:       v1alpha1.DefenderGrantSpec{App: appName, TenantIDs: []string{v1alpha1.AnyTenant}, APIs: []string{string(v1alpha1.APIDefenderXDR)}},
	}
	for i := range namespaces {
		grant.Spec.Namespaces = append(grant.Spec.Namespaces, fmt.Sprintf("soc-%d", i))
	}
	problems := []error{
		a.Create(ctx, grant),
		a.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: credential}, Data: map[string][]byte{v1alpha1.DefaultClientSecretKey: []byte(firstSecret)}}),
		a.Create(ctx, &v1alpha1.DefenderApp{
			ObjectMeta: metav1.ObjectMeta{Name: appName},
			Spec: v1alpha1.DefenderAppSpec{ClientID: clientID, Credentials: []v1alpha1.Credential{{
				Name: "secret", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: credential}},
			}}},
		}),
	}
	for _, c := range f.tenants {
		problems = append(problems, a.Create(ctx, &v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: c.key.Namespace, Name: c.key.Name},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: c.id, App: appName},
			Status:     v1alpha1.DefenderTenantStatus{ObservedGeneration: -1}, // the schema's default
		}))
	}
	return errors.Join(problems...)
}

// rotate stores another client secret, as the platform team does.
func rotate(ctx context.Context, a *api) error {
	secret := &corev1.Secret{}
	if err := a.Get(ctx, types.NamespacedName{Namespace: ownNamespace, Name: credential}, secret); err != nil {
		return err
	}
	secret.Data = map[string][]byte{v1alpha1.DefaultClientSecretKey: []byte(secondSecret)}
	return a.Update(ctx, secret)
}
