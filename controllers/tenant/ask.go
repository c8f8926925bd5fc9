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
func (r *Reconciler) ask(ctx context.Context, seen *observed, s slot, known *remembered, res *result) (token.Issued, *token.Fault) {
	if seen.locked != nil {
		return token.Issued{}, seen.locked
	}
	if !known.budget.AllowN(r.Clock.Now(), 1) {
		return token.Issued{}, overBudget(s.pace.fault, s.identity(seen.tenant))
	}
	res.asked = true
	issued, err := r.Tokens.Acquire(ctx, token.Request{
		Cloud: seen.app.Spec.Cloud, TenantID: s.want.TenantID, ClientID: s.want.ClientID, Resource: s.want.Resource, Credential: seen.credential,
	})
	fault := token.AsFault(err, v1alpha1.ReasonEntraUnavailable, "Entra ID could not be asked. The operator tries again.")
	r.Metrics.requested(fault)
	r.Keyring.Judge(seen.app, seen.credential, fault, r.Clock.Now())
	if fault != nil {
		logFailure(ctx, s, fault)
	}
	return issued, fault
}

// logFailure tells of a failure once; the same one again is worth a line only to those
// who look for it.
func logFailure(ctx context.Context, s slot, fault *token.Fault) {
	log := logf.FromContext(ctx)
	if last := s.pace.fault; last != nil && last.Reason == fault.Reason && last.Code == fault.Code {
		log = log.V(1)
	}
	log.Info("Got no token", "token", s.spec.Name, "reason", fault.Reason, "code", fault.Code,
		"traceID", fault.TraceID, "cause", causeText(fault))
}

func causeText(fault *token.Fault) string {
	if fault.Cause == nil {
		return ""
	}
	return fault.Cause.Error()
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
