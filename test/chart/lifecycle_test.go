package chart_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
)

// everything sets what is off or empty by default, but what needs foreign CRDs.
const everything = `
replicas: 3
namespaces: [soc]
authorityURL: https://login.example:8443
vaultURL: https://vault.example
minTokenLifetime: 1m
log: {level: debug, encoder: console}
imagePullSecrets: [{name: pull}]
caBundle: {configMap: roots}
proxy: {secret: {name: proxy}, noProxy: .example.com}
workloadIdentity: {use: true, clientID: id, tenantID: home}
serviceAccount: {annotations: {a: b}}
podLabels: {a: b}
podAnnotations: {c: d}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
networkPolicy:
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  dnsTo: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
  apiServerCIDRs: [192.0.2.7/32, "2001:db8::/64"]
  proxyCIDRs: [192.0.2.8/32]
  entraCIDRs: [192.0.2.16/28]
metrics: {readers: [{namespace: monitoring, name: prometheus}]}
`

// world is an API server without any of our objects, and without nodes: no Pod runs.
type world struct {
	client.Client
	t          *testing.T
	kubeconfig string
	kubectl    string
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	plane, err := cluster.Start(t.Context(), cluster.Options{})
	w.must(err)
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.kubectl = plane.KubectlPath
	w.must(plane.WriteKubeconfig(w.kubeconfig))
	scheme := runtime.NewScheme()
	w.must(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)))
	w.Client, err = client.New(plane.Config, client.Options{Scheme: scheme})
	w.must(err)
	w.do("", "delete", "-f", "../../config/crd/bases") // the chart brings its own
	return w
}

// do runs kubectl.
func (w *world) do(stdin string, args ...string) string {
	w.t.Helper()
	out, err := run(w.t.Context(), stdin, w.kubectl, append(args, "--kubeconfig", w.kubeconfig)...)
	w.must(err)
	return out
}

// helm runs Helm in the cluster.
func (w *world) helm(args ...string) string {
	w.t.Helper()
	out, err := helm(w.t, append(args, "--namespace", namespace, "--kubeconfig", w.kubeconfig)...)
	w.must(err)
	return out
}

func (w *world) in(t *testing.T) *world {
	t.Helper()
	inner := *w
	inner.t = t
	return &inner
}

// TestLifeOfARelease takes a release from its first install to its end.
func TestLifeOfARelease(t *testing.T) {
	w := newWorld(t)
	w.must(w.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}))
	t.Run("the API server takes what is rendered", w.rendered)
	t.Run("install of the version before", w.install)
	t.Run("upgrade", w.upgrade)
	t.Run("Pod Security restricted", w.restricted)
	t.Run("purge", w.purge)
	t.Run("uninstall", w.uninstall)
	t.Run("install again", func(t *testing.T) {
		w.in(t).helm("install", release, chart)
	})
}

func (w *world) rendered(t *testing.T) {
	w = w.in(t)
	for _, values := range []string{"", "profile: hardened", everything} {
		text, err := template(t, values)
		w.must(err)
		w.do(text, "apply", "--server-side", "--dry-run=server", "-f", "-")
	}
}

