package guard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/controllers/tenant"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/secretview"
	"github.com/defender-tenant/operator/internal/token"
)

// lab is the controller of DefenderTenants as cmd/manager wires it, with the rights of the shipped service account. In
// place of Entra ID there is one that gives every token at once, whoever asks: nothing but the controller says no.
type lab struct {
	queue  *observedQueue
	calm   int           // how often there was nothing to do
	exempt client.Client // whom no policy binds
}

func newLab(t *testing.T) *lab {
	t.Helper()
	must(t, shared.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sentinel"}}))
	must(t, shared.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "defender-system", Name: "lab"},
		Data:       map[string][]byte{"client-secret": []byte("secret")},
	}))
	for _, name := range slices.Sorted(maps.Keys(applications())) {
		if name != "nobody" {
			must(t, shared.Create(t.Context(), newApp(name)))
		}
	}
	config := rest.CopyConfig(shared.plane.Config)
	config.QPS = -1
	config.Impersonate.UserName = operatorUser
	inCommon, skip := true, true
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: shared.scheme, Metrics: server.Options{BindAddress: "0"},
		Cache: cache.Options{
			DefaultUnsafeDisableDeepCopy: &inCommon,
		},
	})
	must(t, err)
	credentials, err := cache.New(config, cache.Options{Scheme: shared.scheme, DefaultNamespaces: map[string]cache.Config{"defender-system": {}}})
	must(t, err)
	must(t, mgr.Add(credentials))
	catalog, err := cloud.NewCatalog("")
	must(t, err)
	l := &lab{queue: &observedQueue{}, exempt: as(t, "system:kube-controller-manager", "system:masters")}
	const workers = 16
	tenants := &tenant.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Tokens: generous{}, Catalog: catalog, Clock: clock.RealClock{},
		Secrets: secretview.New(secretview.Options{Open: tenant.OpenSecrets(mgr), Review: secretview.Review(mgr.GetClient()), Clock: clock.RealClock{}}),
		Keyring: &keyring.Keyring{Secrets: credentials, Namespace: "defender-system", Changed: func(string) {}},
		Health:  health.New(health.Options{RequestsPerSecond: 1e6, Workers: workers}),
		Gate:    token.Gate{MinLifetime: token.DefaultMinLifetime}, Events: mgr.GetEventRecorder("operator"),
	}
	must(t, tenants.Setup(t.Context(), mgr, credentials, controller.Options{
		SkipNameValidation: &skip, MaxConcurrentReconciles: workers,
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
			l.queue.TypedRateLimitingInterface = workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name})
			return l.queue
		},
	}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("caches did not sync")
	}
	return l
}

func newApp(name string) *v1alpha1.DefenderApp {
	app := applications()[name]
	return &v1alpha1.DefenderApp{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.DefenderAppSpec{
			ClientID: app.clientID, HomeTenantID: app.home, Cloud: v1alpha1.Cloud(app.cloud),
			Credentials: []v1alpha1.Credential{{
				Name: "secret", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: "lab"}},
			}},
		},
	}
}

// idle tells whether there was nothing to do three times in a row: what is taken from the queue is counted a moment later.
func (l *lab) idle() bool {
	l.calm++
	if l.queue.working.Load() > 0 || l.queue.Len() > 0 {
		l.calm = 0
	}
	return l.calm >= 3
}

// observedQueue counts what is being worked on.
type observedQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	working atomic.Int64
}

// Get counts what is handed out.
func (q *observedQueue) Get() (reconcile.Request, bool) {
	item, shutdown := q.TypedRateLimitingInterface.Get()
	if !shutdown {
		q.working.Add(1)
	}
	return item, shutdown
}

// Done counts what came back.
func (q *observedQueue) Done(item reconcile.Request) {
	q.TypedRateLimitingInterface.Done(item)
	q.working.Add(-1)
}

// generous gives every token that is asked for.
type generous struct{}

// Acquire makes the token out of the request.
func (generous) Acquire(_ context.Context, want token.Request) (token.Issued, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"tid": want.TenantID, "aud": want.Resource, "appid": want.ClientID, "idtyp": "app", "roles": []string{"Incident.Read.All"},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "uti": fmt.Sprint(now.UnixNano()),
	})
	encode := base64.RawURLEncoding.EncodeToString
	raw := encode([]byte(`{"alg":"none"}`)) + "." + encode(claims) + "." + encode([]byte("signature"))
	return token.Issued{Token: redacted.New(raw), Lifetime: time.Hour, ReceivedAt: now, ServerTime: now}, err
}
