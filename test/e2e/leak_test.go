package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// inventory is every object of the cluster, by kind, namespace and name.
type inventory map[string]*unstructured.Unstructured

// takeInventory lists whatever can be listed.
func (w *world) takeInventory() inventory {
	w.t.Helper()
	silent := rest.CopyConfig(w.node.Config())
	silent.WarningHandler = rest.NoWarnings{} // of kinds that are older than their successors
	found, err := discovery.NewDiscoveryClientForConfig(silent)
	w.must(err)
	kinds, err := found.ServerPreferredResources()
	w.must(err)
	api, err := dynamic.NewForConfig(silent)
	w.must(err)
	all := inventory{}
	for _, group := range kinds {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		w.must(err)
		for i := range group.APIResources {
			if resource := &group.APIResources[i]; slices.Contains(resource.Verbs, "list") {
				w.must(all.list(w.t.Context(), api, version.WithResource(resource.Name)))
			}
		}
	}
	return all
}

func (i inventory) list(ctx context.Context, api dynamic.Interface, resource schema.GroupVersionResource) error {
	list, err := api.Resource(resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for n := range list.Items {
		object := &list.Items[n]
		i[strings.Join([]string{resource.GroupResource().String(), object.GetNamespace(), object.GetName()}, "/")] = object
	}
	return nil
}

// marks are what betrays a token, an answer of Entra ID or the application's own secret.
func (w *world) marks() []string {
	w.t.Helper()
	marks := append(w.entra.Marks(), "eyJ0eXAi", "ZXlKMGVYQW")
	if secret := w.kept["client secret"]; secret != "" {
		marks = append(marks, secret)
	}
	return marks
}

// searchLeaks looks into every object, every log since the beginning and the metrics as often as they were read.
func (w *world) searchLeaks() {
	w.searchLogs()
	objects := w.takeInventory()
	for name, object := range objects {
		if object.GetKind() == "Secret" && (object.Object["type"] == v1alpha1.SecretType || object.GetName() == "partner") {
			w.findsToken(object)
			unstructured.RemoveNestedField(object.Object, "data") // that is where they belong
		}
		text, err := json.Marshal(object.Object)
		w.must(err)
		w.search(name, text)
	}
	w.search("metrics", []byte(w.kept["metrics"]))
	w.t.Logf("%d objects were searched", len(objects))
}

// findsToken proves that the search would find a token if there was one.
func (w *world) findsToken(secret *unstructured.Unstructured) {
	w.t.Helper()
	token, _, err := unstructured.NestedString(secret.Object, "data", v1alpha1.KeyToken)
	w.must(err)
	if token != "" && !slices.ContainsFunc(w.marks(), func(mark string) bool { return strings.Contains(token, mark) }) {
		w.t.Errorf("no mark finds the token in Secret %s", secret.GetName())
	}
}

// searchLogs looks into what all processes of the cluster wrote, those in Pods included, also if these are gone.
func (w *world) searchLogs() {
	w.t.Helper()
	w.must(filepath.WalkDir(w.node.Logs(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		w.search(path, text)
		return err
	}))
}

func (w *world) search(place string, text []byte) {
	w.t.Helper()
	for _, mark := range w.marks() {
		if at := bytes.Index(text, []byte(mark)); at >= 0 {
			w.t.Errorf("%q is in %s, after %q", mark, place, text[max(0, at-100):at])
		}
	}
}

// keptLogs counts the logs with something in them of the operator's containers, by how their Pods' names begin.
func (w *world) keptLogs(pods string) int {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.node.KeptLogs(), operators+"_"+pods+"*", "*", "*.log"))
	w.must(err)
	return len(slices.DeleteFunc(files, func(file string) bool {
		info, err := os.Stat(file)
		w.must(err)
		return info.Size() == 0
	}))
}

// operatorsLogs is what its running Pods wrote.
func (w *world) operatorsLogs() string {
	w.t.Helper()
	var out strings.Builder
	for _, pod := range w.operatorPods() {
		out.WriteString(w.kubectl("logs", "--namespace", operators, pod.Name))
	}
	return out.String()
}
