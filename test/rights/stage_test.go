package rights

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
	"github.com/defender-tenant/operator/test/entra"
)

const (
	root         = "../.."
	own          = "defender-system"
	account      = "defender-tenant-operator"
	clientID     = "00000000-0000-0000-0000-00000000000a"
	customer     = "11111111-1111-1111-1111-111111111111"
	clientSecret = "a-client-secret-that-nobody-may-see"
	// patience is generous: two cores may be busy with a compiler.
	patience = 45 * time.Second
)

// stage is an API server that asks for rights and writes down what was asked of it, with the operator's manifests.
type stage struct {
	client.Client
	t          *testing.T
	plane      *cluster.Cluster
	auditLog   string
	admin      string // kubeconfig
	kubeconfig string // of the operator's service account
	entra      *entra.Emulator
	bundle     string
	binary     string
	// environment of the processes that are started from now on
	environment []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{
		t: t, auditLog: filepath.Join(dir, "audit.log"), admin: filepath.Join(dir, "admin"), kubeconfig: filepath.Join(dir, "operator"),
		bundle: filepath.Join(dir, "ca.pem"), binary: filepath.Join(dir, "manager"),
	}
	s.output("go", "build", "-o", s.binary, root+"/cmd/manager")
	var err error
	s.plane, err = cluster.Start(t.Context(), cluster.Options{AuditLog: s.auditLog})
	s.must(err)
	t.Cleanup(func() {
		if err := s.plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.must(s.plane.WriteKubeconfig(s.admin))
	scheme := runtime.NewScheme()
	s.must(clientgoscheme.AddToScheme(scheme))
	s.must(v1alpha1.AddToScheme(scheme))
	s.Client, err = client.New(s.plane.Config, client.Options{Scheme: scheme})
	s.must(err)
	s.entra, err = entra.Start(entra.Options{Lifetime: time.Hour})
	s.must(err)
	t.Cleanup(s.entra.Close)
	s.entra.RegisterApp(entra.App{ClientID: clientID, DisplayName: "Partner", Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}})
	s.entra.AddSecret(clientID, clientSecret, time.Now().Add(time.Hour))
	s.entra.AddTenant(customer)
	s.entra.Consent(customer, clientID)
	s.must(os.WriteFile(s.bundle, s.entra.CAPEM(), 0o600))
	return s
}

// in gives the stage of a subtest.
func (s *stage) in(t *testing.T) *stage {
	t.Helper()
	inner := *s
	inner.t = t
	return &inner
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) output(name string, args ...string) string {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), name, args...)
	out, err := command.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *stage) kubectl(args ...string) string {
	s.t.Helper()
	return s.output(s.plane.KubectlPath, append(args, "--kubeconfig", s.admin)...)
}

// install applies a folder of config and, the first time, makes the operator a kubeconfig.
func (s *stage) install(folder string) {
	s.t.Helper()
	s.kubectl("apply", "--server-side", "-k", filepath.Join(root, "config", folder))
	s.must(writeKubeconfig(s.plane.Config, s.kubeconfig, s.tokenOf(account)))
}

// tokenOf gives a token of a service account in the operator's namespace.
func (s *stage) tokenOf(name string) string {
	s.t.Helper()
	return strings.TrimSpace(s.kubectl("create", "token", name, "-n", own, "--duration=2h"))
}

func writeKubeconfig(plane *rest.Config, path, token string) error {
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"test": {Server: plane.Host, CertificateAuthorityData: plane.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"operator": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "operator"}},
		CurrentContext: "test",
	}, path)
}

func (s *stage) create(object client.Object) {
	s.t.Helper()
	s.must(s.Create(s.t.Context(), object))
}

// platform makes what the platform team makes.
func (s *stage) platform(namespaces ...string) {
	s.t.Helper()
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "partner"}, Data: map[string][]byte{"client-secret": []byte(clientSecret)}})
	s.create(&v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: "partner"}, Spec: v1alpha1.DefenderAppSpec{
		ClientID:    clientID,
		Credentials: []v1alpha1.Credential{{Name: "secret", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: "partner"}}}},
	}})
	s.create(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: "partner"}, Spec: v1alpha1.DefenderGrantSpec{
		App: "partner", Namespaces: namespaces, TenantIDs: []string{customer}, APIs: []string{"DefenderXDR"},
	}})
}

