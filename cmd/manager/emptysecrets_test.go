package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

func TestParseFarewell_Refuses(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"no time":              {[]string{"--wait=0s"}, "--wait must be above zero"},
		"more than flags":      {[]string{"now"}, `unexpected argument "now"`},
		"flag of the operator": {[]string{"--leader-elect"}, "flag provided but not defined: -leader-elect"},
	} {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		if _, err := parseFarewell(row.args, flags); err == nil || err.Error() != row.want {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

// TestEmptySecrets runs the command as it is shipped, against a real API server and beside the real operator.
func TestEmptySecrets(t *testing.T) {
	s := newStage(t)
	s.entra.SetLifetime("", time.Hour) // nothing ends in the middle of this
	labels, replicas := map[string]string{"app": "operator"}, int32(2)
	s.create(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: "defender-tenant-operator"},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "none"}}},
		}},
	})
	operator := s.start("--leader-elect")
	served := func() bool { return s.holdsToken("soc") && s.holdsToken("noc") }
	operator.eventually("both namespaces are served", served)

	// What runs is no Pod of the Deployment.
	out, code := s.farewell(s.kubeconfig, "--scale-down=defender-tenant-operator", "--wait=5s")
	if code != 1 || !strings.Contains(out, "an operator still runs and would fill the Secrets again: ") ||
		!strings.Contains(out, "kubectl scale -n operators deployment/defender-tenant-operator --replicas=0") {
		t.Errorf("beside a running operator: exit code %d\n%s", code, out)
	}
	if got := s.replicas(); got != 2 || !strings.Contains(out, `"Scaled the operator to zero"`) {
		t.Errorf("after it failed the operator has %d replicas, want its 2 back\n%s", got, out)
	}
	if !served() {
		t.Fatal("tokens were taken beside a running operator")
	}
	if code := operator.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}

	t.Run("with rights in one of two namespaces", s.narrowFarewell)
	t.Run("with rights everywhere", s.wideFarewell)

	again := s.start("--leader-elect")
	again.eventually("an operator that comes back fills them", served)
}

func (s *stage) narrowFarewell(t *testing.T) {
	s = s.in(t)
	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	user := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "narrow"}}
	for name, rules := range map[string][]rbacv1.PolicyRule{
		"customers": {rule(v1alpha1.Group, "defendertenants", "list")},
		"lease":     {rule("coordination.k8s.io", "leases", "get", "create", "update")},
		"secrets":   {rule("", "secrets", "list", "update")},
	} {
		s.create(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
	}
	ref := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	s.create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "customers"}, Subjects: user, RoleRef: ref("customers")})
	s.create(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "lease", Namespace: "operators"}, Subjects: user, RoleRef: ref("lease")})
	s.create(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "secrets", Namespace: "soc"}, Subjects: user, RoleRef: ref("secrets")})

	// Without the right to scale: it does not come to that.
	out, code := s.farewell(s.kubeconfigOf("narrow"), "--scale-down=defender-tenant-operator")
	if code != 1 || !strings.Contains(out, "manager: no right to list Secrets in namespaces noc, whose DefenderTenants hold tokens.") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if got := s.replicas(); got != 2 || !s.holdsToken("soc") {
		t.Errorf("known to fail, it left %d replicas, and a token in soc: %t", got, s.holdsToken("soc"))
	}

	var tenant v1alpha1.DefenderTenant // as if the operator had never been let in there
	s.must(s.Get(t.Context(), types.NamespacedName{Namespace: "noc", Name: "contoso"}, &tenant))
	tenant.Status.SecretNames = nil
	s.must(s.Status().Update(t.Context(), &tenant))
	out, code = s.farewell(s.kubeconfigOf("narrow"))
	if code != 0 || !strings.Contains(out, `Left them alone","namespaces":["noc"]`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if s.holdsToken("soc") {
		t.Error("the namespace that it may write was left alone")
	}
}

