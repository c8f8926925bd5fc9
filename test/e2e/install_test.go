package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/test/node"
)

const (
	image    = "localhost/operator"
	chart    = "charts/defender-tenant-operator"
	firstTag = "before"
	nextTag  = "after"
)

// install does what the README says.
func (w *world) install() {
	ctx := w.t.Context()
	archive := os.Getenv("IMAGE")
	if archive == "" { // QUICK=1
		archive = filepath.Join(w.node.Dir(), "operator.tar")
		w.must(node.WriteImage(archive, w.program("manager")))
	}
	w.must(w.node.ImportImage(ctx, archive, image+":"+firstTag))
	w.must(w.node.TagImage(ctx, image+":"+firstTag, image+":"+nextTag))
	w.namespace(operators)
	w.refusesCarelessPods()
	w.before = w.takeInventory()

	w.installed = time.Now()
	w.helmInstall(firstTag)
	w.figures.took("helm install until both replicas are ready", time.Since(w.installed))

	for _, pod := range w.operatorPods() {
		for _, page := range []string{"healthz", "readyz"} {
			if status, body := w.get("http://"+pod.Status.PodIP+":8081/"+page, ""); status != http.StatusOK || body != "ok" {
				w.t.Errorf("%s of Pod %s answers %d %q", page, pod.Name, status, body)
			}
		}
		if pod.Status.ContainerStatuses[0].RestartCount != 0 {
			w.t.Errorf("Pod %s was restarted: %+v", pod.Name, pod.Status.ContainerStatuses[0].LastTerminationState)
		}
	}
}

// helmInstall installs the chart with the image at hand and an Entra ID that is not the real one.
func (w *world) helmInstall(tag string, values ...string) {
	w.t.Helper()
	args := []string{"install", operator, chart, "--namespace", operators, "--wait", "--timeout", "3m"}
	for _, value := range append(values,
		"image.repository="+image, "image.tag="+tag, "image.pullPolicy=Never",
		"authorityURL="+w.entra.URL(), "caBundle.configMap=emulator", "minTokenLifetime=1m") {
		args = append(args, "--set", value)
	}
	w.helm(args...)
}

// refusesCarelessPods proves that the operator's namespace enforces Pod Security.
func (w *world) refusesCarelessPods() {
	w.t.Helper()
	err := w.Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: operators, Name: "careless"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "careless", Image: image + ":" + firstTag}}},
	})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
		w.t.Errorf("a Pod without a security context: %v", err)
	}
}

// operatorPods are the two that run the newest version.
func (w *world) operatorPods() []corev1.Pod {
	w.t.Helper()
	var pods corev1.PodList
	w.must(w.List(w.t.Context(), &pods, client.InNamespace(operators), client.MatchingLabels{"app.kubernetes.io/name": operator}))
	var running []corev1.Pod
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil {
			running = append(running, pod)
		}
	}
	if len(running) != 2 {
		w.t.Fatalf("%d Pods run the operator, want 2", len(running))
	}
	return running
}

// readMetrics asks for them as nobody, as somebody and as somebody with the shipped right.
func (w *world) readMetrics() {
	ctx := w.t.Context()
	reader := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "prometheus"}}
	w.must(w.Create(ctx, reader))
	request := &authenticationv1.TokenRequest{}
	w.must(w.SubResource("token").Create(ctx, reader, request))
	token := request.Status.Token
	var pages []string
	for _, pod := range w.operatorPods() {
		pages = append(pages, "https://"+pod.Status.PodIP+":8443/metrics")
	}
	if status, _ := w.get(pages[0], ""); status != http.StatusUnauthorized {
		w.t.Errorf("nobody gets %d, want 401", status)
	}
	if status, _ := w.get(pages[0], token); status != http.StatusForbidden {
		w.t.Errorf("somebody gets %d, want 403", status)
	}
	right := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: operator + "-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: reader.Namespace, Name: reader.Name}},
	}
	w.must(w.Create(ctx, right))
	for _, page := range pages {
		w.eventually("somebody with the right reads metrics", patience, func(context.Context) error {
			status, body := w.get(page, token)
			if status != http.StatusOK || !strings.Contains(body, "defender_tenant_") {
				return fmt.Errorf("got %d and %d bytes", status, len(body))
			}
			w.kept["metrics"] += body
			return nil
		})
	}
	w.must(errors.Join(w.Delete(ctx, right), w.Delete(ctx, reader)))
}

// get reads a page of a Pod. Its certificate is its own.
func (w *world) get(page, token string) (status int, body string) {
	w.t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, page, http.NoBody)
	w.must(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	w.must(err)
	return response.StatusCode, string(text)
}

// upgrade rolls the next version out.
func (w *world) upgrade() {
	w.t.Helper()
	started := time.Now()
	w.helm("upgrade", operator, chart, "--namespace", operators, "--wait", "--timeout", "3m", "--reuse-values", "--set", "image.tag="+nextTag)
	w.eventually("only the next version runs", patience, func(ctx context.Context) error {
		var deployment appsv1.Deployment
		if err := w.Get(ctx, types.NamespacedName{Namespace: operators, Name: operator}, &deployment); err != nil {
			return err
		}
		if s := deployment.Status; s.UpdatedReplicas != 2 || s.Replicas != 2 || s.ReadyReplicas != 2 {
			return fmt.Errorf("%d of %d Pods are new, %d are ready", s.UpdatedReplicas, s.Replicas, s.ReadyReplicas)
		}
		return nil
	})
	w.figures.took("rolling upgrade of both replicas", time.Since(started))
}
