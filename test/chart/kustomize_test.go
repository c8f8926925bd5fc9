package chart_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestKustomizeAndHelmRenderTheSame compares object by object and field by field. Whatever differs on purpose
// stands here.
func TestKustomizeAndHelmRenderTheSame(t *testing.T) {
	text, err := run(t.Context(), "", kubectlPath(t), "kustomize", "../../config/default")
	if err != nil {
		t.Fatal(err)
	}
	kustomize, chart := parse(t, text), render(t, "")

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

// withoutHelm removes what Helm writes for itself.
func withoutHelm(object map[string]any) {
	for _, label := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"} {
		unstructured.RemoveNestedField(object, "metadata", "labels", label)
	}
	if object["kind"] == "CustomResourceDefinition" { // it stays when the release goes
		unstructured.RemoveNestedField(object, "metadata", "annotations", "helm.sh/resource-policy")
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
