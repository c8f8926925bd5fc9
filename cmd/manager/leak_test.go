package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
	"github.com/defender-tenant/operator/test/vault"
)

const (
	mistypedSecret = canary + "-mistyped-client-secret"
	garbled        = "55555555-5555-5555-5555-555555555555"
	closedToVault  = "by-refused-vault"
	vaultSecret    = canary + "-client-secret-of-the-vault"
)

// leaks is a stage on which everything goes wrong that can, and what must never be seen of it.
type leaks struct {
	*stage
	vault     *vault.Emulator
	projected string          // the file with the service-account token
	signer    *rsa.PrivateKey // of service-account tokens
	needles   map[string]string
	awaited   map[string]string // DefenderTenants with the reason that each must come to; empty: a token
}

// TestInvariant2_NothingSecretLeavesTheProcess puts a marker into all that is secret and looks for it wherever people can
// read: every object of every resource, logs at every level, metrics, the process itself.
func TestInvariant2_NothingSecretLeavesTheProcess(t *testing.T) {
	l := &leaks{stage: newStage(t), needles: map[string]string{}, awaited: map[string]string{}}
	l.furnish()
	t.Run("after all kinds of failure, at log level 10", func(t *testing.T) { l.tour(t, "json", "--zap-log-level=10") })
	t.Run("after all kinds of failure, in development mode", func(t *testing.T) { l.tour(t, "text", "--zap-devel", "--zap-log-level=10") })
	for _, level := range []string{"error", "info", "debug", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		t.Run("at log level "+level, func(t *testing.T) {
			t.Parallel()
			l.visit(t, level)
		})
	}
}

// hide is a text that must not be seen, in any of the forms in which it could be.
func (l *leaks) hide(what, text string) {
	l.needles[text] = what
	for offset := range 3 {
		// In base64 a text has three forms. The groups of four at both ends depend on the neighbours.
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + text))
		l.needles[encoded[4:len(encoded)/4*4-4]] = what + " in base64"
	}
}

// hideKey hides each line of a private key.
func (l *leaks) hideKey(what string, key []byte) {
	for line := range strings.Lines(string(key)) {
		if line = strings.TrimSpace(line); len(line) > 40 {
			l.hide(what, line)
		}
	}
}

// furnish makes a customer for each thing that can go right or wrong.
func (l *leaks) furnish() {
	l.t.Helper()
	for _, mark := range l.entra.Marks() {
		l.hide("the marker of tokens, errors and codes", mark)
	}
	l.hide("the client secret", clientSecret)
	for _, header := range []string{`{"typ":"JWT"`, `{"alg":"RS2`, `{"alg":"PS2`} {
		l.needles[base64.RawURLEncoding.EncodeToString([]byte(header))[:10]] = "a JWT"
	}
	l.hide("a key in PEM", "PRIVATE KEY-----")

	// The renewals of these two go on all the time.
	l.awaited["contoso"] = ""
	l.entra.AddTenant(garbled)
	l.entra.Consent(garbled, clientID)
	l.entra.Inject(garbled, entra.Fault{ExpiresIn: entra.OmitExpiresIn}, 0)
	for kind, garbage := range l.garbage() {
		id := fmt.Sprintf("33333333-3333-3333-3333-%012d", len(l.awaited))
		l.entra.Inject(id, garbage.fault, 0)
		l.customer(id, kind, "partner", garbage.reason)
	}
	l.credentials()
}

type garbage struct {
	fault  entra.Fault
	reason string
}

