package guard

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
	"github.com/defender-tenant/operator/test/entra"
)

const (
	clientID     = "00000000-0000-0000-0000-00000000000a"
	clientSecret = "a-client-secret-that-nobody-may-see"
)

// operator is the operator's own process, outside of the cluster, with the rights of the shipped service account.
type operator struct {
	entra *entra.Emulator
	log   string // its file
	ended chan struct{}
}

// startOperator has an application named partner and the customers contoso and fabrikam, who consented. The test's end stops it.
func startOperator(t *testing.T) *operator {
	t.Helper()
	dir := t.TempDir()
	emulator, err := entra.Start(entra.Options{Lifetime: time.Hour})
	must(t, err)
	t.Cleanup(emulator.Close)
	emulator.RegisterApp(entra.App{ClientID: clientID, DisplayName: "Partner", Permissions: map[string][]string{
		entra.DefenderXDR: {"Incident.Read.All"}, entra.MicrosoftGraph: {"SecurityIncident.Read.All"},
	}})
	emulator.AddSecret(clientID, clientSecret, time.Now().Add(time.Hour))
	for _, customer := range []string{contoso, fabrikam} {
		emulator.AddTenant(customer)
		emulator.Consent(customer, clientID)
	}

	credential := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "defender-system", Name: "partner"},
		Data:       map[string][]byte{"client-secret": []byte(clientSecret)},
	}
	app := &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: "partner"}, Spec: v1alpha1.DefenderAppSpec{
		ClientID: clientID,
		Credentials: []v1alpha1.Credential{{
			Name: "secret", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: "partner"}},
		}},
	}}
	must(t, shared.Create(t.Context(), credential))
	must(t, shared.Create(t.Context(), app))
	t.Cleanup(func() {
		must(t, shared.Delete(context.Background(), app))
		must(t, shared.Delete(context.Background(), credential))
	})

	bundle, kubeconfig := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "kubeconfig")
	must(t, os.WriteFile(bundle, emulator.CAPEM(), 0o600))
	must(t, clientcmd.WriteToFile(accountConfig(t), kubeconfig))
	probe, err := cluster.FreeAddress(t.Context())
	must(t, err)
	o := &operator{entra: emulator, log: filepath.Join(dir, "operator.log"), ended: make(chan struct{})}
	log, err := os.Create(o.log)
	must(t, err)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), buildManager(t), "--kubeconfig="+kubeconfig,
		"--authority-url="+emulator.URL(), "--ca-bundle="+bundle, "--min-token-lifetime=1s", "--health-probe-bind-address="+probe)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "POD_NAMESPACE=defender-system"}
	command.Stdout, command.Stderr = log, log
	must(t, command.Start())
	go func() {
		_ = command.Wait() // it is killed in the end
		close(o.ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-o.ended
		must(t, log.Close())
	})
	return o
}

// buildManager makes the binary, with the race detector if the test has it.
func buildManager(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "manager")
	args := []string{"build", "-o", binary}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "../../cmd/manager")...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// accountConfig is a kubeconfig with a token of the shipped service account.
func accountConfig(t *testing.T) clientcmdapi.Config {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "defender-system", Name: "defender-tenant-operator"}}
	request := &authenticationv1.TokenRequest{}
	must(t, shared.SubResource("token").Create(t.Context(), account, request))
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: shared.plane.Config.Host, CertificateAuthorityData: shared.plane.Config.CAData}
	config.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "operator"}
	config.CurrentContext = "test"
	return *config
}

// denials counts what the policy on the operator's account refused, by the API server's own numbers. They begin with the
// first refusal, which the suite provoked.
func denials(t *testing.T) int {
	t.Helper()
	web, err := rest.HTTPClientFor(shared.plane.Config)
	must(t, err)
	address, err := url.JoinPath(shared.plane.Config.Host, "metrics")
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	must(t, err)
	response, err := web.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	count, seen := 0, false
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "apiserver_validating_admission_policy_check_total{") || !strings.Contains(line, `policy="defender-operator-secrets"`) {
			continue
		}
		seen = true
		if !strings.Contains(line, `enforcement_action="allow"`) {
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]))
			must(t, err)
			count += n
		}
	}
	if !seen {
		t.Error("the API server has no numbers of the policy")
	}
	return count
}
