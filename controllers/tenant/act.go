package tenant

import (
	"cmp"
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

// result is how one token stands after the pass.
type result struct {
	slot       slot
	did        verb
	why        string       // of a mint
	turn       health.Turn  // to ask in
	queued     *health.Hold // what the tenant waits for, nil: it does not wait for a turn
	asked      bool         // Entra ID was asked
	overBudget bool         // Entra ID was not asked, because the tenant asked too often
	held       *holding     // what the Secret holds now, nil: there is none
	fault      *token.Fault // why it is not better
	next       time.Time    // when the next attempt may be made, zero if none is planned
	notice     string       // what to tell people beyond the conditions, or nothing
}

// outcome is how the whole object stands after the pass.
type outcome struct {
	seen     *observed
	results  []result
	handled  request
	leftover bool // a Secret that nobody wants could not be deleted
	quiet    bool // the renewal began or ended to fail together with everybody's
}

// act carries out the steps. Each token stands alone: what befalls one is no reason to
// leave out another.
func (r *Reconciler) act(ctx context.Context, seen *observed, steps []step, started time.Time) outcome {
	key := client.ObjectKeyFromObject(seen.tenant)
	known := r.memory.of(key, seen.tenant.UID)
	out := outcome{seen: seen, handled: seen.done, results: make([]result, len(steps))}
	var hold *health.Hold
	for _, i := range r.order(seen, steps, started) {
		var res result
		if hold != nil && steps[i].do == mint {
			res = seen.queuedFor(seen.slots[i], hold, started) // a tenant waits once, for its most urgent token
		} else {
			res = r.perform(ctx, seen, seen.slots[i], steps[i], known)
		}
		res.did, res.why = steps[i].do, steps[i].why
		if ended := r.Clock.Now(); res.queued != nil { // nothing was tried
			hold = res.queued
			res.next = ended.Add(queuedLook)
			if !hold.Until.IsZero() {
				res.next = hold.Until
			}
			known.owe(res, seen.inputs())
		} else {
			known.note(&res, seen.inputs(), started, ended)
		}
		out.results[i] = res
	}
	if out.answered() {
		out.handled = seen.asked
	}
	known.handled = out.handled
	out.leftover = r.sweepSpare(ctx, seen, out.results)
	r.withdraw(key, known, out)
	r.hear(seen, out)
	out.quiet = known.quiet || out.failsWithOthers()
	known.quiet = out.failsWithOthers()
	r.memory.setFailing(known, out.failing())
	return out
}

// order gives the positions of the steps in the order of work: what needs no answer from
// Entra ID does not wait for one, and a turn goes to the token that needs it most.
func (r *Reconciler) order(seen *observed, steps []step, now time.Time) []int {
	var prompt, asking []int
	for i, s := range steps {
		if s.do == mint {
			asking = append(asking, i)
		} else {
			prompt = append(prompt, i)
		}
	}
	slices.SortStableFunc(asking, func(a, b int) int {
		one, other := r.visitor(seen, seen.slots[a], now), r.visitor(seen, seen.slots[b], now)
		return cmp.Or(cmp.Compare(other.Class, one.Class), one.ExpiresAt.Compare(other.ExpiresAt))
	})
	return append(prompt, asking...)
}

// answered tells whether a refresh request came to an end: Entra ID was asked, or it may
// not be asked and the conditions say why. Only a spent budget leaves it open. What a token
// still waits for, when another one was asked for, is owed to it.
func (out outcome) answered() bool {
	answered := true
	for _, res := range out.results {
		if res.asked {
			return true
		}
		answered = answered && res.fault != nil && !res.overBudget && res.queued == nil
	}
	return answered
}

// failsWithOthers tells whether a failure of everybody's is all that keeps it from renewal.
func (out outcome) failsWithOthers() bool {
	shared := false
	for _, res := range out.results {
		if res.fault != nil {
			if !res.fault.Shared {
				return false
			}
			shared = true
		}
	}
	return shared
}

func (out outcome) failing() bool {
	for _, res := range out.results {
		if res.fault != nil {
			return true
		}
	}
	return false
}

func (r *Reconciler) perform(ctx context.Context, seen *observed, s slot, todo step, known *remembered) result {
	res := result{slot: s, held: s.held, fault: todo.fault}
	switch todo.do {
	case keep:
	case mint:
		return r.mint(ctx, seen, s, todo, known)
	case move:
		return r.move(ctx, seen, s, known)
	case empty:
		r.rewrite(ctx, seen, &res, s.held.emptied(s, todo.state), known)
		if todo.state == v1alpha1.StateAccessRevoked && s.held.HasToken {
			res.notice = v1alpha1.EventAccessRevoked
		}
	case mark:
		r.markEnded(ctx, seen, &res, todo.state, known)
	case remove:
		if err := r.deleteOwned(ctx, s.held.secret); err != nil {
			res.fault = r.storeFault(ctx, err, seen.tenant.Namespace, s.secretName)
			return res
		}
		res.held = nil
	}
	return res
}

// mint takes a turn, if there is one, and gives it back.
func (r *Reconciler) mint(ctx context.Context, seen *observed, s slot, todo step, known *remembered) result {
	res := result{slot: s, held: s.held, fault: seen.locked}
	if seen.locked != nil || !r.enter(seen, s, &res) {
		return res
	}
	used := false
	defer func() {
		if !used { // or the pass panicked: a canary that never comes back would hold all up
			r.Health.Decline(res.turn)
		}
	}()
	res = r.mintInTurn(ctx, seen, s, todo, known, res)
	used = res.asked
	return res
}

// mintInTurn asks Entra ID, checks the answer and only then stores it. A bad answer changes
// nothing in the Secret.
func (r *Reconciler) mintInTurn(ctx context.Context, seen *observed, s slot, todo step, known *remembered, res result) result {
	if s.held == nil {
		found, fault := r.lookup(ctx, seen.tenant, s.secretName)
		if fault != nil || found != nil && s.fits(found) && todo.why != whyRequested && r.Clock.Now().Before(seen.refreshAt(s, found)) {
			res.held, res.fault = found, fault
			return res
		}
		s.held = found
	}
	issued, admitted, fault := r.obtain(ctx, seen, s, todo.why, known, &res)
	if fault != nil {
		res.fault = fault
		return res
	}
	refreshAt := admitted.Life.RefreshAt(s.spec.RefreshAfterPercent, s.identity)
	r.publish(ctx, seen, &res, s, fill(s, issued, admitted, refreshAt), known)
	if res.fault == nil && res.held.Claims != nil && res.held.Claims.ID == admitted.Claims.ID {
		logf.FromContext(ctx).Info("Published token", "token", s.spec.Name, "secret", s.secretName, "why", todo.why,
			"expiresAt", admitted.Life.ExpiresAt, "refreshAt", refreshAt, "tokenID", admitted.Claims.ID)
		if todo.why == whyEdited {
			res.notice = v1alpha1.EventSecretRepaired
		}
	}
	return res
}

// endsNoLater refuses a successor that gains nothing: the held token stays, and the next
// attempt comes after half of what is left of it.
func endsNoLater(s slot, why string, fresh token.Admitted, now time.Time) *token.Fault {
	if why != whyDue || fresh.Life.ExpiresAt.After(s.held.life.ExpiresAt) {
		return nil
	}
	return &token.Fault{
		Reason: v1alpha1.ReasonTokenRejected, Actor: token.ActorNobody, Cure: token.ByRetry,
		Message: "Entra ID sent a token that ends no later than the one held, which therefore stays. The operator tries again.",
		After:   max(s.held.life.ExpiresAt.Sub(now)/2, time.Second),
	}
}

// stillWanted looks once more before the write: asking took time, and meanwhile the
// object may have been replaced or the grant taken away.
func (r *Reconciler) stillWanted(ctx context.Context, seen *observed, s slot, fresh token.Admitted) *token.Fault {
	current := &v1alpha1.DefenderTenant{}
	err := r.Get(ctx, types.NamespacedName{Namespace: seen.tenant.Namespace, Name: seen.tenant.Name}, current)
	if err != nil || current.UID != seen.tenant.UID || !current.DeletionTimestamp.IsZero() ||
		current.Spec.TenantID != s.want.TenantID || current.Spec.App != seen.tenant.Spec.App {
		return &token.Fault{
			Reason: v1alpha1.ReasonWriteFailed, Actor: token.ActorNobody, Cure: token.ByRetry, Cause: err,
			Message: "The DefenderTenant changed while its token was requested; the token was not published.",
		}
	}
	grants, err := r.grants(ctx, current.Namespace)
	if err != nil {
		return token.AsFault(err, v1alpha1.ReasonWriteFailed, "The DefenderGrants could not be read; the token was not published. The operator tries again.")
	}
	for _, ceiling := range newAllowance(current, seen.app, grants, nil).ceilings(s.target.Resource) {
		if len(fresh.Claims.RolesBeyond(ceiling)) == 0 {
			return nil
		}
	}
	return accessDenied(current, s.spec, s.target)
}