// garbage is what Entra ID might answer, with the reason that people see.
func (l *leaks) garbage() map[string]garbage {
	said := func(status int, body string) entra.Fault { return entra.Fault{Status: status, Body: body} }
	token := `{"token_type":"Bearer","access_token":"` + canary + `"`
	return map[string]garbage{
		"no-answer":       {entra.Fault{Reset: true}, v1alpha1.ReasonEntraUnavailable},
		"html":            {said(200, "<html>"+canary+"</html>"), v1alpha1.ReasonProxyRefused},
		"cut-off":         {entra.Fault{Truncate: 700}, v1alpha1.ReasonEntraUnavailable},
		"cut-off-early":   {entra.Fault{Truncate: 120}, v1alpha1.ReasonEntraUnavailable},
		"no-lifetime":     {entra.Fault{ExpiresIn: entra.OmitExpiresIn}, v1alpha1.ReasonAnswerInvalid},
		"odd-lifetime":    {entra.Fault{ExpiresIn: `{"` + canary + `":1}`}, v1alpha1.ReasonAnswerInvalid},
		"not-json":        {said(200, token+`,"expires_in":x}`), v1alpha1.ReasonAnswerInvalid},
		"redirected":      {entra.Fault{Location: "https://" + canary + ".example/" + canary}, v1alpha1.ReasonAnswerInvalid},
		"too-large":       {entra.Fault{Pad: 1 << 20}, v1alpha1.ReasonAnswerInvalid},
		"compressed":      {entra.Fault{GzipBomb: 1 << 20}, v1alpha1.ReasonAnswerInvalid},
		"down":            {said(503, canary), v1alpha1.ReasonEntraUnavailable},
		"unknown-error":   {said(400, `{"error":"`+canary+`","error_description":"`+canary+`","error_codes":["`+canary+`"],"trace_id":"`+canary+`"}`), v1alpha1.ReasonEntraUnavailable},
		"token-and-error": {said(400, token+`,"error":"`+canary+`"}`), v1alpha1.ReasonEntraUnavailable},
		"opaque":          {entra.Fault{Opaque: true}, v1alpha1.ReasonTokenOpaque},
		"line-break":      {said(200, token[:len(token)-1]+`.\n.x","expires_in":3599}`), v1alpha1.ReasonAnswerInvalid},
		"other-tenant":    {entra.Fault{Claims: map[string]any{"tid": canary}}, v1alpha1.ReasonTokenRejected},
		"other-audience":  {entra.Fault{Claims: map[string]any{"aud": canary}}, v1alpha1.ReasonTokenRejected},
		"other-app":       {entra.Fault{Claims: map[string]any{"appid": canary}}, v1alpha1.ReasonTokenRejected},
		"odd-claims":      {entra.Fault{Claims: map[string]any{"tid": map[string]any{canary: canary}}}, v1alpha1.ReasonTokenRejected},
		"no-roles":        {entra.Fault{Claims: map[string]any{"roles": nil}}, v1alpha1.ReasonRolesMissing},
		"no-consent":      {entra.Fault{Code: 65001, Error: canary}, v1alpha1.ReasonConsentRequired},
		"refused":         {entra.Fault{Code: 7000215, Error: canary}, v1alpha1.ReasonCredentialRefused},
	}
}

// customer makes a DefenderTenant, and what it needs to get a token if nothing goes wrong.
func (l *leaks) customer(id, name, app, reason string) {
	l.t.Helper()
	l.entra.AddTenant(id)
	l.entra.SetLifetime(id, time.Hour)
	named := &v1alpha1.DefenderApp{}
	l.must(l.Get(l.t.Context(), types.NamespacedName{Name: app}, named))
	l.entra.Consent(id, named.Spec.ClientID)
	l.create(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.DefenderGrantSpec{
		App: app, Namespaces: []string{"soc"}, TenantIDs: []string{id}, APIs: []string{"DefenderXDR"},
	}})
	l.create(&v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: name},
		Spec: v1alpha1.DefenderTenantSpec{TenantID: id, App: app, Tokens: []v1alpha1.TokenSpec{
			{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: []v1alpha1.Format{v1alpha1.FormatJSON, v1alpha1.FormatEnv}},
		}},
	})
	l.awaited[name] = reason
}

