package v1alpha1_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
)

const namespace = "soc"

var (
	running *cluster.Cluster
	config  *rest.Config
	api     client.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	c, err := cluster.Start(ctx, cluster.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	running, config = c, c.Config
	if err := v1alpha1.AddToScheme(clientgoscheme.Scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if api, err = client.New(config, client.Options{Scheme: clientgoscheme.Scheme}); err == nil {
		err = api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// parse reads an object from YAML.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// base is a valid object of each kind that uses every field of its spec.
func base(t *testing.T, kind string) *unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(kind)+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

// store creates an object for the time of one test.
func store(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	if err := api.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	removeAfter(t, o)
}

func removeAfter(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	t.Cleanup(func() {
		if err := api.Delete(context.Background(), o); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
}

// absent stands for a field that is left out.
type absent struct{}

// set changes one field of an object; the path is as in the API server's messages.
func set(t *testing.T, object *unstructured.Unstructured, path string, value any) {
	t.Helper()
	_, leaveOut := value.(absent)
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &value); err != nil {
		t.Fatal(err)
	}
	var here any = object.Object
	steps := strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(path), ".")
	for i, step := range steps {
		last := i == len(steps)-1
		switch holder := here.(type) {
		case map[string]any:
			if last && leaveOut {
				delete(holder, step)
			} else if last {
				holder[step] = value
			}
			here = holder[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(holder) {
				t.Fatalf("%s: nothing is at %s", path, step)
			}
			if last {
				holder[n] = value
			}
			here = holder[n]
		default:
			t.Fatalf("%s: nothing is at %s", path, step)
		}
	}
}

// definitions are the CRDs by kind.
func definitions(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "config", "crd", "bases", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, definition); err != nil {
			t.Fatal(err)
		}
		found[definition.Spec.Names.Kind] = definition
	}
	if len(found) != 3 {
		t.Fatalf("%d CRDs in config/crd/bases", len(found))
	}
	return found
}

// node is one place in the schema of a CRD.
//
//nolint:kubeapilinter // a finding, no part of the API
type node struct {
	path   string // as in the API server's messages, with [*] for any index
	name   string // of the property, empty for items
	schema *apiextensionsv1.JSONSchemaProps
}

// nodes are all places in the schema of a CRD but its type and object metadata.
func nodes(definition *apiextensionsv1.CustomResourceDefinition) []node {
	var all []node
	var walk func(node)
	walk = func(n node) {
		all = append(all, n)
		for name, property := range n.schema.Properties {
			path := strings.TrimPrefix(n.path+"."+name, ".")
			if path != "apiVersion" && path != "kind" && path != "metadata" {
				walk(node{path, name, &property})
			}
		}
		if n.schema.Items != nil {
			walk(node{n.path + "[*]", "", n.schema.Items.Schema})
		}
	}
	walk(node{"", "", definition.Spec.Versions[0].Schema.OpenAPIV3Schema})
	return all
}
