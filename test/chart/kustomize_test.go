package chart_test

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestKustomizeAndHelmRenderTheSame compares object by object and field by field. Whatever differs on purpose
// stands here.
func TestKustomizeAndHelmRenderTheSame(t *testing.T) {
	kustomize, chart := parse(t, kustomized(t, "default")), render(t, "")

	only := func(in, notIn map[string]map[string]any) []string {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(in)) {
			if notIn[name] == nil {
				names = append(names, name)
			}
		}
		return names
	}
	// With Helm it is --create-namespace that makes the namespace.
	if got := only(kustomize, chart); !slices.Equal(got, []string{"Namespace defender-system"}) {
		t.Errorf("only kustomize has %q", got)
	}
	// Hooks exist for the time of an uninstall.
	if got := only(chart, kustomize); !slices.Equal(got, []string{
		"Job defender-system/defender-tenant-operator-purge",
		"Role defender-system/defender-tenant-operator-purge",
		"RoleBinding defender-system/defender-tenant-operator-purge",
	}) {
		t.Errorf("only the chart has %q", got)
	}
	// What the chart does before an uninstall is a folder of its own for those who have no Helm.
	maps.Copy(kustomize, parse(t, kustomized(t, "purge")))
	for name, object := range chart {
		if kustomize[name] == nil {
			continue
		}
		withoutHelm(object)
		for _, difference := range differences("", kustomize[name], object) {
			t.Errorf("%s%s", name, difference)
		}
	}
}

// TestOneVersion: what a release has to change, it changes everywhere. docs/release.md names the files.
func TestOneVersion(t *testing.T) {
	want := chartVersion(t)
	for file, pattern := range map[string]string{
		chart + "/Chart.yaml":                     `(?m)^appVersion: (\S+)$`,
		"../../config/manager/kustomization.yaml": `(?m)^  newTag: (\S+)$`,
		"../../config/purge/kustomization.yaml":   `(?m)^  newTag: (\S+)$`,
		"../../CHANGELOG.md":                      `(?m)^## \[(\d\S*)\] - `, // the newest that has a number
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := regexp.MustCompile(pattern).FindSubmatch(text); got == nil || string(got[1]) != want {
			t.Errorf("%s has version %q, Chart.yaml has %s", file, got, want)
		}
	}
}

// chartVersion is what Chart.yaml says.
func chartVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(chart + "/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Version string `json:"version"`
	}
	if err := yaml.Unmarshal(text, &said); err != nil || said.Version == "" {
		t.Fatalf("Chart.yaml has no version: %v", err)
	}
	return said.Version
}

func kustomized(t *testing.T, folder string) string {
	t.Helper()
	text, err := run(t.Context(), "", kubectlPath(t), "kustomize", "../../config/"+folder)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// withoutHelm removes what Helm writes for itself.
func withoutHelm(object map[string]any) {
	for _, label := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"} {
		unstructured.RemoveNestedField(object, "metadata", "labels", label)
	}
	for _, annotation := range []string{"helm.sh/resource-policy", "helm.sh/hook", "helm.sh/hook-weight", "helm.sh/hook-delete-policy"} {
		unstructured.RemoveNestedField(object, "metadata", "annotations", annotation)
	}
	if annotations, _, _ := unstructured.NestedMap(object, "metadata", "annotations"); len(annotations) == 0 {
		unstructured.RemoveNestedField(object, "metadata", "annotations")
	}
}

// TestHardenedProfile: the folder of kustomize and the value of the chart are the same profile.
func TestHardenedProfile(t *testing.T) {
	kustomize, chart := parse(t, kustomized(t, "hardened")), render(t, "profile: hardened")
	delete(kustomize, "Namespace defender-system")
	maps.Copy(kustomize, parse(t, kustomized(t, "purge")))
	if got, want := slices.Sorted(maps.Keys(chart)), slices.Sorted(maps.Keys(kustomize)); !slices.Equal(got, want) {
		t.Errorf("the chart has %q, kustomize has %q", got, want)
	}
	for name, object := range chart {
		withoutHelm(object)
		for _, difference := range differences("", kustomize[name], object) {
			t.Errorf("%s%s", name, difference)
		}
	}
}

// differences names the fields that differ.
func differences(path string, kustomize, chart any) []string {
	left, isMap := kustomize.(map[string]any)
	right, alsoMap := chart.(map[string]any)
	if isMap && alsoMap {
		var all []string
		keys := maps.Clone(left)
		maps.Copy(keys, right)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			all = append(all, differences(path+"."+key, left[key], right[key])...)
		}
		return all
	}
	list, isList := kustomize.([]any)
	other, alsoList := chart.([]any)
	if isList && alsoList && len(list) == len(other) {
		var all []string
		for i := range list {
			all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), list[i], other[i])...)
		}
		return all
	}
	if reflect.DeepEqual(kustomize, chart) {
		return nil
	}
	return []string{fmt.Sprintf("%s: kustomize has %v, the chart has %v", path, kustomize, chart)}
}
