package e2e

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
	"github.com/defender-tenant/operator/test/node"
)

const (
	// canary is in everything that the emulator sends and nobody may see.
	canary = "canary-51e80a"
	// refreshes that the workload has to live through.
	refreshes = 3
	// patience with anything that has no bound of its own.
	patience = 2 * time.Minute

	operators = "defender-system"
	operator  = "defender-tenant-operator"
	team      = "soc" // the namespace of the samples
	customer  = "contoso"
)

// The module's folder, seen from this package.
const module = "../.."

// lifetime of a token. Half of it is longer than the kubelet takes to bring a new one to a Pod, and three times half of
// it is not longer than anybody waits for a test.
var lifetime = flag.Duration("lifetime", 6*time.Minute, "lifetime of tokens")

// world is the cluster, the Entra ID outside of it and what was measured.
type world struct {
	t *testing.T
	client.Client
	node    *node.Node
	entra   *entra.Emulator
	figures *figures

	before    inventory // what there was before the operator
	installed time.Time // when helm install began
	kept      map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, figures: &figures{t: t}, kept: map[string]string{}}
}

// in gives the world to a story.
func (w *world) in(t *testing.T) *world {
	t.Helper()
	w.t = t
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits until there is no problem any more, or fails with the last one.
func (w *world) eventually(what string, limit time.Duration, look func(context.Context) error) time.Duration {
	w.t.Helper()
	started := time.Now()
	var last error
	err := wait.PollUntilContextTimeout(w.t.Context(), 100*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		last = look(ctx)
		return last == nil, nil
	})
	if err != nil {
		w.t.Fatalf("%s: not within %s: %v", what, limit, errors.Join(err, last))
	}
	return time.Since(started)
}

// startCluster starts Kubernetes and Entra ID, which stands on the address of the node, outside of all Pods.
func (w *world) startCluster() {
	started := time.Now()
	var err error
	w.node, err = node.Start(w.t.Context())
	w.must(err)
	w.figures.took("etcd to a node that runs Pods", time.Since(started))

	scheme := runtime.NewScheme()
	w.must(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	w.Client, err = client.New(w.node.Config(), client.Options{Scheme: scheme})
	w.must(err)
	w.entra, err = entra.Start(entra.Options{LoginAddr: node.Address + ":443", Hosts: []string{node.Address}, Lifetime: *lifetime, Marker: canary})
	w.must(err)
}

// kubectl runs it as a cluster administrator, in the module's folder as a person would.
func (w *world) kubectl(args ...string) string {
	w.t.Helper()
	return w.execute(w.node.Kubectl(w.t.Context(), args...))
}

// helm runs it as a cluster administrator.
func (w *world) helm(args ...string) string {
	w.t.Helper()
	command := exec.CommandContext(w.t.Context(), "helm", args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+w.node.Kubeconfig())
	return w.execute(command)
}

func (w *world) execute(command *exec.Cmd) string {
	w.t.Helper()
	command.Dir = module
	out, err := command.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// sample reads one of config/samples.
func (w *world) sample(name string, into client.Object) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(module, "config", "samples", name))
	w.must(err)
	w.must(yaml.UnmarshalStrict(text, into))
}

// namespace makes one that lets only restricted Pods in, and puts the emulator's trust root into it.
func (w *world) namespace(name string) {
	w.t.Helper()
	w.must(w.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}))
	w.must(w.Create(w.t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "emulator"},
		Data:       map[string]string{"ca.crt": string(w.entra.CAPEM())},
	}))
	// What the controllers of a cluster put into every namespace.
	for given, object := range map[string]client.Object{"default": &corev1.ServiceAccount{}, "kube-root-ca.crt": &corev1.ConfigMap{}} {
		w.eventually("the namespace has its "+given, patience, func(ctx context.Context) error {
			return w.Get(ctx, types.NamespacedName{Namespace: name, Name: given}, object)
		})
	}
}

// awaitTenant waits until the customer's Ready has a status and a reason.
func (w *world) awaitTenant(status metav1.ConditionStatus, reason string) *v1alpha1.DefenderTenant {
	w.t.Helper()
	tenant := &v1alpha1.DefenderTenant{}
	w.eventually("the customer is "+reason, patience, func(ctx context.Context) error {
		if err := w.Get(ctx, types.NamespacedName{Namespace: team, Name: customer}, tenant); err != nil {
			return err
		}
		ready := apimeta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil {
			return errors.New("there is no condition")
		}
		if ready.Status != status || ready.Reason != reason {
			return errors.New(string(ready.Status) + " " + ready.Reason + ": " + ready.Message)
		}
		return nil
	})
	return tenant
}
