package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
	"github.com/defender-tenant/operator/test/entra"
)

const (
	clientID     = "00000000-0000-0000-0000-00000000000a"
	customer     = "11111111-1111-1111-1111-111111111111"
	clientSecret = "a-client-secret-that-nobody-may-see"
	canary       = "canary-5d3a90"
	// patience is generous: two cores may be busy with a compiler.
	patience = 90 * time.Second
)

// stage is a cluster, an Entra ID and the operator's own binary.
type stage struct {
	client.Client
	t          *testing.T
	entra      *entra.Emulator
	binary     string
	kubeconfig string
	bundle     string
	env        []string // of the operator, beside what every process has
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, binary: build(t), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), bundle: filepath.Join(t.TempDir(), "ca.pem")}
	plane, err := cluster.Start(t.Context(), cluster.Options{})
	s.must(err)
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.must(plane.WriteKubeconfig(s.kubeconfig))
	scheme, err := newScheme()
	s.must(err)
	s.Client, err = client.New(plane.Config, client.Options{Scheme: scheme})
	s.must(err)
	// Short lives: a renewal every four seconds.
	s.entra, err = entra.Start(entra.Options{Marker: canary, Lifetime: 8 * time.Second})
	s.must(err)
	t.Cleanup(s.entra.Close)
	s.entra.RegisterApp(entra.App{ClientID: clientID, DisplayName: "Partner", Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}})
	s.entra.AddSecret(clientID, clientSecret, time.Now().Add(time.Hour))
	s.entra.AddTenant(customer)
	s.entra.Consent(customer, clientID)
	s.must(os.WriteFile(s.bundle, s.entra.CAPEM(), 0o600))
	s.objects()
	return s
}

// objects are those of the platform team, and one DefenderTenant in each of two namespaces.
func (s *stage) objects() {
	s.t.Helper()
	for _, name := range []string{"operators", "soc", "noc"} {
		s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	s.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: "partner"},
		Data:       map[string][]byte{"client-secret": []byte(clientSecret)},
	})
	s.create(&v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: "partner"}, Spec: v1alpha1.DefenderAppSpec{
		ClientID:    clientID,
		Credentials: []v1alpha1.Credential{{Name: "secret", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: "partner"}}}},
	}})
	s.create(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: "partner"}, Spec: v1alpha1.DefenderGrantSpec{
		App: "partner", Namespaces: []string{"soc", "noc"}, TenantIDs: []string{customer}, APIs: []string{"DefenderXDR"},
	}})
	for _, namespace := range []string{"soc", "noc"} {
		s.create(&v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "contoso"},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: customer, App: "partner"},
		})
	}
}

// build makes the binary, with the race detector if the test has it.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "manager")
	args := []string{"build", "-o", binary}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return binary
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) create(object client.Object) {
	s.t.Helper()
	s.must(s.Create(s.t.Context(), object))
}

// process is one run of the operator.
type process struct {
	s       *stage
	command *exec.Cmd
	log     *output
	probe   string
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

// freeAddress is one on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := cluster.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// start runs the operator for this stage, with the flags that it needs there.
func (s *stage) start(args ...string) *process {
	s.t.Helper()
	return s.run(append([]string{
		"--kubeconfig=" + s.kubeconfig, "--authority-url=" + s.entra.URL(), "--ca-bundle=" + s.bundle, "--min-token-lifetime=1s",
	}, args...)...)
}

// run runs the operator outside of the cluster. Whatever becomes of the test, the process ends with it.
func (s *stage) run(args ...string) *process {
	s.t.Helper()
	p := &process{s: s, log: &output{}, probe: freeAddress(s.t), ended: make(chan struct{})}
	args = append([]string{"--health-probe-bind-address=" + p.probe}, args...)
	p.command = exec.CommandContext(context.WithoutCancel(s.t.Context()), s.binary, args...)
	p.command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "POD_NAMESPACE=operators"}
	p.command.Env = append(p.command.Env, s.env...)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	s.must(p.command.Start())
	go func() { _ = p.command.Wait(); close(p.ended) }()
	s.t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.ended
	})
	return p
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
			p.s.t.Fatalf("the process ended before %s: %v\n%s", what, p.command.ProcessState, p.log.text())
		case <-deadline.C:
			p.s.t.Fatalf("never came true: %s\n%s", what, p.log.text())
		}
	}
}

