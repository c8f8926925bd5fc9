package v1alpha1_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// What is applied from a repository is what the API server gives back: a tool that
// compares the two has nothing to mend for ever.
func TestApply_ReadsBackAsItWasWritten(t *testing.T) {
	applied := map[string]*unstructured.Unstructured{}
	for _, kind := range []string{"DefenderTenant", "DefenderApp", "DefenderGrant"} {
		o := base(t, kind)
		o.SetName("applied")
		applied["an object with every field: "+kind] = o
	}
	least := parse(t, "apiVersion: defender.tenant-operator.dev/v1alpha1\nkind: DefenderTenant\n"+
		"metadata: {name: least, namespace: soc}\nspec: {tenantID: 11111111-1111-1111-1111-111111111111, app: partner}")
	applied["the least DefenderTenant"] = least
	leastTokens := least.DeepCopy()
	leastTokens.SetName("least-tokens")
	set(t, leastTokens, "spec.tokens", tokens(2))
	applied["a DefenderTenant with the least tokens"] = leastTokens
	for name, sample := range samples(t) {
		applied["sample "+name] = sample
	}
	for name, want := range applied {
		t.Run(name, func(t *testing.T) {
			first := apply(t, want)
			if got, wanted := spec(t, first), spec(t, want); got != wanted {
				t.Errorf("got  %s\nwant %s", got, wanted)
			}
			second := apply(t, want) // stores the status that the first one only showed
			third := apply(t, want)
			if second.GetResourceVersion() != third.GetResourceVersion() || third.GetGeneration() != 1 {
				t.Errorf("applying it again is a change, generation %d", third.GetGeneration())
			}
		})
	}
}

// spec is the spec of an object as JSON, in which numbers look alike.
func spec(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	encoded, err := json.Marshal(o.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func apply(t *testing.T, want *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(want.DeepCopy()), client.FieldOwner("gitops"))
	if err != nil {
		t.Fatal(err)
	}
	removeAfter(t, want)
	got := &unstructured.Unstructured{}
	got.SetGroupVersionKind(want.GroupVersionKind())
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(want), got); err != nil {
		t.Fatal(err)
	}
	return got
}

// samples are the objects of our kinds in config/samples, by file.
func samples(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*unstructured.Unstructured{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sample := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict(document, &sample.Object); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if sample.GroupVersionKind().Group == "defender.tenant-operator.dev" {
				found[filepath.Base(path)+" "+sample.GetName()] = sample
			}
		}
	}
	return found
}

func TestList_SelectsByField(t *testing.T) {
	create := func(kind, name string, changes map[string]any) {
		t.Helper()
		o := base(t, kind)
		o.SetName(name)
		for path, value := range changes {
			set(t, o, path, value)
		}
		store(t, o)
	}
	const one, two = "aaaaaaaa-1111-1111-1111-111111111111", "bbbbbbbb-1111-1111-1111-111111111111"
	create("DefenderTenant", "select-1", map[string]any{"spec.tenantID": one, "spec.app": "select-a"})
	create("DefenderTenant", "select-2", map[string]any{"spec.tenantID": two, "spec.app": "select-a"})
	create("DefenderTenant", "select-3", map[string]any{"spec.tenantID": two, "spec.app": "select-b"})
	create("DefenderApp", "select-1", map[string]any{"spec.clientID": one})
	create("DefenderApp", "select-2", map[string]any{"spec.clientID": two})
	create("DefenderGrant", "select-1", map[string]any{"spec.app": "select-a"})
	create("DefenderGrant", "select-2", map[string]any{"spec.app": "select-b"})
	for name, test := range map[string]struct {
		list   client.ObjectList
		fields client.MatchingFields
		want   []string
	}{
		"DefenderTenants of a customer":            {&v1alpha1.DefenderTenantList{}, client.MatchingFields{"spec.tenantID": two}, []string{"select-2", "select-3"}},
		"DefenderTenants of an app":                {&v1alpha1.DefenderTenantList{}, client.MatchingFields{"spec.app": "select-a"}, []string{"select-1", "select-2"}},
		"DefenderTenants of a customer and an app": {&v1alpha1.DefenderTenantList{}, client.MatchingFields{"spec.tenantID": two, "spec.app": "select-a"}, []string{"select-2"}},
		"DefenderTenants of nobody":                {&v1alpha1.DefenderTenantList{}, client.MatchingFields{"spec.app": "select-c"}, nil},
		"DefenderApps of a client ID":              {&v1alpha1.DefenderAppList{}, client.MatchingFields{"spec.clientID": one}, []string{"select-1"}},
		"DefenderGrants of an app":                 {&v1alpha1.DefenderGrantList{}, client.MatchingFields{"spec.app": "select-b"}, []string{"select-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := api.List(t.Context(), test.list, test.fields); err != nil {
				t.Fatal(err)
			}
			var names []string
			switch list := test.list.(type) {
			case *v1alpha1.DefenderTenantList:
				for _, item := range list.Items {
					names = append(names, item.Name)
				}
			case *v1alpha1.DefenderAppList:
				for _, item := range list.Items {
					names = append(names, item.Name)
				}
			case *v1alpha1.DefenderGrantList:
				for _, item := range list.Items {
					names = append(names, item.Name)
				}
			}
			if !slices.Equal(names, test.want) {
				t.Errorf("got %v, want %v", names, test.want)
			}
		})
	}
}

