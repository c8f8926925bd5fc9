package tenant

import (
	"cmp"
	"context"
	"fmt"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// obtain asks for a token and checks it: what it returns without a fault may be stored.
func (r *Reconciler) obtain(ctx context.Context, seen *observed, s slot, why string, known *remembered, res *result) (token.Issued, token.Admitted, *token.Fault) {
	issued, fault := r.ask(ctx, seen, s, known, res)
	if !res.asked {
		return issued, token.Admitted{}, fault
	}
	var admitted token.Admitted
	if fault == nil {
		admitted, fault = r.Gate.Check(s.want, issued)
	}
	if fault == nil {
		fault = endsNoLater(s, why, admitted, r.Clock.Now())
	}
	r.Health.Leave(res.turn, fault, r.Clock.Now())
	r.Metrics.requested(fault)
	if fault != nil {
		logFailure(ctx, s, fault)
		return issued, admitted, fault
	}
	return issued, admitted, r.stillWanted(ctx, seen, s, admitted)
}

// ask makes one request, within the tenant's budget. Only where Entra ID refuses the
// credential and there is another one, that one is tried too: a rotation is no failure.
func (r *Reconciler) ask(ctx context.Context, seen *observed, s slot, known *remembered, res *result) (token.Issued, *token.Fault) {
	chosen := seen.choice.Credential
	var fault *token.Fault
	var tried []string
	for {
		now := r.Clock.Now()
		if !known.budget.AllowN(now, 1) {
			res.overBudget = !res.asked
			return token.Issued{}, overBudget(cmp.Or(fault, s.pace.fault), s.identity)
		}
		res.asked = true
		issued, err := r.Tokens.Acquire(ctx, token.Request{
			Cloud: seen.app.Spec.Cloud, TenantID: s.want.TenantID, ClientID: s.want.ClientID, Resource: s.want.Resource, Credential: chosen,
		})
		fault = token.AsFault(err, v1alpha1.ReasonEntraUnavailable, "Entra ID could not be asked. The operator tries again.")
		r.Keyring.Judge(seen.app, chosen, seen.asker, fault, r.Clock.Now())
		if fault == nil || fault.Reason != v1alpha1.ReasonCredentialRefused {
			return issued, fault
		}
		tried = append(tried, chosen.Fingerprint)
		next, err := r.Keyring.Pick(ctx, seen.app, seen.asker, now, tried...)
		if err != nil {
			return issued, fault
		}
		chosen = next.Credential
		r.Health.Charge(r.Catalog.Login(seen.app.Spec.Cloud).Host())
	}
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