// credentials makes an application with one customer for each way to prove who one is, and to fail at it.
func (l *leaks) credentials() {
	l.t.Helper()
	var err error
	l.vault, err = vault.Start(vault.Options{Entra: l.entra, TenantID: home, Marker: canary})
	l.must(err)
	l.t.Cleanup(l.vault.Close)
	l.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	l.must(err)
	l.projected = filepath.Join(l.t.TempDir(), "token")
	l.project(l.projected, l.signer, operatorSubject)
	l.hideFile()

	certPEM, keyPEM, cert := newCertificate(l.t)
	_, otherPEM, _ := newCertificate(l.t)
	l.hideKey("a private key", keyPEM)
	l.hideKey("a private key", otherPEM)
	pair := func(name string, key []byte) v1alpha1.Credential {
		l.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: name}, Data: map[string][]byte{"tls.crt": certPEM, "tls.key": key}})
		return v1alpha1.Credential{Name: "cert", Certificate: &v1alpha1.CertificateCredential{SecretRef: v1alpha1.SecretReference{Name: name}}}
	}
	l.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: "mistyped"}, Data: map[string][]byte{"client-secret": []byte(mistypedSecret)}})
	federated := v1alpha1.Credential{Name: "federated", WorkloadIdentity: &v1alpha1.WorkloadIdentityCredential{}}
	inVault := func(spec v1alpha1.KeyVaultCredential) v1alpha1.Credential {
		spec.VaultName = "contoso"
		return v1alpha1.Credential{Name: "vault", KeyVault: &spec}
	}
	for name, row := range map[string]struct {
		reason      string
		credentials []v1alpha1.Credential
	}{
		"by-certificate":  {"", []v1alpha1.Credential{pair("good-pair", keyPEM)}},
		"by-wrong-key":    {v1alpha1.ReasonCredentialUnusable, []v1alpha1.Credential{pair("other-key", otherPEM)}},
		"by-half-a-key":   {v1alpha1.ReasonCredentialUnusable, []v1alpha1.Credential{pair("half-a-key", keyPEM[:len(keyPEM)/2])}},
		"by-no-key":       {v1alpha1.ReasonCredentialUnusable, []v1alpha1.Credential{pair("no-key", []byte("-----BEGIN PRIVATE KEY-----\n"+canary+"\n-----END PRIVATE KEY-----\n"))}},
		"by-mistyped":     {v1alpha1.ReasonCredentialRefused, []v1alpha1.Credential{{Name: "secret", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: "mistyped"}}}}},
		"by-federation":   {"", []v1alpha1.Credential{federated}},
		"by-vault-key":    {"", []v1alpha1.Credential{inVault(v1alpha1.KeyVaultCredential{CertificateName: "partner"}), federated}},
		"by-vault-secret": {"", []v1alpha1.Credential{inVault(v1alpha1.KeyVaultCredential{SecretName: "partner"}), federated}},
		closedToVault:     {"", []v1alpha1.Credential{inVault(v1alpha1.KeyVaultCredential{SecretName: "closed"}), pair("opener", keyPEM)}},
	} {
		n := len(l.awaited)
		id := fmt.Sprintf("00000000-0000-0000-0000-%012d", n)
		l.entra.RegisterApp(entra.App{ClientID: id, DisplayName: name, HomeTenantID: home, Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}})
		l.entra.AddFederation(id, entra.Federation{Issuer: clusterIssuer, Subject: operatorSubject, Keys: []*rsa.PublicKey{&l.signer.PublicKey}})
		l.entra.AddCertificate(id, cert)
		l.entra.AddSecret(id, vaultSecret, time.Time{})
		l.vault.Allow(id, vault.Read, vault.Sign, vault.Get)
		if name == closedToVault { // which helps itself with its next credential
			l.vault.Allow(id)
		}
		l.create(&v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.DefenderAppSpec{ClientID: id, HomeTenantID: home, Credentials: row.credentials}})
		l.customer(fmt.Sprintf("44444444-4444-4444-4444-%012d", n), name, name, row.reason)
	}
	kept := l.vault.MakeCertificate("partner", time.Now().Add(time.Hour))
	for i := range len(l.awaited) + 1 {
		l.entra.AddCertificate(fmt.Sprintf("00000000-0000-0000-0000-%012d", i), kept)
	}
	l.vault.SetSecret("partner", vaultSecret, time.Now().Add(time.Hour))
}

