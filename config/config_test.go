// Package config_test applies what this folder holds to a real API server.
package config_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
)

func TestManifestsOnARealAPIServer(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := c.WriteKubeconfig(kubeconfig); err != nil {
		t.Fatal(err)
	}
	kubectl := func(t *testing.T, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), c.KubectlPath, append(args, "--kubeconfig", kubeconfig)...).CombinedOutput()
		if err != nil || strings.Contains(string(out), "Warning") {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	api, err := client.New(c.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("config/default installs", func(t *testing.T) {
		kubectl(t, "apply", "--server-side", "-k", "default")
		kubectl(t, "apply", "--server-side", "--dry-run=server", "-k", "default")
	})
	t.Run("config/hardened grants no Secrets by itself, and its sample does for one namespace", func(t *testing.T) {
		rendered := kubectl(t, "kustomize", "hardened")
		for part, want := range map[string]int{"kind: ClusterRoleBinding": 1, "name: defender-tenant-operator-secrets": 1, "- --secret-access=Namespace": 1} {
			if got := strings.Count(rendered, part); got != want {
				t.Errorf("%q stands there %d times, want %d", part, got, want)
			}
		}
		kubectl(t, "apply", "-k", "samples/hardened")
		if got := kubectl(t, "auth", "can-i", "update", "secrets", "-n", "litware", "--as=system:serviceaccount:defender-system:defender-tenant-operator"); got != "yes\n" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("config/samples apply, and a second time change nothing", func(t *testing.T) {
		kubectl(t, "apply", "-k", "samples")
		for line := range strings.Lines(kubectl(t, "apply", "-k", "samples")) {
			// Of a Secret with stringData kubectl always says configured.
			if !strings.HasSuffix(line, " unchanged\n") && !strings.HasPrefix(line, "secret/") {
				t.Error(line)
			}
		}
	})
	t.Run("each sample of ours is read back as it was written", func(t *testing.T) {
		samples := 0
		for _, written := range readSamples(t, "samples/*.yaml") {
			if written.GroupVersionKind().Group != v1alpha1.Group {
				continue
			}
			samples++
			stored := &unstructured.Unstructured{}
			stored.SetGroupVersionKind(written.GroupVersionKind())
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(&written), stored); err != nil {
				t.Fatal(err)
			}
			if !apiequality.Semantic.DeepEqual(written.Object["spec"], stored.Object["spec"]) {
				t.Errorf("%s %s: wrote %v, read %v", written.GetKind(), written.GetName(), written.Object["spec"], stored.Object["spec"])
			}
		}
		if samples < 5 {
			t.Errorf("only %d samples were found", samples)
		}
	})
	t.Run("each kind of credential has a sample", func(t *testing.T) {
		kinds := map[string]int{}
		for _, written := range readSamples(t, "samples/credentials/*.yaml") {
			credentials, _, err := unstructured.NestedSlice(written.Object, "spec", "credentials")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range credentials {
				for kind := range c.(map[string]any) {
					kinds[kind]++
				}
			}
		}
		delete(kinds, "name")
		if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, []string{"certificate", "clientSecret", "keyVault", "workloadIdentity"}) {
			t.Errorf("got %v", got)
		}
		kubectl(t, "apply", "--dry-run=server", "-f", "samples/credentials")
	})
}

func readSamples(t *testing.T, pattern string) []unstructured.Unstructured {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var samples []unstructured.Unstructured
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var sample unstructured.Unstructured
		if err := yaml.Unmarshal(text, &sample.Object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		samples = append(samples, sample)
	}
	return samples
}
