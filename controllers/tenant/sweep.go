package tenant

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	// sweepInterval is how often everything is looked over, whatever became of its timer.
	sweepInterval = 30 * time.Second
	// overdueAfter is how late a thing must be before the sweep takes it up.
	overdueAfter = 30 * time.Second
	// sweepTimeout is how long the sweep may be silent before the process counts as stuck.
	sweepTimeout = 3 * sweepInterval
)

// sweep finds what is overdue in the cache, independent of the queue: timers lost to a
// suspended machine or to a bug end as a late renewal and a number, never as silence.
type sweep struct {
	reconciler *Reconciler
	last       atomic.Int64 // time of the last round in Unix nanoseconds, zero before the first
}

func newSweep(r *Reconciler) *sweep { return &sweep{reconciler: r} }

// start runs until the controller stops.
func (s *sweep) start(ctx context.Context, q queue) error {
	clock := s.reconciler.Clock
	s.last.Store(clock.Now().UnixNano())
	ticker := clock.NewTicker(sweepInterval)
	// The one goroutine outside cmd: a source must return, and it ends with its controller.
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C():
				// Not the time of the tick: a late tick would speak of the past.
				now := clock.Now()
				s.round(ctx, q, now)
				s.last.Store(now.UnixNano())
			}
		}
	}()
	return nil
}

// check fails when the sweep of a running controller has gone silent. While this replica
// does not lead, there is nothing to sweep and nothing to fail.
func (s *sweep) check(_ *http.Request) error {
	last := s.last.Load()
	if last == 0 {
		return nil
	}
	if silent := s.reconciler.Clock.Now().Sub(time.Unix(0, last)); silent > sweepTimeout {
		return fmt.Errorf("the sweep has been silent for %s", silent.Round(time.Second))
	}
	return nil
}

// round looks at every Secret once, at every object whose timer was lost, and at every one
// that was never reported on.
func (s *sweep) round(ctx context.Context, q queue, now time.Time) {
	r := s.reconciler
	secrets, err := r.Secrets.List(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list Secrets for the sweep")
		return
	}
	overdue, soonest := 0, math.Inf(1) // no token ends: no alert that asks for less than something
	for i := range secrets {
		if ends, fine := comfortable(&secrets[i], now); fine {
			soonest = min(soonest, ends.Sub(now).Seconds())
			continue
		}
		h := newHolding(&secrets[i])
		if !h.HasToken || h.State != v1alpha1.StateValid {
			continue
		}
		left := h.life.ExpiresAt.Sub(now)
		soonest = min(soonest, left.Seconds())
		if late(h, now) {
			overdue++
			r.wakeOverdue(q, h, classify(left), now)
		}
	}
	for _, key := range r.memory.late(now) {
		add(q, key, urgencyNormal)
	}
	namespaces := map[string]bool{}
	r.each(ctx, func(tenant *v1alpha1.DefenderTenant) {
		namespaces[tenant.Namespace] = true
		if tenant.Status.ObservedGeneration < tenant.Generation && now.Sub(tenant.CreationTimestamp.Time) > overdueAfter {
			add(q, client.ObjectKeyFromObject(tenant), urgencyNew)
		}
	})
	r.Secrets.Keep(namespaces)
	r.Metrics.swept(overdue, soonest)
	for _, host := range r.Catalog.Hosts() {
		r.Metrics.stands(host, r.Health.Of(host))
	}
}

// comfortable tells from the annotations alone that nothing is late. What a Secret holds is
// looked at only if something is: with ten thousand of them that is worth it.
func comfortable(secret *corev1.Secret, now time.Time) (ends time.Time, fine bool) {
	at := func(name string) time.Time {
		t, err := time.Parse(time.RFC3339, secret.Annotations[name])
		if err != nil {
			fine = false
		}
		return t
	}
	fine = true
	life := token.Life{IssuedAt: at(v1alpha1.IssuedAtAnnotation), ExpiresAt: at(v1alpha1.ExpiresAtAnnotation)}
	refresh := at(v1alpha1.RefreshAtAnnotation)
	return life.ExpiresAt, fine && now.Sub(refresh) <= overdueAfter && now.Before(life.DeadAt())
}

// late tells whether a renewal or an end is overdue. The annotation says when it was
// planned; without one the Secret was edited, and the watch has seen that.
func late(h *holding, now time.Time) bool {
	refreshAt, err := time.Parse(time.RFC3339, h.secret.Annotations[v1alpha1.RefreshAtAnnotation])
	if err != nil {
		return false
	}
	return now.Sub(refreshAt) > overdueAfter || now.Sub(h.life.DeadAt()) > 0
}

// wakeOverdue looks at the owner of an overdue token, unless that is about to happen anyway:
// in an outage all are overdue, and each has its next look planned.
func (r *Reconciler) wakeOverdue(q queue, h *holding, class urgency, now time.Time) {
	owner := metav1.GetControllerOf(h.secret)
	if owner != nil && r.memory.expects(types.NamespacedName{Namespace: h.secret.Namespace, Name: owner.Name}, now) {
		return
	}
	wakeOwner(q, h.secret, class)
}
