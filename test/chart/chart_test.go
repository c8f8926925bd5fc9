// Package chart_test renders, installs and upgrades the Helm chart with Helm itself.
package chart_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	chart     = "../../charts/defender-tenant-operator"
	release   = "defender-tenant-operator"
	namespace = "defender-system"
)

// TestMain reads what other programs will read, so that Go does not take an old result for that of changed files.
func TestMain(m *testing.M) {
	for _, folder := range []string{chart, "../../config"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// program finds what make test builds before.
func program(t *testing.T, variable, path, builder string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Fatalf("%s is not set: run `make test`, or set it to what %s prints", variable, builder)
	}
	return filepath.Join(value, path)
}

func kubectlPath(t *testing.T) string {
	t.Helper()
	return program(t, "KUBEBUILDER_ASSETS", "kubectl", "hack/controlplane/build.sh")
}

// run gives what a program prints, and what it complains about.
func run(ctx context.Context, stdin, program string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// helm runs Helm with no settings of the user's.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	home := t.TempDir()
	for _, variable := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
		t.Setenv(variable, home)
	}
	return run(t.Context(), "", program(t, "HELM", "", "hack/helm/build.sh"), args...)
}

// template renders the chart with values, given as YAML.
func template(t *testing.T, values string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	return helm(t, "template", release, chart, "--namespace", namespace, "--values", file)
}

// render is template for values that the chart takes.
func render(t *testing.T, values string) map[string]map[string]any {
	t.Helper()
	text, err := template(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

// parse reads objects and names each by kind, namespace and name.
func parse(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	objects := map[string]map[string]any{}
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if object == nil {
			continue
		}
		u := unstructured.Unstructured{Object: object}
		name := strings.TrimSpace(u.GetKind() + " " + strings.TrimPrefix(u.GetNamespace()+"/"+u.GetName(), "/"))
		if objects[name] != nil {
			t.Fatalf("%s is there twice", name)
		}
		objects[name] = object
	}
	return objects
}