// install takes a chart of a version before: one CRD lacks a field, one object does not exist yet, another still does.
func (w *world) install(t *testing.T) {
	w = w.in(t)
	before := filepath.Join(t.TempDir(), "before")
	w.must(os.CopyFS(before, os.DirFS(chart)))
	rewrite := func(name string, change func(object map[string]any)) {
		path := filepath.Join(before, name)
		text, err := os.ReadFile(path)
		w.must(err)
		var object map[string]any
		w.must(yaml.Unmarshal(text, &object))
		change(object)
		text, err = yaml.Marshal(object)
		w.must(err)
		w.must(os.WriteFile(path, text, 0o600))
	}
	rewrite("Chart.yaml", func(chart map[string]any) { chart["version"], chart["appVersion"] = "0.0.9", "0.0.9" })
	rewrite("files/crds/defender.tenant-operator.dev_defendertenants.yaml", func(crd map[string]any) {
		versions, _, _ := unstructured.NestedSlice(crd, "spec", "versions")
		unstructured.RemoveNestedField(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties", "suspend")
		w.must(unstructured.SetNestedSlice(crd, versions, "spec", "versions"))
	})
	w.must(os.Remove(filepath.Join(before, "templates", "pod-disruption-budget.yaml")))
	w.must(os.WriteFile(filepath.Join(before, "templates", "gone.yaml"), []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gone\n"), 0o600))

	notes := w.helm("install", release, before)
	if w.crdTakes("suspend") {
		t.Fatal("the CRD of the version before is not one")
	}
	w.do("", "apply", "-k", "../../config/samples")

	_, example, _ := strings.Cut(notes, "<<'YAML'\n")
	example, _, found := strings.Cut(example, "\nYAML\n")
	if !found {
		t.Fatalf("no example in\n%s", notes)
	}
	w.do(example, "apply", "--dry-run=server", "-f", "-")
}

func (w *world) upgrade(t *testing.T) {
	w = w.in(t)
	before := w.customers()
	w.helm("upgrade", release, chart, "--set", "replicas=3")
	if !w.crdTakes("suspend") {
		t.Error("the CRD was not upgraded")
	}
	var deployment appsv1.Deployment
	w.must(w.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "defender-tenant-operator"}, &deployment))
	if image := deployment.Spec.Template.Spec.Containers[0].Image; image != "ghcr.io/defender-tenant/operator:"+chartVersion(t) || *deployment.Spec.Replicas != 3 {
		t.Errorf("image %s, %d replicas", image, *deployment.Spec.Replicas)
	}
	if names := w.do("", "get", "pdb,configmap", "-n", namespace, "-o", "name", "--field-selector", "metadata.name!=kube-root-ca.crt"); names !=
		"poddisruptionbudget.policy/defender-tenant-operator\n" {
		t.Errorf("of what came and went there is %q", names)
	}
	if after := w.customers(); len(after) != 2 || !slices.Equal(before, after) {
		t.Errorf("customers before %v, after %v", before, after)
	}
}

// restricted lets the API server judge the Pods that the controllers would make.
func (w *world) restricted(t *testing.T) {
	w = w.in(t)
	text, err := template(t, everything)
	w.must(err)
	objects := parse(t, text)
	var deployment appsv1.Deployment
	var job batchv1.Job
	w.must(runtime.DefaultUnstructuredConverter.FromUnstructured(objects["Deployment defender-system/defender-tenant-operator"], &deployment))
	w.must(runtime.DefaultUnstructuredConverter.FromUnstructured(objects["Job defender-system/defender-tenant-operator-purge"], &job))
	create := func(template corev1.PodTemplateSpec) error {
		template.Namespace, template.Name = namespace, "pod"
		return w.Create(t.Context(), &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}, client.DryRunAll)
	}
	w.must(create(deployment.Spec.Template))
	w.must(create(job.Spec.Template))
	deployment.Spec.Template.Spec.Containers[0].SecurityContext.Capabilities = nil
	if err := create(deployment.Spec.Template); !apierrors.IsForbidden(err) {
		t.Errorf("a Pod that is not restricted: %v", err)
	}
}

