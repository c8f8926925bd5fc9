package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/controllers/app"
	"github.com/defender-tenant/operator/controllers/tenant"
	"github.com/defender-tenant/operator/internal/entra"
	"github.com/defender-tenant/operator/internal/federation"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/scrape"
	"github.com/defender-tenant/operator/internal/secretview"
	"github.com/defender-tenant/operator/internal/token"
	"github.com/defender-tenant/operator/internal/vault"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=create,namespace=defender-system
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;update,resourceNames=defender-tenant-operator,namespace=defender-system
// +kubebuilder:rbac:groups=core,resources=events,verbs=create,namespace=defender-system
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=list;watch,namespace=defender-system
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// serviceAccount is the operator's own, by name.
const serviceAccount = "defender-tenant-operator"

// operate wires the parts and runs until ctx ends.
func operate(ctx context.Context, o options) error {
	mgr, err := newManager(ctx, o)
	if err != nil || ctx.Err() != nil {
		return err
	}
	credentials, err := credentialCache(mgr, o.ownNamespace)
	if err != nil {
		return err
	}
	judged := make(chan event.GenericEvent, 1024)
	tell := notify(judged)
	shared := health.New(health.Options{
		RequestsPerSecond: o.requestsPerSec, Workers: o.concurrency, AppChanged: tell, Changed: tellAll(ctx, mgr.GetClient(), o.catalog, tell),
	})
	source, err := entra.New(entra.Options{Catalog: o.catalog, RequestsPerSecond: o.requestsPerSec, CABundle: o.caBundle, Now: time.Now, Discovering: shared.Charge})
	if err != nil {
		return err
	}
	keys := &keyring.Keyring{
		Secrets: credentials, Namespace: o.ownNamespace,
		Federation: federation.Tokens{File: o.tokenFile, Now: time.Now},
		Vaults:     vault.New(source, o.catalog, source.Transport(), time.Now),
		Changed: func(app string) {
			shared.Reconsider(app)
			tell(app)
		},
	}
	tenants := &tenant.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Secrets: secretViews(mgr, o), Tokens: source, Keyring: keys, Health: shared, Catalog: o.catalog,
		Gate: token.Gate{MinLifetime: o.minTokenLifetime}, Clock: clock.RealClock{},
		Events: mgr.GetEventRecorder("defender-tenant-operator"), Metrics: tenant.NewMetrics(metrics.Registry),
	}
	if err := tenants.Setup(ctx, mgr, credentials, controllerOptions(o.concurrency)); err != nil {
		return err
	}
	apps := &app.Reconciler{
		Client: mgr.GetClient(), Keyring: keys, Tokens: source, Health: shared, Catalog: o.catalog, Clock: clock.RealClock{},
		Events: mgr.GetEventRecorder("defender-tenant-operator"), Judged: judged,
	}
	if err := apps.Setup(mgr, credentials, controllerOptions(1)); err != nil {
		return err
	}
	if err := addProbes(mgr, tenants.Secrets, credentials.Cache); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func addProbes(mgr ctrl.Manager, views *secretview.Views, credentials cache.Cache) error {
	return errors.Join(
		mgr.AddHealthzCheck("process", healthz.Ping),
		mgr.AddReadyzCheck("caches", synced(mgr.GetCache(), credentials)),
		mgr.AddReadyzCheck("secrets", views.Ready))
}

// newManager waits for the API server first. Told to stop meanwhile, it makes none.
func newManager(ctx context.Context, o options) (ctrl.Manager, error) {
	config, err := restConfig(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	if err := awaitAPIServer(ctx, config, o.probeAddress); err != nil || ctx.Err() != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, managerOptions(o, scheme))
	if err != nil {
		return nil, fmt.Errorf("make manager: %w", err)
	}
	return mgr, nil
}

// managerOptions has the lease times of Kubernetes' own components, and gives the lease
// back on exit so that the next replica need not wait for it to run out.
func managerOptions(o options, scheme *runtime.Scheme) ctrl.Options {
	lease, renew, retry := 15*time.Second, 10*time.Second, 2*time.Second
	grace := 10 * time.Second
	shared := true
	return ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultNamespaces: watched(o.namespaces),
			// Nothing changes what the cache hands out: every write starts with a copy.
			DefaultUnsafeDisableDeepCopy: &shared,
			DefaultTransform:             cache.TransformStripManagedFields(),
		},
		Metrics:                       metricsOptions(o.metricsAddress),
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.ownNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		GracefulShutdownTimeout:       &grace,
	}
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

func watched(names namespaces) map[string]cache.Config {
	if len(names) == 0 {
		return nil
	}
	all := map[string]cache.Config{}
	for _, name := range names {
		all[name] = cache.Config{}
	}
	return all
}

// metricsOptions protects metrics that others can reach. On loopback there is nobody to ask.
func metricsOptions(address string) server.Options {
	if host, _, err := net.SplitHostPort(address); err == nil {
		if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
			return server.Options{BindAddress: address}
		}
	}
	return server.Options{BindAddress: address, SecureServing: true, FilterProvider: scrape.Filter(time.Now)}
}

// controllerOptions bound the wait after a failed write. The default doubles up to 17
// minutes, longer than most tokens have left. No pass may hold its worker for ever: each
// request of it has a shorter deadline of its own, and the last resort is for what has none.
func controllerOptions(concurrency int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: concurrency,
		ReconciliationTimeout:   2 * time.Minute,
		CacheSyncTimeout:        math.MaxInt64, // a right to watch that is missing may come, and the log says which
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, 30*time.Second),
	}
}

// secretViews see the Secrets that the operator writes. Where it is told its namespaces, it asks for no more.
func secretViews(mgr ctrl.Manager, o options) *secretview.Views {
	return secretview.New(secretview.Options{
		PerNamespace: o.secretAccess == accessNamespace || len(o.namespaces) > 0,
		Open:         tenant.OpenSecrets(mgr),
		Review:       secretview.Review(mgr.GetClient()),
		Account:      types.NamespacedName{Namespace: o.ownNamespace, Name: serviceAccount},
		Clock:        clock.RealClock{},
		Log:          mgr.GetLogger().WithName("secrets"),
	})
}

// everyReplica makes a cache start on replicas that do not lead, too: they are ready to
// take over only once they have it.
type everyReplica struct{ cache.Cache }

// NeedLeaderElection tells the manager not to wait.
func (everyReplica) NeedLeaderElection() bool { return false }

// synced is ready once every cache shows what the API server has.
func synced(caches ...cache.Cache) func(*http.Request) error {
	return func(req *http.Request) error {
		ctx, cancel := context.WithTimeout(req.Context(), time.Second)
		defer cancel()
		for _, c := range caches {
			if !c.WaitForCacheSync(ctx) {
				return errors.New("caches are not in sync yet")
			}
		}
		return nil
	}
}
