package tenant

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// hanging is a connection to an API server that never answers.
func hanging() client.WithWatch {
	ends := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	return interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return ends(ctx)
		},
		Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
			return ends(ctx)
		},
		Update: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.UpdateOption) error {
			return ends(ctx)
		},
		Delete: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.DeleteOption) error {
			return ends(ctx)
		},
		SubResourcePatch: func(ctx context.Context, _ client.Client, _ string, _ client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
			return ends(ctx)
		},
	})
}

func TestAHangingAPIServerHoldsNoWorker(t *testing.T) {
	locked := goodHolding()
	yes := true
	locked.secret.Immutable = &yes
	with := func(h *holding) slot {
		s := goodSlot()
		s.held = h
		return s
	}
	token := contents{data: map[string][]byte{v1alpha1.KeyToken: []byte("token")}, annotations: map[string]string{}}
	for name, call := range map[string]func(context.Context, *Reconciler, *observed) error{
		"lookup": func(ctx context.Context, r *Reconciler, seen *observed) error {
			_, fault := r.lookup(ctx, seen.tenant, "contoso-xdr")
			return fault.Cause
		},
		"create": func(ctx context.Context, r *Reconciler, seen *observed) error {
			res := result{slot: with(nil)}
			r.publish(ctx, seen, &res, with(nil), token, &remembered{written: map[string]string{}})
			return res.fault.Cause
		},
		"update": func(ctx context.Context, r *Reconciler, seen *observed) error {
			res := result{slot: with(goodHolding())}
			r.publish(ctx, seen, &res, with(goodHolding()), token, &remembered{written: map[string]string{}})
			return res.fault.Cause
		},
		"replace": func(ctx context.Context, r *Reconciler, seen *observed) error {
			res := result{slot: with(locked)}
			r.publish(ctx, seen, &res, with(locked), token, &remembered{written: map[string]string{}})
			return res.fault.Cause
		},
		"read again": func(ctx context.Context, r *Reconciler, seen *observed) error {
			_, fault := r.reread(ctx, seen, &result{slot: goodSlot()}, token, &corev1.Secret{})
			return fault.Cause
		},
		"mark": func(ctx context.Context, r *Reconciler, seen *observed) error {
			res := result{slot: goodSlot(), held: goodHolding()}
			r.markEnded(ctx, seen, &res, v1alpha1.StateExpired, &remembered{written: map[string]string{}})
			return res.fault.Cause
		},
		"delete": func(ctx context.Context, r *Reconciler, _ *observed) error {
			return r.deleteOwned(ctx, goodHolding().secret)
		},
		"report": func(ctx context.Context, r *Reconciler, seen *observed) error {
			return r.report(ctx, seen, outcome{seen: seen}, noon())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := hanging()
				r := &Reconciler{Client: api, Live: api, Clock: clock.RealClock{}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				started := time.Now()
				err := call(ctx, r, &observed{tenant: someTenant()})
				if took := time.Since(started); took != 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("ended after %v with %v, want a deadline of 10 s", took, err)
				}
			})
		})
	}
}

func TestOutlast_EndsALittleAfterTheManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Reconciler{Clock: clock.RealClock{}}
		ctx, stop := context.WithCancel(t.Context())
		lasting, end := r.outlast(ctx)
		defer end()
		finished, endFinished := r.outlast(ctx)
		stop()
		told := time.Now()
		endFinished()
		if finished.Err() == nil {
			t.Error("a pass that ended keeps its context")
		}
		<-lasting.Done()
		if took := time.Since(told); took != 1500*time.Millisecond {
			t.Errorf("a pass may go on for %v, want 1.5 s", took)
		}
	})
}