// A column of type date would show a time in the future as <invalid>.
func TestTable_IsWhatKubectlShows(t *testing.T) {
	o := base(t, "DefenderTenant")
	o.SetName("table")
	store(t, o)
	status, err := os.ReadFile(filepath.Join("testdata", "defendertenant-status.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var reported any
	if err := yaml.UnmarshalStrict(status, &reported); err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(map[string]any{"status": reported})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Status().Patch(t.Context(), o, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	table := getTable(t, "/namespaces/soc/defendertenants/table")
	var columns, cells []string
	for i, column := range table.ColumnDefinitions {
		cell, isText := table.Rows[0].Cells[i].(string)
		if !isText || column.Type == "date" && column.Name != "Age" {
			t.Errorf("%s is %T of type %s", column.Name, table.Rows[0].Cells[i], column.Type)
		}
		if column.Name == "Age" {
			cell = "any"
		}
		if column.Priority > 0 {
			column.Name = "wide: " + column.Name
		}
		columns, cells = append(columns, column.Name), append(cells, cell)
	}
	if want := []string{"Name", "Tenant", "Ready", "Consent", "Expires", "Refresh", "Reason", "wide: App", "wide: Missing roles", "wide: Secrets", "Age"}; !slices.Equal(columns, want) {
		t.Errorf("got  %q\nwant %q", columns, want)
	}
	if want := []string{
		"table", "11111111-1111-1111-1111-111111111111", "True", "False", "2099-05-04T13:00:00Z", "2099-05-04T12:30:00Z", "TokensReady",
		"partner", "AdvancedHunting.Read.All", `["contoso-xdr"]`, "any",
	}; !slices.Equal(cells, want) {
		t.Errorf("got  %q\nwant %q", cells, want)
	}
}

func getTable(t *testing.T, path string) metav1.Table {
	t.Helper()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(config.Host, "/")+"/apis/defender.tenant-operator.dev/v1alpha1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if request.URL.Scheme == "" {
		t.Fatalf("no URL: %s", config.Host)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(body, &table); err != nil || response.StatusCode != http.StatusOK || len(table.Rows) != 1 {
		t.Fatalf("%s: %v\n%s", response.Status, err, body)
	}
	return table
}

func TestShortNames(t *testing.T) {
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	served, err := finder.ServerResourcesForGroupVersion("defender.tenant-operator.dev/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"defendertenants": "dt", "defenderapps": "dapp", "defendergrants": "dgrant"}
	for _, resource := range served.APIResources {
		short, known := want[resource.Name]
		if !known {
			continue // a subresource
		}
		delete(want, resource.Name)
		if !slices.Equal(resource.ShortNames, []string{short}) || !slices.Equal(resource.Categories, []string{"defender"}) || resource.Namespaced != (short == "dt") {
			t.Errorf("got %+v", resource)
		}
	}
	if len(want) > 0 {
		t.Errorf("not served: %v", want)
	}
}

func TestKubectl_ShowsNoInvalidTimes(t *testing.T) {
	o := base(t, "DefenderTenant")
	o.SetName("kubectl")
	store(t, o)
	patch := []byte(`{"status":{"expiresAt":"2099-05-04T13:00:00Z","refreshAt":"2099-05-04T12:30:00Z"}}`)
	if err := api.Status().Patch(t.Context(), o, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := running.WriteKubeconfig(kubeconfig); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), running.KubectlPath, "--kubeconfig", kubeconfig, "get", "dt", "kubectl", "-n", "soc").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if want := []string{"NAME", "TENANT", "READY", "CONSENT", "EXPIRES", "REFRESH", "REASON", "AGE"}; !slices.Equal(strings.Fields(lines[0]), want) {
		t.Errorf("got %s", lines[0])
	}
	if len(lines) != 2 || !strings.Contains(lines[1], "2099-05-04T13:00:00Z") || strings.Contains(lines[1], "invalid") {
		t.Errorf("got %s", out)
	}
}
