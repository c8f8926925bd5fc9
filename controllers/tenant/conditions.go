package tenant

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// verdict is what one token contributes to the conditions.
type verdict struct {
	ready    condition
	consent  condition
	degraded condition
	stalled  condition
}

// condition is one without the bookkeeping.
type condition struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

// judge turns the state of one token into conditions: the situation table of the
// documentation, row by row.
func (res result) judge(seen *observed, now time.Time, known *metav1.Condition) verdict {
	v := verdict{
		ready:    condition{metav1.ConditionTrue, v1alpha1.ReasonTokensReady, "Every required Secret holds a token that works."},
		consent:  res.consent(now, known),
		degraded: condition{metav1.ConditionFalse, v1alpha1.ReasonAsExpected, "Every token that works is renewed in good time."},
		stalled:  condition{metav1.ConditionFalse, v1alpha1.ReasonAsExpected, "Nothing in the cluster has to be edited."},
	}
	if res.fault != nil && stalls(res.fault.Reason) {
		v.stalled = condition{metav1.ConditionTrue, res.fault.Reason, res.fault.Message}
	}
	if !res.usable(now) {
		v.ready = res.unready()
		return v
	}
	switch {
	case res.fault != nil && (res.fault.Reason != v1alpha1.ReasonSuspended || res.due(seen, now)):
		v.degraded = condition{metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing, "The token works, but it cannot be renewed. " + res.fault.Message}
	case res.held.skew != "":
		v.degraded = condition{metav1.ConditionTrue, v1alpha1.ReasonClockSkew, "The clocks of the operator and of Entra ID disagree by more than five minutes. The platform team must set the clock of the node."}
	}
	return v
}

// due tells whether the held token should have been renewed by now.
func (res result) due(seen *observed, now time.Time) bool {
	return !now.Before(seen.refreshAt(res.slot, res.held))
}

// unready says why the Secret cannot be used.
func (res result) unready() condition {
	fault, ended := res.fault, res.ended()
	switch {
	case fault == nil && !ended:
		return condition{metav1.ConditionFalse, v1alpha1.ReasonPending, "The first token has not been published yet."}
	case fault == nil:
		return condition{metav1.ConditionFalse, v1alpha1.ReasonTokenExpired, "The token ended without a successor. The operator requests a new one."}
	case stalls(fault.Reason) || fault.Reason == v1alpha1.ReasonSuspended || !ended:
		return condition{metav1.ConditionFalse, fault.Reason, fault.Message}
	}
	return condition{metav1.ConditionFalse, v1alpha1.ReasonTokenExpired, "The token ended without a successor. " + fault.Message}
}

// ended tells whether there was a token here whose life is over.
func (res result) ended() bool {
	if res.held == nil {
		return res.did == remove
	}
	return res.held.Intact && (res.held.State == v1alpha1.StateExpired || res.held.State == v1alpha1.StateSuspended)
}

// consent says what is known of the customer's consent. A failure that says nothing about
// it leaves what was known, as long as there is or was a token to know it from.
func (res result) consent(now time.Time, known *metav1.Condition) condition {
	usable := res.usable(now)
	reason := ""
	if res.fault != nil {
		reason = res.fault.Reason
	}
	switch {
	case reason == v1alpha1.ReasonConsentRequired && (usable || res.ended()) && !res.ofFormerApp():
		return condition{metav1.ConditionFalse, v1alpha1.ReasonConsentWithdrawn, "Consent was withdrawn. " + res.fault.Message}
	case reason == v1alpha1.ReasonConsentRequired, reason == v1alpha1.ReasonRolesMissing,
		reason == v1alpha1.ReasonDisabledByTenant, reason == v1alpha1.ReasonBlockedByPolicy:
		return condition{metav1.ConditionFalse, reason, res.fault.Message}
	case (usable || res.ended()) && known != nil && known.Status != metav1.ConditionUnknown && res.fault != nil:
		return condition{known.Status, known.Reason, known.Message}
	case usable:
		return condition{metav1.ConditionTrue, v1alpha1.ReasonConsentGranted, "The customer's consent covers every required role."}
	case res.ended() && known != nil:
		return condition{known.Status, known.Reason, known.Message}
	case res.fault != nil:
		return condition{metav1.ConditionUnknown, reason, "Whether the customer consented cannot be told. " + res.fault.Message}
	}
	return condition{metav1.ConditionUnknown, v1alpha1.ReasonPending, "Entra ID has not been asked yet."}
}

// ofFormerApp tells whether what is held came from another application than the one that
// is asked for now: the consent to that one says nothing of this one.
func (res result) ofFormerApp() bool {
	return res.held != nil && res.held.ClientID != res.slot.want.ClientID
}

// stalls tells whether a reason means that somebody must edit something in the cluster.
func stalls(reason string) bool {
	switch reason {
	case v1alpha1.ReasonAppNotFound, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonSecretConflict,
		v1alpha1.ReasonTenantNotFound, v1alpha1.ReasonWrongCloud, v1alpha1.ReasonRegionNotSupported,
		v1alpha1.ReasonResourceInvalid, v1alpha1.ReasonRoleMisspelled, v1alpha1.ReasonRolesExceeded,
		v1alpha1.ReasonCredentialUnusable, v1alpha1.ReasonNoSecretRight:
		return true
	}
	return false
}