// hideFile hides the signature of the projected service-account token.
func (l *leaks) hideFile() {
	l.t.Helper()
	text, err := os.ReadFile(l.projected)
	l.must(err)
	parts := strings.Split(string(text), ".")
	l.hide("the signature of the service-account token", parts[2][:100])
}

// newCertificate makes a key and its certificate as PEM.
func newCertificate(t *testing.T) (certPEM, keyPEM []byte, cert *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partner"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), cert
}

// manager starts the operator with all that it needs here, and gives the address of its metrics.
func (l *leaks) manager(flags ...string) (*process, string) {
	l.t.Helper()
	numbers := freeAddress(l.t)
	p := l.start(append(flags, "--metrics-bind-address="+numbers, "--federated-token-file="+l.projected, "--vault-url="+l.vault.URL())...)
	return p, "http://" + numbers
}

// tour waits until everything has gone right or wrong as it should, and looks around.
func (l *leaks) tour(t *testing.T, round string, flags ...string) {
	t.Helper()
	inner := *l
	l, inner.stage = &inner, l.in(t)
	p, numbers := l.manager(append(flags, "--namespaces=soc")...)
	for name := range l.awaited {
		l.ask(name, round)
	}
	for name, want := range l.awaited {
		p.eventually(fmt.Sprintf("%s comes to %q", name, want), func() bool { return l.reason(name, round) == want })
	}
	p.eventually("a vault refuses", func() bool { return l.answered(http.StatusForbidden) > 0 })
	failures := l.answered(http.StatusInternalServerError)
	l.vault.Fail(http.StatusInternalServerError, 1)
	l.ask("by-vault-key", round+"-failing")
	p.eventually("a vault fails", func() bool { return l.answered(http.StatusInternalServerError) > failures })
	l.project(l.projected, l.signer, operatorSubject+"-of-another-name")
	l.hideFile()
	l.ask("by-federation", round+"-foreign")
	p.eventually("the federation fails", func() bool { return l.reason("by-federation", round+"-foreign") == v1alpha1.ReasonFederationMismatch })
	l.project(l.projected, l.signer, operatorSubject)
	l.hideFile()
	l.ask("by-federation", round+"-own")
	p.eventually("the federation is back", func() bool { return l.reason("by-federation", round+"-own") == "" })
	l.look(p, numbers)
}

// answered counts the answers of the vault with a status.
func (l *leaks) answered(status int) int {
	n := 0
	for _, request := range l.vault.Requests() {
		if request.Status == status {
			n++
		}
	}
	return n
}

// visit meets failures and successes of a namespace of its own.
func (l *leaks) visit(t *testing.T, level string) {
	t.Helper()
	l = &leaks{stage: l.in(t), vault: l.vault, projected: l.projected, needles: l.needles}
	namespace := "at-" + level
	l.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	l.create(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: v1alpha1.DefenderGrantSpec{
		App: "partner", Namespaces: []string{namespace}, TenantIDs: []string{"*"}, APIs: []string{"DefenderXDR"},
	}})
	for name, id := range map[string]string{"good": customer, "bad": garbled} {
		l.create(&v1alpha1.DefenderTenant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.DefenderTenantSpec{TenantID: id, App: "partner"}})
	}
	p, numbers := l.manager("--zap-log-level="+level, "--namespaces="+namespace)
	p.eventually("there were a failure and a success", func() bool {
		page := p.get(numbers + "/metrics")
		return strings.Contains(page, `defender_tenant_token_requests_total{outcome="Issued"}`) && strings.Contains(page, `defender_tenant_token_requests_total{outcome="AnswerInvalid"}`)
	})
	l.look(p, numbers)
}

