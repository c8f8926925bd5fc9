package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

const (
	operatorNamespace = "defender-system"
	tenantNamespace   = "load"
	appName           = "load"
	credentialName    = "credential"
)

func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	return s, errors.Join(clientgoscheme.AddToScheme(s), v1alpha1.AddToScheme(s))
}

// unpaced is a connection to the API server without limits of its own.
func unpaced(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	return config
}

// surroundings are all objects but the tenants.
func surroundings() []client.Object {
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenantNamespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: credentialName},
			Data:       map[string][]byte{v1alpha1.DefaultClientSecretKey: []byte(clientSecret)},
		},
		&v1alpha1.DefenderApp{
			ObjectMeta: metav1.ObjectMeta{Name: appName},
			Spec: v1alpha1.DefenderAppSpec{ClientID: clientID, Credentials: []v1alpha1.Credential{{
				Name:         "secret",
				ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: credentialName}},
			}}},
		},
		&v1alpha1.DefenderGrant{
			ObjectMeta: metav1.ObjectMeta{Name: appName},
			Spec: v1alpha1.DefenderGrantSpec{
				App: appName, Namespaces: []string{tenantNamespace}, TenantIDs: []string{v1alpha1.AnyTenant}, APIs: []string{string(v1alpha1.APIDefenderXDR)},
			},
		},
	}
}

func tenantName(i int) string { return fmt.Sprintf("customer-%05d", i) }

// secretName is what the operator calls the Secret of the default token.
func secretName(i int) string { return tenantName(i) + "-xdr" }

func newTenant(i int) *v1alpha1.DefenderTenant {
	return &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenantNamespace, Name: tenantName(i)},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: entra.TenantID(series, i), App: appName},
	}
}

// createTenants makes all DefenderTenants.
func createTenants(ctx context.Context, api client.Client, count int) error {
	return severally(count, func(i int) error { return api.Create(ctx, newTenant(i)) })
}

// severally does something for each number below count, several at a time.
func severally(count int, do func(int) error) error {
	const workers = 8
	var group sync.WaitGroup
	problems := make([]error, workers)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < count && problems[worker] == nil; i += workers {
				problems[worker] = do(i)
			}
		})
	}
	group.Wait()
	return errors.Join(problems...)
}

// copyTenants makes DefenderTenants with their status and Secrets as they are in another world.
func copyTenants(ctx context.Context, from, to client.Client) error {
	var tenants v1alpha1.DefenderTenantList
	if err := from.List(ctx, &tenants, client.InNamespace(tenantNamespace)); err != nil {
		return err
	}
	return severally(len(tenants.Items), func(i int) error {
		former := &tenants.Items[i]
		secret := &corev1.Secret{}
		if err := from.Get(ctx, client.ObjectKey{Namespace: tenantNamespace, Name: former.Status.Tokens[0].SecretName}, secret); err != nil {
			return err
		}
		tenant := &v1alpha1.DefenderTenant{ObjectMeta: metav1.ObjectMeta{Namespace: former.Namespace, Name: former.Name}, Spec: former.Spec}
		if err := to.Create(ctx, tenant); err != nil {
			return err
		}
		tenant.Status = former.Status
		if err := to.Status().Update(ctx, tenant); err != nil {
			return err
		}
		owners := secret.OwnerReferences
		for i := range owners {
			owners[i].UID = tenant.UID
		}
		secret.ObjectMeta = metav1.ObjectMeta{
			Namespace: secret.Namespace, Name: secret.Name, Labels: secret.Labels, Annotations: secret.Annotations, OwnerReferences: owners,
		}
		return to.Create(ctx, secret)
	})
}

// ready counts the DefenderTenants that say so.
func ready(ctx context.Context, api client.Client) (int, error) {
	var list v1alpha1.DefenderTenantList
	if err := api.List(ctx, &list, client.InNamespace(tenantNamespace)); err != nil {
		return 0, err
	}
	n := 0
	for _, tenant := range list.Items {
		for _, c := range tenant.Status.Conditions {
			if c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue {
				n++
			}
		}
	}
	return n, nil
}

// schedule reads from the Secrets' annotations when each tenant's token is due.
func schedule(ctx context.Context, api client.Client, count int) (map[string]time.Time, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := api.List(ctx, list, client.InNamespace(tenantNamespace)); err != nil {
		return nil, err
	}
	tenants := make(map[string]string, count)
	for i := range count {
		tenants[secretName(i)] = entra.TenantID(series, i)
	}
	due := make(map[string]time.Time, count)
	for _, secret := range list.Items {
		at, err := time.Parse(time.RFC3339, secret.Annotations[v1alpha1.RefreshAtAnnotation])
		if tenant, known := tenants[secret.Name]; known && err == nil {
			due[tenant] = at
		}
	}
	return due, nil
}

// lastsUntil counts the DefenderTenants whose status, which is written last, says that nothing ends before a time.
func lastsUntil(ctx context.Context, api client.Client, at time.Time) (int, error) {
	var list v1alpha1.DefenderTenantList
	if err := api.List(ctx, &list, client.InNamespace(tenantNamespace)); err != nil {
		return 0, err
	}
	n := 0
	for _, tenant := range list.Items {
		if ends := tenant.Status.ExpiresAt; ends != nil && ends.After(at) {
			n++
		}
	}
	return n, nil
}

// requestRefresh asks the operator for new tokens of all tenants.
func requestRefresh(ctx context.Context, api client.Client) error {
	app := &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: appName}}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"now"}}}`, v1alpha1.RefreshRequestedAnnotation)
	return api.Patch(ctx, app, client.RawPatch("application/merge-patch+json", []byte(patch)))
}