// get reads a page of the process, empty while it does not answer with 200.
func (p *process) get(url string) string {
	request, err := http.NewRequestWithContext(p.s.t.Context(), http.MethodGet, url, nil)
	p.s.must(err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// terminate asks the process to end as Kubernetes does and gives its exit code.
func (p *process) terminate() int {
	p.s.t.Helper()
	p.s.must(p.command.Process.Signal(syscall.SIGTERM))
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	select {
	case <-p.ended:
	case <-limit.C:
		p.s.t.Fatalf("the process still runs ten seconds after SIGTERM\n%s", p.log.text())
	}
	return p.command.ProcessState.ExitCode()
}

func (s *stage) secret(namespace string) *corev1.Secret {
	s.t.Helper()
	secret := &corev1.Secret{}
	err := s.Get(s.t.Context(), types.NamespacedName{Namespace: namespace, Name: "contoso-xdr"}, secret)
	if client.IgnoreNotFound(err) != nil {
		s.t.Fatal(err)
	}
	return secret
}

func (s *stage) tenant() *v1alpha1.DefenderTenant {
	s.t.Helper()
	object := &v1alpha1.DefenderTenant{}
	s.must(s.Get(s.t.Context(), types.NamespacedName{Namespace: "soc", Name: "contoso"}, object))
	return object
}

// request asks for a refresh.
func (s *stage) request(value string) {
	s.t.Helper()
	object := s.tenant()
	before := client.MergeFrom(object.DeepCopy())
	object.SetAnnotations(map[string]string{v1alpha1.RefreshRequestedAnnotation: value})
	s.must(s.Patch(s.t.Context(), object, before))
}

// assertNoSecret looks for anything secret in a log.
func (p *process) assertNoSecret() {
	p.s.t.Helper()
	text := p.log.text()
	for _, secret := range append(p.s.entra.Marks(), clientSecret, base64.StdEncoding.EncodeToString([]byte(clientSecret)), "eyJ", "ZXlK") {
		if i := strings.Index(text, secret); i >= 0 {
			p.s.t.Errorf("%q is in the log: …%s…", secret, text[max(0, i-100):min(len(text), i+30)])
		}
	}
}

// TestTheProcess runs the operator as it is shipped, against a real API server.
func TestTheProcess(t *testing.T) {
	s := newStage(t)
	t.Run("at the loudest level", s.loud)
	t.Run("as in production", s.quiet)
	t.Run("with a replica that stands by", s.standby)
	t.Run("with a trust root that comes late", s.lateBundle)
	t.Run("with what is kept in no Secret", s.kinds)
	t.Run("wrong flags end it with a sentence", s.refused)
	t.Run("help is no failure", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), s.binary, "--help").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "-authority-url") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// in gives the stage of a subtest.
func (s *stage) in(t *testing.T) *stage {
	t.Helper()
	inner := *s
	inner.t = t
	return &inner
}

func (s *stage) loud(t *testing.T) {
	s = s.in(t)
	p := s.start("--namespaces=soc", "--zap-log-level=10")
	for _, page := range []string{"/healthz", "/readyz"} {
		p.eventually(page+" is ok", func() bool { return p.get("http://"+p.probe+page) == "ok" })
	}
	p.eventually("the Secret is there", func() bool { return len(s.secret("soc").Data["token"]) > 0 })
	first := string(s.secret("soc").Data["token"])
	p.eventually("its token is renewed", func() bool { return string(s.secret("soc").Data["token"]) != first })
	p.eventually("the tenant is ready", func() bool {
		return apimeta.IsStatusConditionTrue(s.tenant().Status.Conditions, v1alpha1.ConditionReady)
	})
	if s.secret("noc").Name != "" {
		t.Error("a namespace that is not watched got a Secret")
	}
	// Answers that are hard to bear.
	for i, fault := range []entra.Fault{
		{Status: 500, Body: canary},
		{Truncate: 300},
		{Opaque: true},
		{ExpiresIn: entra.OmitExpiresIn},
		{Claims: map[string]any{"tid": canary}},
		{Body: `{"access_token":"` + canary + `","expires_in":"x"}`},
		{Code: 7000215},
	} {
		s.entra.Inject(customer, fault, 1)
		asked := s.entra.CountRequests(entra.Token, "")
		s.request(fmt.Sprint(i))
		p.eventually("it was met", func() bool { return s.entra.CountRequests(entra.Token, "") > asked })
	}
	p.eventually("the tenant has a token again", func() bool { return len(s.secret("soc").Data["token"]) > 0 })
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0\n%s", code, p.log.text())
	}
	p.assertNoSecret()
	if lines := strings.Count(p.log.text(), "\n"); lines < 50 {
		t.Errorf("%d lines at the loudest level: is anything logged at all?", lines)
	}
}

