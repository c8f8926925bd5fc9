package tenant

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/secretview"
	"github.com/defender-tenant/operator/internal/token"
)

// TokenSource obtains one token from Entra ID. Its error is a *token.Fault.
type TokenSource interface {
	Acquire(ctx context.Context, request token.Request) (token.Issued, error)
}

// Keyring holds the credentials of the applications.
type Keyring interface {
	// Pick gives the best credential that was not tried yet. Its error is a *token.Fault.
	Pick(ctx context.Context, app *v1alpha1.DefenderApp, asker keyring.Asker, now time.Time, tried ...string) (keyring.Choice, error)
	// Judge records the outcome of an attempt: nil when a token came.
	Judge(app *v1alpha1.DefenderApp, used credential.Credential, asker keyring.Asker, outcome *token.Fault, now time.Time)
}

// Reconciler brings one DefenderTenant at a time to what its spec wants.
type Reconciler struct {
	// Client reads from the cache and writes to the API server.
	client.Client
	// Live reads from the API server.
	Live client.Reader
	// Secrets shows ours, and where the operator may not touch any.
	Secrets *secretview.Views
	// Tokens obtains tokens.
	Tokens TokenSource
	// Keyring gives credentials.
	Keyring Keyring
	// Health gives turns to ask, and knows when asking is of no use.
	Health *health.Health
	// Catalog finds login hosts, for consent links.
	Catalog cloud.Catalog
	// Gate is the last check before a token is published.
	Gate token.Gate
	// Clock is the only clock of the package; the queue of a test runs on it too.
	Clock clock.WithTicker
	// Events tells people what changed.
	Events events.EventRecorder
	// Metrics counts.
	Metrics *Metrics

	memory memory
}

// Reconcile is one pass over one DefenderTenant. None begins when the manager is told to
// stop, and one that has begun is finished: a token on its way is not thrown away.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // the next replica looks at everything
	}
	lasting, end := r.outlast(ctx)
	defer end()
	result, err := r.pass(lasting, req)
	if errors.Is(ctx.Err(), context.Canceled) && lasting.Err() != nil {
		return ctrl.Result{}, nil // cut off, which is nobody's failure
	}
	return result, err
}

func (r *Reconciler) pass(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	now := r.Clock.Now()
	seen, err := r.gather(ctx, req.NamespacedName, now)
	if err != nil || seen == nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if seen.behind {
		return ctrl.Result{RequeueAfter: cacheLag}, nil
	}
	outcome := r.act(ctx, seen, decide(seen, now), now)
	err = r.report(ctx, seen, outcome, now)
	if err != nil && !apierrors.IsForbidden(err) {
		return ctrl.Result{}, err
	}
	// Asking Entra ID takes time. The wait counts from the end of the pass, or every
	// renewal would be late by as much as the pass before it took.
	end := r.Clock.Now()
	result := wait(outcome, end)
	if err != nil {
		r.unreported(ctx, req.Namespace, err, now, &result)
	}
	r.memory.plan(req.NamespacedName, end, result.RequeueAfter)
	return result, nil
}
