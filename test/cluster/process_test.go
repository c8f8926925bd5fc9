package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/test/cluster"
)

// TestFaults does to a cluster what a bad night does.
func TestFaults(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{EtcdQuota: 24 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	api := newClient(t, c.Config)
	kept := configMap("kept")
	if err := api.Create(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	t.Run("the API server comes back where it was", func(t *testing.T) {
		server, err := c.APIServer()
		if err != nil {
			t.Fatal(err)
		}
		comesBack(t, server, api, kept)
	})
	t.Run("etcd comes back with its data", func(t *testing.T) {
		etcd, err := c.Etcd()
		if err != nil {
			t.Fatal(err)
		}
		comesBack(t, etcd, api, kept)
	})
	t.Run("a paused etcd hangs", func(t *testing.T) { hangs(t, c, api) })
	t.Run("a full etcd refuses until there is space", func(t *testing.T) { runsFull(t, c, api) })
	// Whatever a test leaves behind, Stop ends.
	etcd, err := c.Etcd()
	if err != nil {
		t.Fatal(err)
	}
	if err := etcd.Pause(); err != nil {
		t.Fatal(err)
	}
}

func comesBack(t *testing.T, p *cluster.Process, api client.Client, kept *corev1.ConfigMap) {
	t.Helper()
	before := p.PID()
	for range 2 {
		if err := p.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", before)); !os.IsNotExist(err) {
			t.Errorf("process %d still runs: %v", before, err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.PID() == before {
			t.Errorf("process %d came back", before)
		}
		before = p.PID()
		found := &corev1.ConfigMap{}
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			return api.Get(ctx, client.ObjectKeyFromObject(kept), found) == nil, nil
		})
		if err != nil || found.UID != kept.UID {
			t.Errorf("got object %q, %v; want %q", found.UID, err, kept.UID)
		}
	}
}

func hangs(t *testing.T, c *cluster.Cluster, api client.Client) {
	t.Helper()
	etcd, err := c.Etcd()
	if err != nil {
		t.Fatal(err)
	}
	if err := etcd.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := api.Create(ctx, configMap("hanging")); err == nil {
		t.Error("a paused etcd stored something")
	}
	if err := etcd.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := api.Create(t.Context(), configMap("resumed")); err != nil {
		t.Error(err)
	}
}

func runsFull(t *testing.T, c *cluster.Cluster, api client.Client) {
	t.Helper()
	if full, err := c.OutOfSpace(t.Context()); full || err != nil {
		t.Fatalf("before: %v, %v", full, err)
	}
	if err := c.FillSpace(t.Context()); err != nil {
		t.Fatal(err)
	}
	if full, err := c.OutOfSpace(t.Context()); !full || err != nil {
		t.Fatalf("got %v, %v", full, err)
	}
	large := configMap("large")
	large.BinaryData = map[string][]byte{"x": bytes.Repeat([]byte("x"), 1000)}
	if err := api.Create(t.Context(), large); err == nil || apierrors.ReasonForError(err) != "" {
		t.Errorf("got %v; what etcd says comes without a reason", err)
	}
	if err := c.FreeSpace(t.Context()); err != nil {
		t.Fatal(err)
	}
	if full, err := c.OutOfSpace(t.Context()); full || err != nil {
		t.Fatalf("after: %v, %v", full, err)
	}
	if err := api.Create(t.Context(), large); err != nil {
		t.Error(err)
	}
}
