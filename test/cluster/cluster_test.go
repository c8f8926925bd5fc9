package cluster_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/test/cluster"
)

func TestCluster(t *testing.T) {
	started := time.Now()
	logs := t.TempDir()
	c, err := cluster.Start(t.Context(), cluster.Options{ControllerManager: true, LogDir: logs})
	if errors.Is(err, cluster.ErrNoControllerManager) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("started in %s", time.Since(started).Round(time.Millisecond))

	t.Run("the garbage collector deletes what a deleted owner leaves behind", func(t *testing.T) { collects(t, c) })
	t.Run("somebody without a role may not read Secrets", func(t *testing.T) { forbids(t, c) })
	t.Run("kubectl understands the server's version", func(t *testing.T) { tellsVersion(t, c) })
	t.Run("each process has its log", func(t *testing.T) {
		for _, name := range []string{"kube-apiserver", "kube-controller-manager"} {
			if info, err := os.Stat(filepath.Join(logs, name+".log")); err != nil || info.Size() == 0 {
				t.Errorf("log of %s: %v", name, err)
			}
		}
	})
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", "")
	if _, err := cluster.Start(t.Context(), cluster.Options{}); err == nil || !strings.Contains(err.Error(), "make test") {
		t.Errorf("without a control plane: %v", err)
	}
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	if _, err := cluster.Start(t.Context(), cluster.Options{ControllerManager: true}); !errors.Is(err, cluster.ErrNoControllerManager) {
		t.Errorf("without a controller manager: %v", err)
	}
}

func collects(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx := t.Context()
	api := newClient(t, c.Config)
	owner := configMap("owner")
	if err := api.Create(ctx, owner); err != nil {
		t.Fatal(err)
	}
	owned := configMap("owned")
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	if err := api.Create(ctx, owned); err != nil {
		t.Fatal(err)
	}
	if err := api.Delete(ctx, owner); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	gone := func(ctx context.Context) (bool, error) {
		err := api.Get(ctx, client.ObjectKeyFromObject(owned), owned)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, gone); err != nil {
		t.Fatal(err)
	}
	t.Logf("collected after %s", time.Since(deleted).Round(time.Millisecond))
}

func forbids(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	somebody := rest.CopyConfig(c.Config)
	somebody.Impersonate.UserName = "somebody"
	err := newClient(t, somebody).List(t.Context(), &corev1.SecretList{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
}

func tellsVersion(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := c.WriteKubeconfig(kubeconfig); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), c.KubectlPath, "--kubeconfig", kubeconfig, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Server Version: v1.") {
		t.Errorf("%v\n%s", err, out)
	}
}

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceDefault}}
}
