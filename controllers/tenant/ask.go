package tenant

import (
	"context"
	"fmt"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// ask makes at most one request, within the tenant's budget.
func (r *Reconciler) ask(ctx context.Context, seen *observed, s slot, known *remembered) (token.Issued, *token.Fault) {
	now := r.Clock.Now()
	chosen, err := r.Keyring.Pick(ctx, seen.app, now)
	if err != nil {
		return token.Issued{}, token.AsFault(err, v1alpha1.ReasonCredentialUnusable, "The credentials of the application cannot be read. The operator tries again.")
	}
	if !known.budget.AllowN(now, 1) {
		return token.Issued{}, overBudget(s.pace.fault, s.identity(seen.tenant))
	}
	issued, err := r.Tokens.Acquire(ctx, token.Request{
		Cloud: seen.app.Spec.Cloud, TenantID: s.want.TenantID, ClientID: s.want.ClientID, Resource: s.want.Resource, Credential: chosen,
	})
	fault := token.AsFault(err, v1alpha1.ReasonEntraUnavailable, "Entra ID could not be asked. The operator tries again.")
	r.Metrics.requested(fault)
	tryNext := r.Keyring.Judge(ctx, seen.app, chosen, fault, r.Clock.Now())
	if fault == nil {
		return issued, nil
	}
	logf.FromContext(ctx).Info("Got no token", "token", s.spec.Name, "reason", fault.Reason, "code", fault.Code,
		"traceID", fault.TraceID, "cause", causeText(fault))
	if tryNext {
		again := *fault
		again.Cure, again.After = token.ByRetry, time.Millisecond
		return token.Issued{}, &again
	}
	return token.Issued{}, fault
}

func causeText(fault *token.Fault) string {
	if fault.Cause == nil {
		return ""
	}
	return fault.Cause.Error()
}

func isOverBudget(fault *token.Fault) bool {
	return fault != nil && fault.Reason == v1alpha1.ReasonOverBudget
}

// overBudget keeps the failure that people should read, if there was one.
func overBudget(last *token.Fault, identity string) *token.Fault {
	fault := token.Fault{
		Reason: v1alpha1.ReasonOverBudget, Actor: token.ActorNobody, Cure: token.ByRetry,
		Message: fmt.Sprintf("This DefenderTenant made %d attempts in a short time; the next one follows within %s.", budgetBurst, budgetInterval),
	}
	if last != nil {
		fault = *last
		fault.Cure = token.ByRetry
	}
	fault.After = budgetInterval + token.Spread(time.Second, identity)
	return &fault
}
