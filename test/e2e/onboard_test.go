package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
	"github.com/defender-tenant/operator/test/node"
)

// onboard applies the samples as they are and is the customer's administrator.
func (w *world) onboard() {
	var app v1alpha1.DefenderApp
	var credential corev1.Secret
	var tenant v1alpha1.DefenderTenant
	w.sample("app.yaml", &app)
	w.sample("credential.yaml", &credential)
	w.sample("tenant-contoso.yaml", &tenant)
	w.entra.RegisterApp(entra.App{
		ClientID: app.Spec.ClientID, DisplayName: "Partner", HomeTenantID: app.Spec.HomeTenantID,
		Permissions: map[string][]string{
			entra.DefenderXDR:    {"Incident.Read.All"},
			entra.MicrosoftGraph: {"SecurityIncident.Read.All"},
		},
	})
	w.kept["client secret"] = credential.StringData["client-secret"]
	w.entra.AddSecret(app.Spec.ClientID, w.kept["client secret"], time.Time{})
	w.entra.AddTenant(tenant.Spec.TenantID)

	w.applySamples()
	waiting := w.awaitTenant(metav1.ConditionFalse, v1alpha1.ReasonConsentRequired)
	w.consent(waiting.Status.ConsentURL)
	consented := time.Now()
	w.awaitTenant(metav1.ConditionTrue, v1alpha1.ReasonTokensReady)
	w.figures.took("consent until the token is in its Secret", time.Since(consented))
	w.figures.took("start of helm install until the token is in its Secret", time.Since(w.installed))
}

// applySamples is one kubectl apply: all samples but the workload, whose image no registry gives here.
func (w *world) applySamples() {
	w.t.Helper()
	args := []string{"apply", "--server-side"}
	for _, name := range []string{"namespace", "credential", "app", "grant-contoso", "tenant-contoso"} {
		args = append(args, "--filename", filepath.Join("config", "samples", name+".yaml"))
	}
	w.kubectl(args...)
}

// consent follows the link in a customer's status and presses the button behind it.
func (w *world) consent(link string) {
	w.t.Helper()
	status, page := w.browse(http.MethodGet, link, nil)
	form := regexp.MustCompile(`<form method="post" action="([^"]*)"`).FindStringSubmatch(page)
	if status != http.StatusOK || form == nil {
		w.t.Fatalf("%s answers %d, without a form", link, status)
	}
	base, err := url.Parse(link)
	w.must(err)
	action, err := base.Parse(strings.ReplaceAll(form[1], "&amp;", "&"))
	w.must(err)
	if status, page := w.browse(http.MethodPost, action.String(), url.Values{"decision": {"accept"}}); status != http.StatusOK {
		w.t.Fatalf("the consent was answered with %d: %s", status, page)
	}
}

func (w *world) browse(method, link string, form url.Values) (status int, page string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, link, strings.NewReader(form.Encode()))
	w.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := w.entra.HTTPClient().Do(request)
	w.must(err)
	text, err := io.ReadAll(response.Body)
	w.must(errors.Join(err, response.Body.Close()))
	return response.StatusCode, string(text)
}

// startWorkload deploys it and waits for its first good call.
func (w *world) startWorkload() {
	w.must(node.WriteImage(filepath.Join(w.node.Dir(), "workload.tar"), w.program("workload")))
	w.must(w.node.ImportImage(w.t.Context(), filepath.Join(w.node.Dir(), "workload.tar"), "localhost/workload:1"))
	w.must(w.Create(w.t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "emulator"},
		Data:       map[string]string{"ca.crt": string(w.entra.CAPEM())},
	}))
	w.kubectl("label", "namespace", team, "pod-security.kubernetes.io/enforce=restricted")
	w.kubectl("apply", "--filename", "test/e2e/testdata/workload.yaml")
	w.figures.took("workload applied until its first good call", w.eventually("the workload calls the API", patience, func(ctx context.Context) error {
		seen, err := w.record(ctx)
		if err == nil && seen.LastGood.IsZero() {
			err = errors.New("no call was good")
		}
		return err
	}))
}

// tokenSecret reads that of the customer.
func (w *world) tokenSecret(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	return secret, w.Get(ctx, types.NamespacedName{Namespace: team, Name: customer + "-xdr"}, secret)
}
