package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// report writes the status, once, last, and only if it differs; then it tells people
// what changed.
func (r *Reconciler) report(ctx context.Context, seen *observed, out outcome, now time.Time) error {
	before := seen.tenant
	after := before.DeepCopy()
	after.Status = r.statusOf(before, out, now)
	if !apiequality.Semantic.DeepEqual(before.Status, after.Status) {
		err := patiently(ctx, func(ctx context.Context) error { return r.Status().Patch(ctx, after, client.MergeFrom(before)) })
		if err != nil {
			// The object may be gone by now; then there is nobody to report to.
			return client.IgnoreNotFound(fmt.Errorf("write status of DefenderTenant %s/%s: %w", before.Namespace, before.Name, err))
		}
		r.memory.of(client.ObjectKeyFromObject(before), before.UID).written[""] = after.ResourceVersion
	}
	r.tell(before, after, out)
	return nil
}

// unreported tells of it, once in a while, where the right to write a status is missing: that concerns every object. All
// else goes on at its own pace, and the status is tried again before long.
func (r *Reconciler) unreported(ctx context.Context, namespace string, err error, now time.Time, result *ctrl.Result) {
	if r.memory.complains(now) {
		logf.FromContext(ctx).Info("Missing rights: tokens are kept up, but no status tells of them", "verbs", []string{"patch"},
			"resource", "defendertenants/status", "namespace", namespace, "cause", apierrors.ReasonForError(err))
	}
	if result.RequeueAfter == 0 || result.RequeueAfter > longestRetry {
		result.RequeueAfter = longestRetry
	}
}

// statusOf is the whole status. It reads the former one only to carry times of change
// and what was last known of consent.
func (r *Reconciler) statusOf(tenant *v1alpha1.DefenderTenant, out outcome, now time.Time) v1alpha1.DefenderTenantStatus {
	former := tenant.Status
	status := v1alpha1.DefenderTenantStatus{
		ObservedGeneration:    tenant.Generation,
		LastHandledRefresh:    out.handled.tenant,
		LastHandledAppRefresh: out.handled.app,
		ConsentURL:            r.consentURL(out.seen),
		Conditions:            slices.Clone(former.Conditions),
	}
	var missing []string
	for _, res := range out.results {
		entry := res.status(out.seen, former.Tokens, now)
		status.Tokens = append(status.Tokens, entry)
		status.ExpiresAt = earliest(status.ExpiresAt, entry.ExpiresAt)
		status.RefreshAt = earliest(status.RefreshAt, entry.RefreshAt)
		missing = append(missing, entry.MissingRoles...)
		if res.held != nil {
			status.SecretNames = append(status.SecretNames, res.slot.secretName)
		}
	}
	slices.Sort(missing)
	status.MissingRoles = strings.Join(slices.Compact(missing), ", ")
	setConditions(&status.Conditions, tenant, out, now)
	return status
}

// consentURL is for objects that may ask at all: without a grant there is no link.
func (r *Reconciler) consentURL(seen *observed) string {
	if seen.app == nil {
		return ""
	}
	for _, s := range seen.slots {
		if s.refusal == nil {
			return r.Catalog.TenantConsentURL(seen.app.Spec, seen.tenant.Spec.TenantID, s.target.Resource)
		}
	}
	return ""
}

// status tells of one token.
func (res result) status(seen *observed, former []v1alpha1.TokenStatus, now time.Time) v1alpha1.TokenStatus {
	s := res.slot
	entry := v1alpha1.TokenStatus{Name: s.spec.Name, SecretName: s.secretName, Ready: res.usable(now)}
	if h := res.held; h != nil && h.Intact && h.HasToken && h.State == v1alpha1.StateValid {
		entry.IssuedAt = stamp(h.life.IssuedAt)
		entry.ExpiresAt = stamp(h.life.ExpiresAt)
		entry.RefreshAt = stamp(seen.refreshAt(s, h))
		entry.GrantedRoles = h.Claims.Roles
		entry.MissingRoles = h.Claims.MissingRoles(s.spec.RequiredRoles)
		entry.TokenID = h.Claims.ID
	}
	if res.fault == nil {
		return entry
	}
	if res.fault.Reason == v1alpha1.ReasonRolesMissing {
		entry.GrantedRoles, entry.MissingRoles = res.fault.GrantedRoles, res.fault.MissingRoles
	}
	entry.Failure = failure(res.fault, s.spec.Name, former, now)
	return entry
}

// failure is written when reason or code change, then left alone: trace IDs differ with
// every answer and would make every attempt a write.
func failure(fault *token.Fault, name string, former []v1alpha1.TokenStatus, now time.Time) *v1alpha1.TokenFailure {
	i := slices.IndexFunc(former, func(t v1alpha1.TokenStatus) bool { return t.Name == name })
	if i >= 0 && former[i].Failure != nil {
		known := *former[i].Failure
		if known.Reason == fault.Reason && known.Code == fault.Code {
			known.Message = fault.Message
			return &known
		}
	}
	return &v1alpha1.TokenFailure{
		Reason: fault.Reason, Message: fault.Message, Code: fault.Code,
		Since: metav1.NewTime(now.UTC().Truncate(time.Second)), TraceID: fault.TraceID,
	}
}

// usable tells whether a workload can use the Secret now.
func (res result) usable(now time.Time) bool {
	return res.held != nil && res.slot.works(res.held) && now.Before(res.held.life.DeadAt())
}

func stamp(t time.Time) *metav1.Time {
	at := metav1.NewTime(t.UTC().Truncate(time.Second))
	return &at
}

func earliest(a, b *metav1.Time) *metav1.Time {
	if a == nil || b != nil && b.Before(a) {
		return b
	}
	return a
}
