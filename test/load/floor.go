package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// floor does what a refresh cannot do without and nothing else: it asks for a token, updates the Secret and patches the
// status, one tenant after the other. It does so to the objects that the operator left, so that sizes are the same, and
// in a process of its own, so that its CPU can be read.
type floor struct {
	api     client.Client
	secrets kubernetes.Interface
	entra   *http.Client
	url     string
	items   []*item
}

// item is one tenant with its Secret, as they were last written.
type item struct {
	tenant *v1alpha1.DefenderTenant
	secret *corev1.Secret
}

type floorSettings struct {
	kubeconfig, emulator, caFile string
	rate                         float64
	workers                      int
}

// runFloor works until ctx ends.
func runFloor(ctx context.Context, args []string) error {
	var s floorSettings
	flags := flag.NewFlagSet(floorCommand, flag.ContinueOnError)
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "")
	flags.StringVar(&s.emulator, "emulator", "", "")
	flags.StringVar(&s.caFile, "ca-file", "", "")
	flags.Float64Var(&s.rate, "rate", 1, "")
	flags.IntVar(&s.workers, "workers", 1, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f, err := newFloor(ctx, s)
	if err != nil {
		return err
	}
	if err := f.loop(ctx, s); ctx.Err() == nil {
		return err
	}
	return nil // told to end, in the middle of whatever it was
}

func newFloor(ctx context.Context, s floorSettings) (*floor, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return nil, err
	}
	config = unpaced(config)
	f := &floor{url: s.emulator}
	if f.entra, err = trusting(s.caFile); err != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	if f.api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	compact := rest.CopyConfig(config)
	compact.ContentType, compact.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	if f.secrets, err = kubernetes.NewForConfig(compact); err != nil {
		return nil, err
	}
	if err := f.watch(ctx, config); err != nil {
		return nil, err
	}
	return f, f.load(ctx)
}

// watch holds the two watches that any controller for these objects has.
func (f *floor) watch(ctx context.Context, config *rest.Config) error {
	watches, err := cache.New(config, cache.Options{Scheme: f.api.Scheme()})
	if err != nil {
		return err
	}
	secrets := &metav1.PartialObjectMetadata{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	for _, object := range []client.Object{&v1alpha1.DefenderTenant{}, secrets} {
		if _, err := watches.GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return err
		}
	}
	go func() { _ = watches.Start(ctx) }() // it ends with ctx; WaitForCacheSync tells of a failure
	if !watches.WaitForCacheSync(ctx) {
		return errors.New("the watches did not start")
	}
	return nil
}

// load reads what the operator left.
func (f *floor) load(ctx context.Context) error {
	var tenants v1alpha1.DefenderTenantList
	if err := f.api.List(ctx, &tenants, client.InNamespace(tenantNamespace)); err != nil {
		return err
	}
	secrets, err := f.secrets.CoreV1().Secrets(tenantNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	byName := map[string]*corev1.Secret{}
	for i := range secrets.Items {
		byName[secrets.Items[i].Name] = &secrets.Items[i]
	}
	for i := range tenants.Items {
		tenant := &tenants.Items[i]
		if len(tenant.Status.Tokens) != 1 || byName[tenant.Status.Tokens[0].SecretName] == nil {
			return fmt.Errorf("DefenderTenant %s has no Secret", tenant.Name)
		}
		f.items = append(f.items, &item{tenant: tenant, secret: byName[tenant.Status.Tokens[0].SecretName]})
	}
	return nil
}

// loop works off at each second what the rate makes due: renewals of the operator come by the second too.
func (f *floor) loop(ctx context.Context, s floorSettings) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for begun, done := time.Now(), 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		due := int(time.Since(begun).Seconds() * s.rate)
		if err := f.batch(ctx, done, due, s.workers); err != nil {
			return err
		}
		done = due
	}
}

// batch refreshes the items from one number to another, in turn.
func (f *floor) batch(ctx context.Context, from, to, workers int) error {
	var group sync.WaitGroup
	problems := make([]error, workers)
	for worker := range workers {
		group.Go(func() {
			for n := from + worker; n < to && problems[worker] == nil; n += workers {
				problems[worker] = f.refresh(ctx, f.items[n%len(f.items)])
			}
		})
	}
	group.Wait()
	return errors.Join(problems...)
}

// refresh is the floor: one token request, one Secret update, one status patch.
func (f *floor) refresh(ctx context.Context, i *item) error {
	token, life, err := f.ask(ctx, i.tenant.Spec.TenantID)
	if err != nil {
		return err
	}
	issued := metav1.NewTime(time.Now().UTC().Truncate(time.Second))
	expires, due := metav1.NewTime(issued.Add(life)), metav1.NewTime(issued.Add(life/2))
	i.secret.Data[v1alpha1.KeyToken] = []byte(token)
	i.secret.Data[v1alpha1.KeyAuthorization] = []byte("Bearer " + token)
	i.secret.Data[v1alpha1.KeyExpiresAt] = []byte(expires.Format(time.RFC3339))
	i.secret.Annotations[v1alpha1.IssuedAtAnnotation] = issued.Format(time.RFC3339)
	i.secret.Annotations[v1alpha1.ExpiresAtAnnotation] = expires.Format(time.RFC3339)
	i.secret.Annotations[v1alpha1.RefreshAtAnnotation] = due.Format(time.RFC3339)
	if i.secret, err = f.secrets.CoreV1().Secrets(tenantNamespace).Update(ctx, i.secret, metav1.UpdateOptions{}); err != nil {
		return err
	}
	entry := i.tenant.Status.Tokens[0]
	entry.IssuedAt, entry.ExpiresAt, entry.RefreshAt = &issued, &expires, &due
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"expiresAt": expires, "refreshAt": due, "tokens": []v1alpha1.TokenStatus{entry},
	}})
	if err != nil {
		return err
	}
	return f.api.Status().Patch(ctx, i.tenant, client.RawPatch(types.MergePatchType, patch))
}

// ask makes the token request.
func (f *floor) ask(ctx context.Context, tenantID string) (token string, life time.Duration, err error) {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {clientSecret}, "scope": {resource + "/.default"},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/"+tenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := f.entra.Do(request)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = response.Body.Close() }() // everything of use has been read
	var answer struct {
		Token    string `json:"access_token"`
		Lifetime int    `json:"expires_in"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", 0, err
	}
	if answer.Token == "" {
		return "", 0, fmt.Errorf("no token for tenant %s: %s", tenantID, response.Status)
	}
	return answer.Token, time.Duration(answer.Lifetime) * time.Second, nil
}