// reason is what is wrong with the token of a customer after a refresh request; empty if nothing is, and there is one.
func (l *leaks) reason(name, round string) string {
	l.t.Helper()
	object := &v1alpha1.DefenderTenant{}
	l.must(l.Get(l.t.Context(), types.NamespacedName{Namespace: "soc", Name: name}, object))
	if len(object.Status.Tokens) == 0 || object.Status.LastHandledRefresh != round {
		return "not looked at"
	}
	switch status := object.Status.Tokens[0]; {
	case status.Failure != nil:
		return status.Failure.Reason
	case !status.Ready:
		return "no token"
	default:
		return ""
	}
}

func (l *leaks) ask(name, value string) {
	l.t.Helper()
	object := &v1alpha1.DefenderTenant{}
	l.must(l.Get(l.t.Context(), types.NamespacedName{Namespace: "soc", Name: name}, object))
	before := client.MergeFrom(object.DeepCopy())
	object.SetAnnotations(map[string]string{v1alpha1.RefreshRequestedAnnotation: value})
	l.must(l.Patch(l.t.Context(), object, before))
}

// look reads whatever people can read, and last the stacks that SIGQUIT prints.
func (l *leaks) look(p *process, numbers string) {
	t := l.t
	t.Helper()
	pages := l.objects()
	pages["metrics"] = p.get(numbers + "/metrics")
	for _, host := range []string{numbers, "http://" + p.probe} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/vars", "/"} {
			if status := statusOf(t, host+path); status != http.StatusNotFound {
				t.Errorf("GET %s%s answers %d, want 404", host, path, status)
			}
		}
	}
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.command.Process.Pid, file))
		l.must(err)
		pages[file] = string(text)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.command.Process.Pid))
	l.must(err)
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("the process may leave a core dump: %s", limits)
	}
	l.must(p.command.Process.Signal(syscall.SIGQUIT))
	<-p.ended
	pages["log"] = p.log.text()
	for page, sign := range map[string]string{
		"metrics": "defender_tenant_token_requests_total", "cmdline": "--vault-url=", "environ": "POD_NAMESPACE", "log": "\ngoroutine ",
		"/v1, Resource=secrets": "contoso-xdr", "/v1, Resource=events": "contoso", "events.k8s.io/v1, Resource=events": "contoso",
		v1alpha1.GroupVersion.String() + ", Resource=defendertenants": "managedFields",
	} {
		if !strings.Contains(pages[page], sign) {
			t.Errorf("%s has no %q: is it what is meant to be looked at?", page, sign)
		}
	}
	for needle, what := range l.needles {
		for page, text := range pages {
			if i := strings.Index(text, needle); i >= 0 {
				t.Errorf("%s is in %s: …%s…", what, page, text[max(0, i-200):min(len(text), i+30)])
			}
		}
	}
}

// objects are all objects of all resources that can be listed, by resource. Of Secrets that may hold something secret the
// data are left out.
func (l *leaks) objects() map[string]string {
	l.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig)
	l.must(err)
	config.QPS = -1
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	l.must(err)
	reader, err := dynamic.NewForConfig(config)
	l.must(err)
	_, resources, err := finder.ServerGroupsAndResources()
	l.must(err)
	pages := map[string]string{}
	for _, group := range resources {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		l.must(err)
		for _, resource := range group.APIResources {
			if !slices.Contains(resource.Verbs, "list") {
				continue
			}
			list, err := reader.Resource(version.WithResource(resource.Name)).List(l.t.Context(), metav1.ListOptions{})
			l.must(err)
			for i := range list.Items {
				if resource.Name == "secrets" && mayHoldSecrets(&list.Items[i]) {
					unstructured.RemoveNestedField(list.Items[i].Object, "data")
				}
			}
			text, err := json.Marshal(list)
			l.must(err)
			pages[version.WithResource(resource.Name).String()] = string(text)
		}
	}
	return pages
}

// mayHoldSecrets is true for our own Secrets and for the credentials beside the operator.
func mayHoldSecrets(secret *unstructured.Unstructured) bool {
	kind, _, err := unstructured.NestedString(secret.Object, "type")
	return err == nil && kind == string(v1alpha1.SecretType) || secret.GetNamespace() == "operators"
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}
