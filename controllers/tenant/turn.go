package tenant

import (
	"context"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

// queuedLook is when a tenant that waits for its turn is looked at without being called: its
// urgency may have risen by then.
const queuedLook = time.Minute

// enter asks for a turn for one token. Without one the tenant waits, holds no worker, and is
// called.
func (r *Reconciler) enter(seen *observed, s slot, res *result) bool {
	now := r.Clock.Now()
	turn, hold := r.Health.Enter(r.visitor(seen, s, now), now)
	if hold == nil {
		res.turn = turn
		return true
	}
	*res = seen.queuedFor(s, hold, now)
	return false
}

// queuedFor is how a token stands that has to wait for its turn.
func (seen *observed) queuedFor(s slot, hold *health.Hold, now time.Time) result {
	res := result{slot: s, held: s.held, queued: hold}
	switch {
	case hold.Fault != nil:
		res.fault = hold.Fault
	case s.pace.fault != nil:
		res.fault = s.pace.fault
	case seen.lastKnown(s) != nil:
		res.fault = seen.lastKnown(s)
	case s.held != nil && s.fits(s.held) && now.Sub(seen.refreshAt(s, s.held)) > overdueAfter:
		res.fault = noTurnYet()
	}
	return res
}

// lastKnown is the failure that the status tells of. After a restart nobody else knows it, and
// a customer's answer must not be lost while the tenant waits to hear it again. Whatever the
// cluster said has been looked at anew by now.
func (seen *observed) lastKnown(s slot) *token.Fault {
	former := seen.tenant.Status
	i := slices.IndexFunc(former.Tokens, func(t v1alpha1.TokenStatus) bool { return t.Name == s.spec.Name })
	if former.ObservedGeneration != seen.tenant.Generation || i < 0 || former.Tokens[i].Failure == nil {
		return nil
	}
	entry := former.Tokens[i]
	switch entry.Failure.Reason {
	case v1alpha1.ReasonAppNotFound, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonSuspended,
		v1alpha1.ReasonCredentialUnusable, v1alpha1.ReasonVaultUnavailable, v1alpha1.ReasonVaultRefused, v1alpha1.ReasonNoSecretRight:
		return nil
	}
	return &token.Fault{
		Reason: entry.Failure.Reason, Message: entry.Failure.Message, Code: entry.Failure.Code, TraceID: entry.Failure.TraceID,
		Actor: token.ActorNobody, Cure: token.ByRetry, GrantedRoles: entry.GrantedRoles, MissingRoles: entry.MissingRoles,
	}
}

// withdraw takes a tenant out of the room that was waiting and wants nothing any more.
func (r *Reconciler) withdraw(key client.ObjectKey, known *remembered, out outcome) {
	queued := slices.ContainsFunc(out.results, func(res result) bool { return res.queued != nil })
	if known.queued && !queued {
		r.Health.Withdraw(key)
	}
	known.queued = queued
}

// visitor is the tenant as those see it who share Entra ID with it.
func (r *Reconciler) visitor(seen *observed, s slot, now time.Time) health.Visitor {
	v := health.Visitor{
		Key: client.ObjectKeyFromObject(seen.tenant), TenantID: seen.tenant.Spec.TenantID,
		Host: r.Catalog.Login(seen.app.Spec.Cloud).Host(), App: seen.app.Name,
		Served: seen.asker.Served, Refused: seen.choice.Refused,
	}
	class := urgencyFailing
	switch h := s.held; {
	case h != nil && h.HasToken && h.State == v1alpha1.StateValid:
		v.ExpiresAt = h.life.ExpiresAt
		class = classify(v.ExpiresAt.Sub(now))
	case s.pace.fault != nil && s.pace.fault.Scope != token.ScopeHost && s.pace.fault.Scope != token.ScopeCredential:
	case h != nil: // it had a token, and no customer's doing took it
		class = urgencyDead
	default:
		class = urgencyNew
	}
	v.Class, v.Pressing = int(class), class >= urgencySoon
	return v
}

// hear tells how each token fares to whoever finds out what many tenants have in common.
func (r *Reconciler) hear(seen *observed, out outcome) {
	if seen.app == nil {
		r.Health.Hear(client.ObjectKeyFromObject(seen.tenant), nil, r.Clock.Now())
		return
	}
	var said []health.Voice
	for _, res := range out.results {
		v := health.Voice{
			TenantID: seen.tenant.Spec.TenantID, App: seen.app.Name, Resource: res.slot.target.Resource,
			Served: seen.asker.Served, Fault: res.fault, Since: seen.failingSince(res),
		}
		if res.queued != nil && res.fault == nil {
			v.Fault = noTurnYet() // which is no news
		}
		if h := res.held; h != nil && h.HasToken && h.ClientID == seen.app.Spec.ClientID {
			v.IssuedAt = h.life.IssuedAt
		}
		said = append(said, v)
	}
	r.Health.Hear(client.ObjectKeyFromObject(seen.tenant), said, r.Clock.Now())
}

// failingSince is when the failure of a token began by the status: a restart makes no old
// failure a new one. Zero: it began in this pass.
func (seen *observed) failingSince(res result) time.Time {
	for _, entry := range seen.tenant.Status.Tokens {
		known := entry.Failure
		if entry.Name == res.slot.spec.Name && known != nil && res.fault != nil && known.Reason == res.fault.Reason && known.Code == res.fault.Code {
			return known.Since.Time
		}
	}
	return time.Time{}
}

func noTurnYet() *token.Fault {
	return &token.Fault{
		Reason: v1alpha1.ReasonThrottled, Actor: token.ActorNobody, Cure: token.ByRetry, Scope: token.ScopeHost, Shared: true,
		Message: "Many tokens are due at once, and the operator's own limit of requests has left this one no turn yet. It will be called.",
	}
}

// usher calls the tenants whose turn has come, until the controller stops.
func (r *Reconciler) usher(ctx context.Context, q queue) error {
	go func() { // ends with its controller, as the sweep does
		for {
			now := r.Clock.Now()
			called, again := r.Health.Call(now)
			for _, v := range called {
				add(q, v.Key, urgency(v.Class))
			}
			if !r.awaitCall(ctx, again, now) {
				return
			}
		}
	}()
	return nil
}

// awaitCall returns when there may be somebody to call, and false when ctx ended.
func (r *Reconciler) awaitCall(ctx context.Context, again, now time.Time) bool {
	var due <-chan time.Time
	if !again.IsZero() {
		timer := r.Clock.NewTimer(again.Sub(now))
		defer timer.Stop()
		due = timer.C()
	}
	select {
	case <-ctx.Done():
		return false
	case <-due:
	case <-r.Health.Calls():
	}
	return true
}