// customer makes a namespace with a DefenderTenant contoso in it.
func (s *stage) customer(namespace string) {
	s.t.Helper()
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	s.create(&v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "contoso"},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: customer, App: "partner"},
	})
}

func (s *stage) tenant(namespace string) *v1alpha1.DefenderTenant {
	s.t.Helper()
	object := &v1alpha1.DefenderTenant{}
	s.must(s.Get(s.t.Context(), types.NamespacedName{Namespace: namespace, Name: "contoso"}, object))
	return object
}

// edit changes the DefenderTenant of a namespace.
func (s *stage) edit(namespace string, change func(*v1alpha1.DefenderTenant)) {
	s.t.Helper()
	object := s.tenant(namespace)
	before := client.MergeFrom(object.DeepCopy())
	change(object)
	s.must(s.Patch(s.t.Context(), object, before))
}

// refresh asks for a new token.
func (s *stage) refresh(namespace, value string) {
	s.t.Helper()
	s.edit(namespace, func(d *v1alpha1.DefenderTenant) {
		d.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: value}
	})
}

// condition gives one of the DefenderTenant of a namespace.
func (s *stage) condition(namespace, kind string) metav1.Condition {
	s.t.Helper()
	if c := apimeta.FindStatusCondition(s.tenant(namespace).Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func (s *stage) isReady(namespace string) bool {
	s.t.Helper()
	return s.condition(namespace, v1alpha1.ConditionReady).Status == metav1.ConditionTrue
}

func (s *stage) secret(namespace, name string) *corev1.Secret {
	s.t.Helper()
	secret := &corev1.Secret{}
	if err := s.Get(s.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, secret); client.IgnoreNotFound(err) != nil {
		s.t.Fatal(err)
	}
	return secret
}

// process is one run of the operator.
type process struct {
	s       *stage
	command *exec.Cmd
	log     *output
	metrics string
	ended   chan struct{}
}

// output collects what several goroutines write.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// start runs the operator with the rights of its service account and the flags of its Deployment.
func (s *stage) start(args ...string) *process {
	s.t.Helper()
	address, err := cluster.FreeAddress(s.t.Context())
	s.must(err)
	_, port, _ := strings.Cut(address, ":")
	// Loopback by a name that the operator does not know as such: its metrics are protected as in a cluster.
	p := &process{s: s, log: &output{}, metrics: "LOCALHOST:" + port, ended: make(chan struct{})}
	p.command = exec.CommandContext(context.WithoutCancel(s.t.Context()), s.binary, append([]string{
		"--kubeconfig=" + s.kubeconfig, "--authority-url=" + s.entra.URL(), "--ca-bundle=" + s.bundle,
		"--leader-elect", "--metrics-bind-address=" + p.metrics, "--health-probe-bind-address=0",
	}, args...)...)
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "POD_NAMESPACE=" + own}, s.environment...)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	s.must(p.command.Start())
	go func() { _ = p.command.Wait(); close(p.ended) }()
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Log(p.log.text())
		}
		p.stop()
	})
	return p
}

// stop ends the process as Kubernetes does.
func (p *process) stop() {
	_ = p.command.Process.Signal(os.Interrupt)
	<-p.ended
}

// eventually waits in real time.
func (p *process) eventually(what string, holds func() bool) {
	p.s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-p.ended:
			p.s.t.Fatalf("the process ended before %s: %v", what, p.command.ProcessState)
		case <-deadline.C:
			p.s.t.Fatalf("never came true: %s", what)
		}
	}
}

// scrape reads the metrics with a token and gives the answer's code.
func (p *process) scrape(token string) (int, string) {
	p.s.t.Helper()
	request, err := http.NewRequestWithContext(p.s.t.Context(), http.MethodGet, fmt.Sprintf("https://%s/metrics", p.metrics), http.NoBody)
	p.s.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true} // it signs for itself
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	p.s.must(err)
	return response.StatusCode, string(body)
}
