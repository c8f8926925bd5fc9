package guard

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
)

const (
	operatorUser = "system:serviceaccount:defender-system:defender-tenant-operator"
	// patience is real time: generous, because two cores may share it with a compiler.
	patience = 90 * time.Second
)

// world is the one control plane of the suite, with roles and policies as they are shipped.
type world struct {
	client.Client // a cluster administrator's, whom roles do not bind
	plane         *cluster.Cluster
	scheme        *runtime.Scheme
	kubeconfig    string
	namespaces    atomic.Int64
}

// shared is started by TestMain.
var shared *world

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (code int, err error) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "guard-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	plane, err := cluster.Start(context.Background(), cluster.Options{ControllerManager: true})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	w := &world{plane: plane, kubeconfig: filepath.Join(dir, "kubeconfig"), scheme: runtime.NewScheme()}
	if err := errors.Join(clientgoscheme.AddToScheme(w.scheme), v1alpha1.AddToScheme(w.scheme), plane.WriteKubeconfig(w.kubeconfig)); err != nil {
		return 1, err
	}
	if w.Client, err = w.connect("", ""); err != nil {
		return 1, err
	}
	if err := w.install(context.Background()); err != nil {
		return 1, err
	}
	shared = w
	return m.Run(), nil
}

// install applies what is shipped and waits until the API server acts upon it.
func (w *world) install(ctx context.Context) error {
	for _, args := range [][]string{
		{"-f", "../../config/default/namespace.yaml"},
		{"-k", "../../config/rbac"},
		{"-k", "../../config/guard"},
	} {
		if err := w.kubectl(ctx, append([]string{"apply", "--server-side"}, args...)...); err != nil {
			return err
		}
	}
	// Whoever is in this group may write DefenderTenants everywhere, and nothing else.
	if err := w.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "authors"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "defender-tenant-editor"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "authors"}},
	}); err != nil {
		return err
	}
	return w.awaitGuard(ctx)
}

// kubectl fails on warnings, too: the API server warns of a policy that it does not understand.
func (w *world) kubectl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, w.plane.KubectlPath, append(args, "--kubeconfig", w.kubeconfig)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Warning") {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// awaitGuard waits until the API server acts upon all policies.
func (w *world) awaitGuard(ctx context.Context) error {
	var problems []error
	for _, policy := range []string{"defender-operator-secrets", "defender-tenant-authors", "defender-token-secrets"} {
		problems = append(problems, w.awaitPolicy(ctx, policy, true))
	}
	return errors.Join(problems...)
}

// awaitPolicy waits until the API server acts upon a policy, or does so no more.
func (w *world) awaitPolicy(ctx context.Context, policy string, acts bool) error {
	author, err := w.connect("probe", "authors")
	if err != nil {
		return err
	}
	operator, err := w.connect(operatorUser, "")
	if err != nil {
		return err
	}
	probe := metav1.ObjectMeta{Name: "probe", Namespace: metav1.NamespaceDefault}
	forbidden := map[string]func() error{
		"defender-token-secrets": func() error {
			return w.Create(ctx, &corev1.Secret{ObjectMeta: probe, Type: v1alpha1.SecretType}, client.DryRunAll)
		},
		"defender-operator-secrets": func() error {
			return operator.Create(ctx, &corev1.Secret{ObjectMeta: probe}, client.DryRunAll)
		},
		"defender-tenant-authors": func() error {
			return author.Create(ctx, newTenant(metav1.NamespaceDefault, "probe"), client.DryRunAll)
		},
	}[policy]
	var last error
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = forbidden()
		return apierrors.IsForbidden(last) == acts, nil
	})
	if err != nil {
		return fmt.Errorf("wait for policy %s: %w (last: %w)", policy, err, last)
	}
	return nil
}

// connect gives the client of a user, of a cluster administrator without one.
func (w *world) connect(user, group string) (client.Client, error) {
	config := rest.CopyConfig(w.plane.Config)
	config.QPS = -1
	config.Impersonate.UserName = user
	if group != "" {
		config.Impersonate.Groups = []string{group, "system:authenticated"}
	}
	return client.New(config, client.Options{Scheme: w.scheme})
}

// as is connect in a test.
func as(t *testing.T, user, group string) client.Client {
	t.Helper()
	c, err := shared.connect(user, group)
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newNamespace is for one test alone.
func newNamespace(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("soc-%d", shared.namespaces.Add(1))
	must(t, shared.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	return name
}

// eventually waits in real time until the world is as it should be.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return holds(), nil
	})
	if err != nil {
		t.Fatalf("never came true: %s", what)
	}
}

// gone tells whether an object does not exist.
func gone(t *testing.T, object client.Object) bool {
	t.Helper()
	err := shared.Get(t.Context(), client.ObjectKeyFromObject(object), object)
	must(t, client.IgnoreNotFound(err))
	return apierrors.IsNotFound(err)
}
