package main

import (
	"errors"
	"flag"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

const (
	tenantID = "11111111-1111-1111-1111-111111111111"
	clientID = "00001111-aaaa-2222-bbbb-3333cccc4444"
)

func TestConsentMail(t *testing.T) {
	condition := func(kind string, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "Test", Message: message}
	}
	link := "https://login.microsoftonline.com/" + tenantID + "/adminconsent?client_id=" + clientID
	tenant := func(name string, status v1alpha1.DefenderTenantStatus) *v1alpha1.DefenderTenant {
		return &v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: name, Generation: 1},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: tenantID, App: "partner"},
			Status:     status,
		}
	}
	connect := fakeCluster(t,
		tenant("waiting", v1alpha1.DefenderTenantStatus{ObservedGeneration: 1, ConsentURL: link}),
		tenant("consented", v1alpha1.DefenderTenantStatus{
			ObservedGeneration: 1, ConsentURL: link, Conditions: []metav1.Condition{condition(v1alpha1.ConditionConsentGranted, "")},
		}),
		tenant("ungranted", v1alpha1.DefenderTenantStatus{
			ObservedGeneration: 1, Conditions: []metav1.Condition{condition(v1alpha1.ConditionStalled, "No DefenderGrant allows it. The platform team must create one.")},
		}),
		tenant("fresh", v1alpha1.DefenderTenantStatus{ObservedGeneration: -1}),
	)
	for name, c := range map[string]struct {
		args             string
		out, notes, fail []string // texts that must be there; without a text there must be nothing
	}{
		"usage":                   {args: "", out: []string{"consent-mail NAME"}},
		"help of the command":     {args: "consent-mail -h", out: []string{"consent-mail NAME"}, fail: []string{flag.ErrHelp.Error()}},
		"unknown command":         {args: "dance", fail: []string{`"dance"`, "without arguments"}},
		"unknown flag":            {args: "consent-mail waiting --polite", fail: []string{"polite"}},
		"no name":                 {args: "consent-mail -n soc", fail: []string{"name of one DefenderTenant", "kubectl get"}},
		"two names":               {args: "consent-mail a b", fail: []string{"got 2"}},
		"letter":                  {args: "consent-mail waiting -n soc --provider Example", out: []string{"Example asks", link, "Client ID      " + clientID, "Application    partner"}},
		"flags before the name":   {args: "consent-mail --namespace soc --app-name Monitoring waiting", out: []string{"Application    Monitoring"}},
		"namespace of the config": {args: "consent-mail waiting", out: []string{link}},
		"consented already":       {args: "consent-mail consented", out: []string{link}, notes: []string{"soc/consented has its consent already"}},
		"no grant":                {args: "consent-mail ungranted", fail: []string{"soc/ungranted has no consent link yet", "The platform team must create one."}},
		"operator does not run":   {args: "consent-mail fresh", fail: []string{"soc/fresh", "whether the operator runs"}},
		"no such object":          {args: "consent-mail nobody", fail: []string{"no DefenderTenant nobody in namespace soc", "kubectl get"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, notes strings.Builder
			err := run(t.Context(), strings.Fields(c.args), terminal{&out, &notes}, connect)
			expect(t, "output", out.String(), c.out)
			expect(t, "notes", notes.String(), c.notes)
			expect(t, "error", message(err), c.fail)
		})
	}
}

func TestConnectSaysWhatIsWrong(t *testing.T) {
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	if _, err := connect(&options{context: "nowhere"}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Error(err)
	}
}

func fakeCluster(t *testing.T, objects ...client.Object) connector {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return func(o *options) (client.Reader, error) {
		if o.namespace == "" {
			o.namespace = "soc"
		}
		if o.namespace != "soc" {
			return nil, errors.New("unexpected namespace " + o.namespace)
		}
		return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(), nil
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func expect(t *testing.T, what, got string, wanted []string) {
	t.Helper()
	if len(wanted) == 0 && got != "" {
		t.Errorf("unexpected %s: %s", what, got)
	}
	for _, text := range wanted {
		if !strings.Contains(got, text) {
			t.Errorf("%s lacks %q:\n%s", what, text, got)
		}
	}
}
