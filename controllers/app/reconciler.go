package app

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

// +kubebuilder:rbac:groups=defender.tenant-operator.dev,resources=defenderapps;defendertenants,verbs=list;watch
// +kubebuilder:rbac:groups=defender.tenant-operator.dev,resources=defenderapps/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// lookInterval is how often an application is looked at without any cause: expiry comes
// closer, and the times in status move at most that often.
const lookInterval = time.Hour

// TokenSource obtains one token from Entra ID. Its error is a *token.Fault.
type TokenSource interface {
	Acquire(ctx context.Context, request token.Request) (token.Issued, error)
}

// Keyring tells how the credentials of an application stand.
type Keyring interface {
	// Entries are its credentials in order of preference.
	Entries(ctx context.Context, app *v1alpha1.DefenderApp) []keyring.Entry
	// Wanted is the proof that is wanted next, nil if none is in sight.
	Wanted(app *v1alpha1.DefenderApp, now time.Time) *keyring.Proof
	// Judge records the outcome of a proof: nil when a token came.
	Judge(app *v1alpha1.DefenderApp, used credential.Credential, asker keyring.Asker, outcome *token.Fault, now time.Time)
	// Forget drops what is known of an application that is gone.
	Forget(app string)
}

// Reconciler reports on one DefenderApp at a time.
type Reconciler struct {
	// Client reads from the cache and writes to the API server.
	client.Client
	// Keyring knows the credentials.
	Keyring Keyring
	// Tokens obtains tokens, to prove credentials with.
	Tokens TokenSource
	// Health knows what the tenants of an application have in common.
	Health Health
	// Catalog finds login hosts, for consent links.
	Catalog cloud.Catalog
	// Clock is the only clock of the package.
	Clock clock.PassiveClock
	// Events tells people what changed.
	Events events.EventRecorder
	// Judged receives the applications of which Entra ID judged a credential, or whose tenants
	// came to have a trouble in common, or lost it.
	Judged <-chan event.GenericEvent

	written written
	roster  roster
}

// Reconcile looks at the credentials, writes the status if it differs, and proves one
// credential if one wants it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	now := r.Clock.Now()
	app := &v1alpha1.DefenderApp{}
	if err := r.Get(ctx, req.NamespacedName, app); err != nil {
		if apierrors.IsNotFound(err) {
			r.Keyring.Forget(req.Name)
			r.written.forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.written.behind(app) {
		return ctrl.Result{RequeueAfter: cacheLag}, nil
	}
	entries := r.Keyring.Entries(ctx, app)
	if err := r.report(ctx, app, entries, now); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	return ctrl.Result{RequeueAfter: min(nextLook(entries, now), r.prove(ctx, app, now))}, nil
}

// report writes the status if it differs, and tells of it.
func (r *Reconciler) report(ctx context.Context, app *v1alpha1.DefenderApp, entries []keyring.Entry, now time.Time) error {
	after := app.DeepCopy()
	after.Status = statusOf(app, entries, r.Catalog.AppConsentURL(app.Spec), now)
	r.addShared(app, after, now)
	r.setTenantsShared(after, now)
	if apiequality.Semantic.DeepEqual(app.Status, after.Status) {
		return nil
	}
	if err := r.Status().Patch(ctx, after, client.MergeFrom(app)); err != nil {
		return fmt.Errorf("write status of DefenderApp %s: %w", app.Name, err)
	}
	r.written.note(after)
	r.tell(app, after, entries)
	return nil
}

// nextLook is soon while a credential could not be read or used, and when an end comes closer.
func nextLook(entries []keyring.Entry, now time.Time) time.Duration {
	next := nextStage(entries, now, lookInterval)
	for _, entry := range entries {
		if entry.Err != nil && entry.Err.Cure == token.ByRetry || away(entry) != nil {
			return min(next, time.Minute)
		}
	}
	return next
}

// Setup wires the controller into a manager. secrets is the cache of the operator's own
// namespace.
func (r *Reconciler) Setup(mgr ctrl.Manager, secrets cache.Cache, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("defenderapp").
		For(&v1alpha1.DefenderApp{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: changed})).
		WatchesRawSource(source.Kind(secrets, &corev1.Secret{},
			handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, s *corev1.Secret) []reconcile.Request {
				return r.users(ctx, s.Name)
			}))).
		WatchesRawSource(source.Kind(mgr.GetCache(), &v1alpha1.DefenderTenant{}, r.onTenant())).
		WatchesRawSource(source.Channel(r.Judged, &handler.EnqueueRequestForObject{})).
		WithOptions(options).
		Complete(r)
}

// changed tells whether a DefenderApp says something else than before, or is another one
// of the same name. Our own status writes are neither.
func changed(e event.UpdateEvent) bool {
	return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || e.ObjectOld.GetUID() != e.ObjectNew.GetUID()
}

// users are the applications that keep a credential in a Secret.
func (r *Reconciler) users(ctx context.Context, secret string) []reconcile.Request {
	var list v1alpha1.DefenderAppList
	if err := r.List(ctx, &list); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list DefenderApps; the hourly look will find the change")
		return nil
	}
	var found []reconcile.Request
	for _, app := range list.Items {
		for _, c := range app.Spec.Credentials {
			if keyring.SecretName(c) == secret {
				found = append(found, reconcile.Request{NamespacedName: types.NamespacedName{Name: app.Name}})
				break
			}
		}
	}
	return found
}