// purge does what the hook does, with the rights that it has.
func (w *world) purge(t *testing.T) {
	w = w.in(t)
	var tenant v1alpha1.DefenderTenant
	w.must(w.Get(t.Context(), types.NamespacedName{Namespace: "soc", Name: "contoso"}, &tenant))
	controller := true
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "soc", Name: "contoso-xdr", Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "DefenderTenant", Name: tenant.Name, UID: tenant.UID, Controller: &controller,
			}},
		},
		Type: v1alpha1.SecretType, Data: map[string][]byte{"token": []byte("a-token"), "state": []byte("Valid")},
	}
	// As the guard would have it: nobody but the operator makes such a Secret.
	w.must(w.as(operator).Create(t.Context(), secret))
	rights, err := helm(t, "template", release, chart, "--namespace", namespace, "--show-only", "templates/purge.yaml")
	w.must(err)
	var roles []string
	for document := range strings.SplitSeq(rights, "\n---\n") {
		if !strings.Contains(document, "kind: Job") {
			roles = append(roles, document)
		}
	}
	bound := strings.Join(roles, "\n---\n")
	manager := filepath.Join(t.TempDir(), "manager")
	_, err = run(t.Context(), "", "go", "build", "-o", manager, "../../cmd/manager")
	w.must(err)
	t.Setenv("POD_NAMESPACE", namespace)
	empty := func() error {
		_, err := run(t.Context(), "", manager, "empty-secrets", "--scale-down=defender-tenant-operator", "--kubeconfig", w.kubeconfigOf(operator))
		return err
	}

	if err := empty(); err == nil || !strings.Contains(err.Error(), `cannot get resource "deployments/scale"`) {
		t.Errorf("without the hook's role: %v", err)
	}
	w.do(bound, "apply", "-f", "-")
	w.must(empty())
	w.do(bound, "delete", "-f", "-")
	w.must(w.Get(t.Context(), client.ObjectKeyFromObject(secret), secret))
	if len(secret.Data["token"]) > 0 || string(secret.Data["state"]) != "Suspended" {
		t.Errorf("the Secret has keys of %d bytes, state %s", len(secret.Data["token"]), secret.Data["state"])
	}
	var deployment appsv1.Deployment
	w.must(w.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "defender-tenant-operator"}, &deployment))
	if *deployment.Spec.Replicas != 0 {
		t.Errorf("%d replicas, want 0", *deployment.Spec.Replicas)
	}
}

// uninstall leaves the customers and their CRDs. Without nodes the hook cannot run.
func (w *world) uninstall(t *testing.T) {
	w = w.in(t)
	before := w.customers()
	w.helm("uninstall", release, "--no-hooks")
	kinds := strings.Fields(w.do("", "api-resources", "--verbs=list,delete", "-o", "name"))
	left := strings.Fields(w.do("", "get", strings.Join(kinds, ","), "-A", "-o", "name", "-l", "app.kubernetes.io/instance="+release))
	slices.Sort(left)
	if !slices.Equal(left, []string{
		"customresourcedefinition.apiextensions.k8s.io/defenderapps.defender.tenant-operator.dev",
		"customresourcedefinition.apiextensions.k8s.io/defendergrants.defender.tenant-operator.dev",
		"customresourcedefinition.apiextensions.k8s.io/defendertenants.defender.tenant-operator.dev",
	}) {
		t.Errorf("left behind: %q", left)
	}
	// The credential is the platform team's. The lease has no owner.
	if names := w.do("", "get", "secret,lease", "-n", namespace, "-o", "name"); names !=
		"secret/partner\nlease.coordination.k8s.io/defender-tenant-operator\n" {
		t.Errorf("in namespace %s: %q", namespace, names)
	}
	if after := w.customers(); len(after) != 2 || !slices.Equal(before, after) {
		t.Errorf("customers before %v, after %v", before, after)
	}
}

// customers gives the DefenderTenants by what no re-creation keeps.
func (w *world) customers() []types.UID {
	w.t.Helper()
	var tenants v1alpha1.DefenderTenantList
	w.must(w.List(w.t.Context(), &tenants))
	var ids []types.UID
	for _, tenant := range tenants.Items {
		ids = append(ids, tenant.UID)
	}
	slices.Sort(ids)
	return ids
}

// crdTakes tells whether the spec of a DefenderTenant has a field.
func (w *world) crdTakes(field string) bool {
	w.t.Helper()
	var crd apiextensionsv1.CustomResourceDefinition
	w.must(w.Get(w.t.Context(), types.NamespacedName{Name: "defendertenants.defender.tenant-operator.dev"}, &crd))
	_, known := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties[field]
	return known
}

const operator = "system:serviceaccount:defender-system:defender-tenant-operator"

// kubeconfigOf is one of a cluster administrator who acts as somebody else.
func (w *world) kubeconfigOf(user string) string {
	w.t.Helper()
	config, err := clientcmd.LoadFromFile(w.kubeconfig)
	w.must(err)
	for _, info := range config.AuthInfos {
		info.Impersonate = user
	}
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	w.must(clientcmd.WriteToFile(*config, path))
	return path
}

// as is a client of somebody else.
func (w *world) as(user string) client.Client {
	w.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.kubeconfigOf(user))
	w.must(err)
	c, err := client.New(config, client.Options{Scheme: w.Scheme()})
	w.must(err)
	return c
}