// rank orders reasons by how much they matter to whoever reads one line: what an edit
// mends first, then what nobody mends by waiting.
func rank(reason string) int {
	order := []string{
		v1alpha1.ReasonSuspended, v1alpha1.ReasonTokenExpired,
		v1alpha1.ReasonCredentialRefused, v1alpha1.ReasonFederationMismatch, v1alpha1.ReasonCertificateExpired,
		v1alpha1.ReasonVaultRefused, v1alpha1.ReasonClockSkew,
		v1alpha1.ReasonAppDisabled, v1alpha1.ReasonAppMisconfigured, v1alpha1.ReasonTLSUntrusted, v1alpha1.ReasonProxyRefused,
		v1alpha1.ReasonConsentRequired, v1alpha1.ReasonConsentWithdrawn, v1alpha1.ReasonDisabledByTenant, v1alpha1.ReasonBlockedByPolicy,
		v1alpha1.ReasonRolesMissing, v1alpha1.ReasonResourceNotProvisioned,
	}
	if stalls(reason) {
		return len(order) + 1
	}
	if i := slices.Index(order, reason); i >= 0 {
		return len(order) - i
	}
	return 0
}

// setConditions folds the verdicts: the worst required token speaks for Ready and
// ConsentGranted, the worst of all tokens for Degraded and Stalled.
func setConditions(conditions *[]metav1.Condition, tenant *v1alpha1.DefenderTenant, out outcome, now time.Time) {
	known := find(*conditions, v1alpha1.ConditionConsentGranted)
	folded := verdict{}
	for _, res := range out.results {
		v := res.judge(out.seen, now, known)
		if consent := v.consent; len(out.results) > 1 {
			v = v.named(res.slot.spec.Name)
			if known != nil && consent.message == known.Message {
				v.consent = consent // carried over with whatever name it has
			}
		}
		if !res.slot.spec.Optional {
			folded.ready = worse(folded.ready, v.ready, metav1.ConditionTrue)
			folded.consent = worse(folded.consent, v.consent, metav1.ConditionTrue)
		}
		folded.degraded = worse(folded.degraded, v.degraded, metav1.ConditionFalse)
		folded.stalled = worse(folded.stalled, v.stalled, metav1.ConditionFalse)
	}
	if lack := out.seen.lack; lack != nil { // which may keep no token from renewal
		folded.stalled = worse(folded.stalled, condition{metav1.ConditionTrue, lack.Fault.Reason, lack.Fault.Message}, metav1.ConditionFalse)
	}
	if folded.ready.status == "" { // every token is optional
		folded.ready = condition{metav1.ConditionTrue, v1alpha1.ReasonTokensReady, "No token is required."}
		folded.consent = condition{metav1.ConditionUnknown, v1alpha1.ReasonAsExpected, "No token is required."}
	}
	set := func(kind string, c condition) {
		apimeta.SetStatusCondition(conditions, metav1.Condition{
			Type: kind, Status: c.status, Reason: c.reason, Message: c.message,
			ObservedGeneration: tenant.Generation, LastTransitionTime: metav1.NewTime(now.UTC().Truncate(time.Second)),
		})
	}
	set(v1alpha1.ConditionReady, folded.ready)
	set(v1alpha1.ConditionConsentGranted, folded.consent)
	set(v1alpha1.ConditionDegraded, folded.degraded)
	set(v1alpha1.ConditionStalled, folded.stalled)
	if c, retiring := out.retirement(now); retiring {
		set(v1alpha1.ConditionAPIRetiring, c)
	} else {
		apimeta.RemoveStatusCondition(conditions, v1alpha1.ConditionAPIRetiring)
	}
}

// named puts the token's name before the messages that are about it alone.
func (v verdict) named(name string) verdict {
	for _, c := range []*condition{&v.ready, &v.degraded, &v.stalled, &v.consent} {
		if c.reason != v1alpha1.ReasonTokensReady && c.reason != v1alpha1.ReasonAsExpected && c.reason != v1alpha1.ReasonConsentGranted {
			c.message = "Token " + name + ": " + c.message
		}
	}
	return v
}

// worse gives the condition that matters more: bad before unknown before good, then by rank.
func worse(a, b condition, good metav1.ConditionStatus) condition {
	if a.status == "" {
		return b
	}
	weight := func(c condition) int {
		switch c.status {
		case good:
			return 0
		case metav1.ConditionUnknown:
			return 1
		default:
			return 2 + rank(c.reason)
		}
	}
	if cmp.Compare(weight(b), weight(a)) > 0 {
		return b
	}
	return a
}

// noticePeriod is how long before the end of an API people are told.
const noticePeriod = 180 * 24 * time.Hour

// retirement says which API in use ends soon.
func (out outcome) retirement(now time.Time) (condition, bool) {
	for _, res := range out.results {
		ends := res.slot.target.RetiresAt
		if ends.IsZero() || now.Before(ends.Add(-noticePeriod)) {
			continue
		}
		return condition{
			metav1.ConditionTrue, v1alpha1.ReasonRetirementAnnounced,
			fmt.Sprintf("Microsoft ends the API %s of token %s on %s. Add a token for %s to this DefenderTenant, optional at first, and move the workloads to it.",
				res.slot.target.API, res.slot.spec.Name, ends.Format(time.DateOnly), res.slot.target.Successor),
		}, true
	}
	return condition{}, false
}

func find(conditions []metav1.Condition, kind string) *metav1.Condition {
	return apimeta.FindStatusCondition(conditions, kind)
}
