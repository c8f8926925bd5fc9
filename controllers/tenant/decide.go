package tenant

import (
	"fmt"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// verb is the one thing that is done about a token in a pass.
type verb string

const (
	// keep changes nothing.
	keep verb = "Keep"
	// mint asks Entra ID for a token and publishes it if it passes the gate.
	mint verb = "Mint"
	// move publishes the token that a spare Secret already holds.
	move verb = "Move"
	// empty takes the token out of the Secret.
	empty verb = "Empty"
	// mark only says in the Secret that its token ended.
	mark verb = "Mark"
	// remove deletes the Secret.
	remove verb = "Remove"
)

// step is the decision about one token.
type step struct {
	do    verb
	why   string               // mint: why, for the log
	state v1alpha1.SecretState // empty, mark: what the Secret says from now on
	fault *token.Fault         // why nothing better can be done now
}

// The reasons to mint, for the log.
const (
	whyMissing   = "SecretMissing"
	whyEdited    = "SecretEdited"
	whyEmptied   = "SecretEmptied"
	whyUnfit     = "SpecChanged"
	whyDue       = "Due"
	whySetBack   = "ClockSetBack"
	whyRequested = "RefreshRequested"
	whyOwed      = "RequestedRefreshFailed"
)

// setBack is how far in the future a token may have been issued: the clock of another
// replica may have been ahead a little.
const setBack = 5 * time.Minute

// decide chooses what to do about each token. It is pure: the same sight and the same
// time give the same steps.
func decide(seen *observed, now time.Time) []step {
	steps := make([]step, len(seen.slots))
	for i, s := range seen.slots {
		steps[i] = seen.decideSlot(s, now)
	}
	return steps
}

// decideSlot goes from what must not be to what could be better. Whatever the reason not
// to mint, access and expiry are looked at first.
func (seen *observed) decideSlot(s slot, now time.Time) step {
	if ending, ends := seen.end(s, now); ends {
		return ending
	}
	why := seen.whyMint(s, now)
	switch {
	case !seen.tenant.DeletionTimestamp.IsZero():
		return step{do: keep} // its Secrets follow it; until then they still end in time
	case s.held == nil && s.donor != nil:
		return step{do: move, why: why}
	case s.refusal != nil:
		return step{do: keep, fault: s.refusal}
	case seen.suspended() != nil:
		return step{do: keep, fault: seen.suspended()}
	case seen.bars(s) != nil:
		return step{do: keep, fault: seen.bars(s)} // a token that cannot be stored is not asked for
	case why == "":
		return step{do: keep}
	case why != whyRequested && now.Before(s.pace.next):
		return step{do: keep, fault: s.pace.fault}
	default:
		return step{do: mint, why: why, fault: s.pace.fault}
	}
}

// end decides whether what is held has to go: access revoked, or life over. The token that
// ends is not renewed in the same pass, so that no slow answer of Entra ID can hold it up.
func (seen *observed) end(s slot, now time.Time) (step, bool) {
	h := s.held
	switch {
	case h == nil:
		return step{}, false
	case !s.permitted && (h.State != v1alpha1.StateAccessRevoked || h.HasToken || !h.Intact):
		return step{do: empty, state: v1alpha1.StateAccessRevoked, fault: seen.revoked(s)}, true
	case !h.HasToken || h.deadAt().IsZero() || now.Before(h.deadAt()):
		return step{}, false
	}
	state := v1alpha1.StateExpired
	if seen.suspended() != nil {
		state = v1alpha1.StateSuspended
	}
	switch s.spec.OnExpiry {
	case v1alpha1.ExpiryDelete:
		if seen.lack.Of("delete") == nil { // or it is emptied, so that a successor can follow
			return step{do: remove, fault: s.pace.fault}, true
		}
	case v1alpha1.ExpiryKeep:
		if h.Intact { // what somebody else wrote is not kept
			return step{do: mark, state: state, fault: s.pace.fault}, h.State == v1alpha1.StateValid
		}
	case v1alpha1.ExpiryClear:
	}
	return step{do: empty, state: state, fault: s.pace.fault}, true
}

// revoked says why a held token may not stay: nothing is granted any more, or not all
// the roles that it carries.
func (seen *observed) revoked(s slot) *token.Fault {
	if s.refusal != nil {
		return s.refusal
	}
	return accessDenied(seen.tenant, s.spec, s.target)
}

// deadAt is when the token counts as dead. Where somebody edited the Secret, only the
// token itself is believed, and there may be none that can be read.
func (h *holding) deadAt() time.Time {
	switch {
	case h.Intact:
		return h.life.DeadAt()
	case h.Claims != nil:
		return h.Claims.ExpiresAt
	}
	return time.Time{}
}

// bars says which right is missing to store a new token. One that is missing for something else bars nothing.
func (seen *observed) bars(s slot) *token.Fault {
	if blind := seen.lack.Blind(); blind != nil {
		return blind
	}
	switch {
	case s.held == nil:
		return seen.lack.Of("get", "create")
	case immutable(s.held.secret):
		return seen.lack.Of("delete", "create")
	}
	return seen.lack.Of("update")
}

// whyMint says why a new token is wanted, or nothing.
func (seen *observed) whyMint(s slot, now time.Time) string {
	switch h := s.held; {
	case seen.asked != seen.done:
		return whyRequested
	case h == nil:
		return whyMissing
	case !h.Intact:
		return whyEdited
	case !h.HasToken || h.State != v1alpha1.StateValid:
		return whyEmptied
	case !s.fits(h):
		return whyUnfit
	case !now.Before(seen.refreshAt(s, h)):
		return whyDue
	case h.life.IssuedAt.Sub(now) > setBack:
		return whySetBack // its times are of a clock that ran ahead, and say too late when it is due
	case s.pace.owed:
		return whyOwed
	}
	return ""
}

// refreshAt is when a held token is due.
func (seen *observed) refreshAt(s slot, h *holding) time.Time {
	return h.life.RefreshAt(s.spec.RefreshAfterPercent, s.identity)
}

// suspended says who suspended requests, or nothing.
func (seen *observed) suspended() *token.Fault {
	switch {
	case seen.tenant.Spec.Suspend:
		return &token.Fault{
			Reason: v1alpha1.ReasonSuspended, Actor: token.ActorAuthor, Cure: token.ByWatch,
			Message: "Token requests are suspended. The author of the DefenderTenant ends that with spec.suspend: false.",
		}
	case seen.app != nil && seen.app.Spec.Suspend:
		return &token.Fault{
			Reason: v1alpha1.ReasonSuspended, Actor: token.ActorPlatform, Cure: token.ByWatch,
			Message: fmt.Sprintf("Token requests are suspended for DefenderApp %s. The platform team ends that with spec.suspend: false there.", seen.app.Name),
		}
	}
	return nil
}