func (s *stage) replicas() int32 {
	s.t.Helper()
	var deployment appsv1.Deployment
	s.must(s.Get(s.t.Context(), types.NamespacedName{Namespace: "operators", Name: "defender-tenant-operator"}, &deployment))
	return *deployment.Spec.Replicas
}

func (s *stage) wideFarewell(t *testing.T) {
	s = s.in(t)
	controller, immutable := true, true
	owned := []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "DefenderTenant", Name: "contoso", UID: s.tenant().UID, Controller: &controller,
	}}
	foreign := corev1.Secret{ // somebody else made it
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "foreign"}, Type: v1alpha1.SecretType, Data: map[string][]byte{"token": []byte("mine")},
	}
	frozen := corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "frozen", OwnerReferences: owned}, Type: v1alpha1.SecretType,
		Immutable: &immutable, Data: map[string][]byte{"token": []byte("ours")},
	}
	s.create(foreign.DeepCopy())
	s.create(frozen.DeepCopy())

	out, code := s.farewell(s.kubeconfig, "--scale-down=defender-tenant-operator")
	if code != 0 || !strings.Contains(out, `"emptied":1,"deleted":1,"emptyBefore":1,"notOurs":1,"failed":0`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if got := s.replicas(); got != 0 {
		t.Errorf("the operator has %d replicas, want 0", got)
	}
	for _, namespace := range []string{"soc", "noc"} {
		secret := s.secret(namespace)
		got := map[string]string{}
		for key, value := range secret.Data {
			got[key] = string(value)
		}
		for key, want := range map[string]string{
			"token": "", "authorization": "", "expiresAt": "", "state": "Suspended",
			"tenantID": customer, "clientID": clientID, "resource": "https://api.security.microsoft.com", "apiURL": "https://api.security.microsoft.com",
		} {
			if value, there := got[key]; !there || value != want {
				t.Errorf("%s: %s is %q (there: %t), want %q", namespace, key, value, there, want)
			}
		}
		if len(secret.OwnerReferences) != 1 {
			t.Errorf("%s: owners %v", namespace, secret.OwnerReferences)
		}
	}
	var left corev1.Secret
	s.must(s.Get(t.Context(), client.ObjectKeyFromObject(&foreign), &left))
	if string(left.Data["token"]) != "mine" {
		t.Error("the Secret of somebody else was written")
	}
	if err := s.Get(t.Context(), client.ObjectKeyFromObject(&frozen), &left); !apierrors.IsNotFound(err) {
		t.Errorf("the immutable Secret is still there: %v", err)
	}
}

func (s *stage) holdsToken(namespace string) bool { return len(s.secret(namespace).Data["token"]) > 0 }

// farewell runs the command to its end and looks for tokens in what it says.
func (s *stage) farewell(kubeconfig string, args ...string) (out string, code int) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), s.binary, append([]string{"empty-secrets", "--kubeconfig=" + kubeconfig, "--zap-log-level=10"}, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "POD_NAMESPACE=operators"}
	text, err := command.CombinedOutput()
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	for _, secret := range append(s.entra.Marks(), "eyJ", "ZXlK") {
		if strings.Contains(string(text), secret) {
			s.t.Errorf("%q is in the log", secret)
		}
	}
	return string(text), command.ProcessState.ExitCode()
}

// kubeconfigOf is one of a user who is a cluster administrator pretending to be somebody with less rights.
func (s *stage) kubeconfigOf(user string) string {
	s.t.Helper()
	config, err := clientcmd.LoadFromFile(s.kubeconfig)
	s.must(err)
	names := []string{}
	for name, info := range config.AuthInfos {
		info.Impersonate = user
		names = append(names, name)
	}
	if slices.Sort(names); len(names) != 1 {
		s.t.Fatalf("users %v", names)
	}
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	s.must(clientcmd.WriteToFile(*config, path))
	return path
}