func (s *stage) quiet(t *testing.T) {
	s = s.in(t)
	numbers := freeAddress(t)
	p := s.start("--leader-elect", "--metrics-bind-address="+numbers)
	for _, page := range []string{"/healthz", "/readyz"} {
		p.eventually(page+" is ok", func() bool { return p.get("http://"+p.probe+page) == "ok" })
	}
	before := s.entra.CountTokens()
	p.eventually("both namespaces are served", func() bool { return len(s.secret("noc").Data["token"]) > 0 && s.entra.CountTokens() >= before+4 })
	p.eventually("there are numbers", func() bool {
		return strings.Contains(p.get("http://"+numbers+"/metrics"), `defender_tenant_token_requests_total{outcome="Issued"}`)
	})
	lease := &coordinationv1.Lease{}
	at := types.NamespacedName{Namespace: "operators", Name: "defender-tenant-operator"}
	s.must(s.Get(t.Context(), at, lease))
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		t.Error("nobody holds the lease")
	}
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	s.must(s.Get(t.Context(), at, lease))
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
		t.Errorf("%s still holds the lease", *holder)
	}
	p.assertNoSecret()
	published := 0
	for line := range strings.Lines(p.log.text()) {
		var entry struct{ Level, Msg, Error string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("not JSON: %s", line)
			continue
		}
		// controller-runtime says so of every leader that gives its lease back.
		goodbye := entry.Msg == "error received after stop sequence was engaged" && entry.Error == "leader election lost"
		if entry.Level != "info" && !goodbye {
			t.Errorf("a run without trouble logs: %s", line)
		}
		if entry.Msg == "Published token" {
			published++
		}
	}
	if lines := strings.Count(p.log.text(), "\n"); published < 2 || lines-published > 40 {
		t.Errorf("%d lines, of them %d about tokens", lines, published)
	}
	t.Logf("the log of an uneventful run:\n%s", p.log.text())
}

// standby starts a second replica, which has to be ready although it does not lead: an
// upgrade waits for it before it stops the first.
func (s *stage) standby(t *testing.T) {
	s = s.in(t)
	leader := s.start("--leader-elect")
	leader.eventually("the first replica is ready", func() bool { return leader.get("http://"+leader.probe+"/readyz") == "ok" })
	lease := &coordinationv1.Lease{}
	at := types.NamespacedName{Namespace: "operators", Name: "defender-tenant-operator"}
	holder := func() string {
		s.must(client.IgnoreNotFound(s.Get(t.Context(), at, lease)))
		if lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	leader.eventually("the first replica leads", func() bool { return holder() != "" })
	first := holder()
	second := s.start("--leader-elect")
	for _, page := range []string{"/healthz", "/readyz"} {
		second.eventually(page+" of the second replica is ok", func() bool { return second.get("http://"+second.probe+page) == "ok" })
	}
	if now := holder(); now != first {
		t.Errorf("%s leads instead of %s", now, first)
	}
	if code := leader.terminate(); code != 0 {
		t.Errorf("exit code %d of the leader", code)
	}
	second.eventually("the second replica takes over", func() bool { return holder() != "" && holder() != first })
	if code := second.terminate(); code != 0 {
		t.Errorf("exit code %d of the second replica", code)
	}
}

func (s *stage) lateBundle(t *testing.T) {
	s = s.in(t)
	other, err := entra.Start(entra.Options{})
	s.must(err)
	defer other.Close()
	s.bundle = filepath.Join(t.TempDir(), "ca.pem")
	s.must(os.WriteFile(s.bundle, other.CAPEM(), 0o600))
	s.must(client.IgnoreNotFound(s.Delete(t.Context(), s.secret("soc"))))
	p := s.start("--namespaces=soc")
	p.eventually("the login host is not trusted", func() bool {
		c := apimeta.FindStatusCondition(s.tenant().Status.Conditions, v1alpha1.ConditionReady)
		return c != nil && c.Reason == v1alpha1.ReasonTLSUntrusted
	})
	s.must(os.WriteFile(s.bundle, s.entra.CAPEM(), 0o600))
	p.eventually("it is trusted", func() bool { return len(s.secret("soc").Data["token"]) > 0 })
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

func (s *stage) refused(t *testing.T) {
	s = s.in(t)
	rows := refusals()
	rows["a kubeconfig that is not there"] = struct {
		args []string
		want string
	}{[]string{"--kubeconfig=/does/not/exist"}, "find the API server"}
	rows["a bundle that is not there"] = struct {
		args []string
		want string
	}{[]string{"--kubeconfig=" + s.kubeconfig, "--ca-bundle=/does/not/exist", "--health-probe-bind-address=0"}, "/does/not/exist"}
	for name, row := range rows {
		out, err := exec.CommandContext(t.Context(), s.binary, row.args...).CombinedOutput()
		exit := &exec.ExitError{}
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: %v, want exit code 1", name, err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "manager: ") || !strings.Contains(last, row.want) {
			t.Errorf("%s: the last line is %q, want %q", name, last, row.want)
		}
		if strings.Contains(string(out), "goroutine ") {
			t.Errorf("%s: %s", name, out)
		}
	}
}
