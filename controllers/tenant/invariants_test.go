package tenant_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// wrongAnswers are tokens that nobody may see, by what is wrong with them. All of them
// come with status 200 and are signed by the right key.
func wrongAnswers(w *world) map[string]emulator.Fault {
	in := func(d time.Duration) int64 { return w.clock.Now().Add(d).Unix() }
	return map[string]emulator.Fault{
		"another tenant's":                 {Claims: map[string]any{"tid": stranger}},
		"of no tenant":                     {Claims: map[string]any{"tid": nil}},
		"for another API":                  {Claims: map[string]any{"aud": graph}},
		"for an API of a longer name":      {Claims: map[string]any{"aud": xdr + ".example.com"}},
		"of another application":           {Claims: map[string]any{"appid": "00000000-0000-0000-0000-00000000000b"}},
		"without any role":                 {Claims: map[string]any{"roles": nil}},
		"with other roles than required":   {Claims: map[string]any{"roles": []string{"Alert.Read.All"}}},
		"for a user":                       {Claims: map[string]any{"idtyp": "user"}},
		"with delegated permissions":       {Claims: map[string]any{"scp": "Incident.Read"}},
		"that lives two minutes":           {Claims: map[string]any{"exp": in(2 * time.Minute)}, ExpiresIn: "120"},
		"that ended":                       {Claims: map[string]any{"exp": in(-time.Minute)}, ExpiresIn: "-60"},
		"that lives two days":              {Claims: map[string]any{"exp": in(48 * time.Hour)}, ExpiresIn: "172800"},
		"whose answer promises more":       {ExpiresIn: "80000"},
		"whose answer promises less":       {ExpiresIn: "600"},
		"most of whose life is over":       {Claims: map[string]any{"iat": in(-10 * time.Hour), "nbf": in(-10 * time.Hour), "exp": in(time.Hour)}, ExpiresIn: "3600"},
		"without an end":                   {Claims: map[string]any{"exp": nil}},
		"that is no JWT":                   {Opaque: true},
		"that is no token":                 {Body: `{"token_type":"Bearer","expires_in":3599,"access_token":"` + canary + `"}`},
		"with a line break":                {Body: `{"token_type":"Bearer","expires_in":3599,"access_token":"` + canary + `.\n.x"}`},
		"in an answer that is cut off":     {Truncate: 700},
		"in an answer without expires_in":  {ExpiresIn: emulator.OmitExpiresIn},
		"in an answer with a text for one": {ExpiresIn: `"soon"`},
	}
}

// TestInvariant1_ASecretNeverReceivesATokenThatFailedTheGate.
//
// A Secret never receives a token that failed the publish gate.
func TestInvariant1_ASecretNeverReceivesATokenThatFailedTheGate(t *testing.T) {
	t.Parallel()
	required := v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, RequiredRoles: []string{"Incident.Read.All"}}
	t.Run("while nothing is held no Secret appears", func(t *testing.T) {
		t.Parallel()
		w := awake(t)
		x := w.watchSecrets()
		w.grant()
		w.entra.SetLifetime(customer, 10*time.Hour)
		w.entra.Consent(customer, clientID)
		for name, wrong := range wrongAnswers(w) {
			w.entra.Inject(customer, wrong, 0)
			before := w.requests()
			object := w.apply(required)
			w.eventually("a token "+name+" is refused", func() bool {
				return w.requests() > before && w.tenant().Status.ObservedGeneration == 1 && w.reason("xdr") != ""
			})
			w.leap(time.Minute, 5*time.Second)
			if w.requests() < before+3 {
				t.Errorf("a token %s: %d attempts, want three at least", name, w.requests()-before)
			}
			if names := w.secretNames(); len(names) > 0 {
				t.Errorf("a token %s: there are Secrets %v", name, names)
			}
			w.must(w.Delete(w.ctx, object))
			w.shown(object)
		}
		w.entra.Clear(customer)
		w.apply(required)
		w.expect(allGood)
		if n := x.published("contoso-xdr"); n != 1 {
			t.Errorf("%d tokens were published, want the good one alone", n)
		}
	})
	t.Run("while one is held its Secret stays as it is", func(t *testing.T) {
		t.Parallel()
		w := awake(t)
		x := w.watchSecrets()
		w.settled(10*time.Hour, required)
		held := w.secret("contoso-xdr")
		for name, wrong := range wrongAnswers(w) {
			w.entra.Inject(customer, wrong, 0)
			before := w.requests()
			w.ask(strings.ReplaceAll(name, " ", "-"))
			w.leap(30*time.Second, 10*time.Second)
			if w.requests() == before {
				t.Errorf("a token %s was not requested", name)
			}
			if now := w.secret("contoso-xdr"); !apiequality.Semantic.DeepEqual(held, now) {
				t.Errorf("a token %s: the Secret changed", name)
			}
			if c := w.tenant().Status.Conditions; !matches(c, situation{ready: "True TokensReady"}) {
				t.Errorf("a token %s: %v", name, c)
			}
		}
		w.entra.Clear(customer)
		w.ask("at-last")
		w.eventually("a good token is published", func() bool { return w.token("contoso-xdr") != string(held.Data["token"]) })
		if n := x.published("contoso-xdr"); n != 2 {
			t.Errorf("%d tokens were published, want the first and the last", n)
		}
	})
}

// TestInvariant2_NothingSecretIsEverShown.
//
// Nothing secret (token, client secret, assertion, private key) appears in logs at any level,
// events, status, metrics, annotations or error strings, also when Entra answers garbage.
func TestInvariant2_NothingSecretIsEverShown(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.halt()
	registry := prometheus.NewRegistry()
	operator := w.process(wiring{timeout: 5 * time.Second, metrics: registry})
	w.operator = operator
	defer func() { w.operator = nil }()
	w.settled(10 * time.Hour)

	// A certificate in place of the client secret: a good one, then one of a wrong key. It
	// comes first, because MSAL signs by the real clock.
	certPEM, keyPEM, cert := newCertificate(t)
	w.entra.AddCertificate(clientID, cert)
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "certificate"},
		Data:       map[string][]byte{"tls.crt": certPEM, "tls.key": keyPEM},
	})
	edit(w, w.newApp(), func(a *v1alpha1.DefenderApp) {
		a.Spec.Credentials = []v1alpha1.Credential{{Name: "cert", Certificate: &v1alpha1.CertificateCredential{SecretRef: v1alpha1.SecretReference{Name: "certificate"}}}}
	})
	w.shown(w.newApp())
	before := w.token("contoso-xdr")
	w.ask("certificate")
	w.eventually("a token comes by certificate", func() bool { return w.token("contoso-xdr") != before })
	if used := w.entra.Requests(); !strings.HasPrefix(used[len(used)-1].Credential, "certificate ") {
		t.Errorf("the last request used credential %q", used[len(used)-1].Credential)
	}
	_, otherKey, _ := newCertificate(t)
	for i, wrong := range [][]byte{otherKey, keyPEM[:len(keyPEM)/2], []byte("-----BEGIN PRIVATE KEY-----\n" + canary + "\n-----END PRIVATE KEY-----\n"), []byte(canary)} {
		secret := w.secret("certificate")
		edit(w, secret, func(s *corev1.Secret) { s.Data["tls.key"] = wrong })
		// Under another name, or the version before would stay in use.
		edit(w, w.newApp(), func(a *v1alpha1.DefenderApp) { a.Spec.Credentials[0].Name = fmt.Sprint("wrong-", i) })
		w.shown(w.newApp())
		edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", fmt.Sprint("wrong-key-", i)) })
		w.eventually("a wrong key is reported", func() bool { return w.reason("xdr") == "CredentialUnusable" })
		w.leap(15*time.Second, 15*time.Second)
	}
	edit(w, w.newApp(), func(a *v1alpha1.DefenderApp) { a.Spec = w.newApp().Spec })
	w.shown(w.newApp())
	w.expect(allGood)

	garbage := slices.Collect(maps.Values(wrongAnswers(w)))
	for _, offset := range []int{-1, 1, 16, 40, 64, 100, 300, 900, 1100, 1300} {
		garbage = append(garbage, emulator.Fault{Truncate: offset})
	}
	for _, code := range []int{7000215, 700016, 7000229, 90002, 50011, 90033, 53003, 99999999} {
		garbage = append(garbage, emulator.Fault{Code: code}, emulator.Fault{Code: code, Error: canary, Status: 500})
	}
	for _, status := range []int{200, 400, 401, 403, 429, 503} {
		garbage = append(garbage,
			emulator.Fault{Status: status, Body: "<html><title>" + canary + "</title></html>", RetryAfter: canary},
			emulator.Fault{Status: status, Body: `{"error":"` + canary + `","error_description":"AADSTS` + canary + `","error_codes":["` + canary + `"],"trace_id":"` + canary + `","correlation_id":"` + canary + `"}`},
			emulator.Fault{Status: status, Body: `{"access_token":{"` + canary + `":1},"expires_in":3599}`},
			emulator.Fault{Status: status, Body: canary})
	}
	garbage = append(garbage,
		emulator.Fault{Location: "https://" + canary + ".example/" + canary}, emulator.Fault{Pad: 1 << 20}, emulator.Fault{GzipBomb: 1 << 20},
		emulator.Fault{Reset: true}, emulator.Fault{Claims: map[string]any{"uti": strings.Repeat("x", 100), "tid": canary}},
		emulator.Fault{Claims: map[string]any{"aud": canary, "appid": canary, "tid": map[string]any{canary: canary}}})
	for i, fault := range garbage {
		w.entra.Inject(customer, fault, 1)
		w.ask(fmt.Sprint(i))
		w.leap(30*time.Second, 10*time.Second) // the tenant's budget fills
	}
	pieces := []string{"PRIVATE KEY"}
	for _, text := range [][]byte{keyPEM, otherKey} {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
				pieces = append(pieces, line)
			}
		}
	}
	if n := w.requests(); n < len(garbage) {
		t.Errorf("only %d requests for %d kinds of garbage", n, len(garbage))
	}
	w.leaks(registry, pieces...)
}

// newCertificate makes a key and its certificate as PEM.
func newCertificate(t *testing.T) (certPEM, keyPEM []byte, cert *x509.Certificate) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partner"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), cert
}

// TestInvariant3_ASecretOfSomebodyElseIsLeftAlone.
//
// A Secret that is not ours is never written, adopted or deleted, whatever its name, labels or
// forged owner.
func TestInvariant3_ASecretOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.halt()
	record := &recorder{}
	w.config.Wrap(record.wrap)
	w.entra.SetLifetime(customer, 10*time.Minute)
	w.entra.Consent(customer, clientID)

	yes := true
	labels := map[string]string{"app.kubernetes.io/managed-by": "defender-tenant-operator"}
	neighbour := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "neighbour"}}
	w.create(neighbour)
	owned := func(by client.Object, apiVersion, kind string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: by.GetName(), UID: by.GetUID(), Controller: &yes}}
	}
	const ours = "defender.tenant-operator.dev/access-token"
	kinds := map[string]func(s *corev1.Secret, owner *v1alpha1.DefenderTenant){
		"plain":    func(*corev1.Secret, *v1alpha1.DefenderTenant) {},
		"labelled": func(s *corev1.Secret, _ *v1alpha1.DefenderTenant) { s.Labels = labels },
		"typed":    func(s *corev1.Secret, _ *v1alpha1.DefenderTenant) { s.Type, s.Labels = ours, labels },
		"controlled": func(s *corev1.Secret, _ *v1alpha1.DefenderTenant) {
			s.Type, s.Labels, s.OwnerReferences = ours, labels, owned(neighbour, "v1", "ConfigMap")
		},
		"mistyped": func(s *corev1.Secret, owner *v1alpha1.DefenderTenant) {
			s.Labels, s.OwnerReferences = labels, owned(owner, "defender.tenant-operator.dev/v1alpha1", "DefenderTenant")
		},
		"uncontrolled": func(s *corev1.Secret, owner *v1alpha1.DefenderTenant) {
			s.Type, s.Labels, s.OwnerReferences = ours, labels, owned(owner, "defender.tenant-operator.dev/v1alpha1", "DefenderTenant")
			s.OwnerReferences[0].Controller = nil
		},
		"forged": func(s *corev1.Secret, owner *v1alpha1.DefenderTenant) {
			// The UID of a DefenderTenant of that name that is gone, in a version that the garbage collector does not know.
			s.Type, s.Labels, s.OwnerReferences = ours, labels, owned(owner, "defender.tenant-operator.dev/v1alpha0", "DefenderTenant")
			s.OwnerReferences[0].UID = "00000000-0000-0000-0000-000000000000"
		},
	}
	// The garbage collector takes those whose owner is gone or goes: its right, not ours.
	collected := []string{"mistyped", "uncontrolled"}
	before := map[string]*corev1.Secret{}
	tenants := map[string]*v1alpha1.DefenderTenant{}
	for kind, forge := range kinds {
		object := &v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: kind},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: customer, App: w.app},
		}
		w.create(object)
		tenants[kind] = object
		for _, name := range []string{kind + "-xdr", kind + "-other"} {
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Annotations: map[string]string{"note": "mine"}},
				Data:       map[string][]byte{"password": []byte("of somebody else"), "token": []byte("x"), "state": []byte("Valid")},
			}
			forge(secret, object)
			w.create(secret)
			before[name] = w.secret(name)
		}
	}
	w.grant()
	w.restart()
	stalled := func(kind string) bool {
		object := &v1alpha1.DefenderTenant{}
		w.must(w.Get(w.ctx, key(w, kind), object))
		return matches(object.Status.Conditions, situation{ready: "False SecretConflict", stalled: "True SecretConflict"}) && object.Status.ObservedGeneration == object.Generation
	}
	untouched := func(when string) {
		t.Helper()
		for name, was := range before {
			if writes := record.to(name); len(writes) > 0 {
				t.Errorf("%s: the operator wrote to %s: %v", when, name, writes)
			}
			kind, _, _ := strings.Cut(name, "-")
			now := w.secret(name)
			if now == nil && slices.Contains(collected, kind) {
				continue
			}
			if !apiequality.Semantic.DeepEqual(was, now) {
				t.Errorf("%s: Secret %s changed", when, name)
			}
		}
	}
	for kind := range kinds {
		w.eventually(kind+" stands in the way", func() bool { return stalled(kind) })
	}
	untouched("at first")

	// Another name that is taken as well; a refresh; an end; and back.
	for kind, object := range tenants {
		edit(w, object, func(o *v1alpha1.DefenderTenant) {
			o.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", API: "DefenderXDR", SecretName: kind + "-other", OnExpiry: "Delete"}}
			annotate(o, "refresh-requested", "now")
		})
		w.eventually(kind+" stands in the way again", func() bool { return stalled(kind) })
	}
	w.leap(15*time.Minute, 30*time.Second)
	untouched("after a rename, a refresh and a quarter of an hour")
	if n := w.requests(); n > 0 {
		t.Errorf("%d token requests for tokens that could not be stored", n)
	}

	// One whose own token was published, and that is then given a taken name.
	w.apply()
	w.expect(allGood)
	contoso := w.tenant()
	edit(w, contoso, func(o *v1alpha1.DefenderTenant) {
		o.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", API: "DefenderXDR", SecretName: "plain-xdr"}}
	})
	w.eventually("contoso stands before a taken name", func() bool { return stalled("contoso") })
	w.leap(15*time.Minute, 30*time.Second)
	untouched("after a token was to be moved over it, and ended")

	for _, object := range append(slices.Collect(maps.Values(tenants)), contoso) {
		w.must(w.Delete(w.ctx, object))
		w.shown(object)
	}
	w.leap(time.Minute, 15*time.Second)
	untouched("after every DefenderTenant is gone")
}

// TestInvariant4_AChangeOfTheGrantTakesEffectAtOnce.
//
// A namespace gets tokens only for the tenant IDs and APIs that a DefenderGrant names; a change
// of the grant takes effect at once and clears what is no longer allowed.
func TestInvariant4_AChangeOfTheGrantTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	w := awake(t)
	x := w.watchSecrets()
	w.settled(10*time.Hour,
		v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, OnExpiry: v1alpha1.ExpiryKeep},
		v1alpha1.TokenSpec{Name: "graph", API: v1alpha1.APIMicrosoftGraph, Optional: true, OnExpiry: v1alpha1.ExpiryDelete})
	grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	full := grant.DeepCopy()
	w.must(w.Get(w.ctx, client.ObjectKeyFromObject(grant), full))
	states := func() string {
		text := ""
		for _, name := range []string{"contoso-xdr", "contoso-graph"} {
			secret := w.secret(name)
			if secret == nil {
				return "gone"
			}
			if len(secret.Data["token"]) > 0 != (string(secret.Data["state"]) == "Valid") {
				return "unclear"
			}
			text += string(secret.Data["state"]) + " "
		}
		return strings.TrimSpace(text)
	}
	for _, row := range []struct {
		name   string
		change func(*v1alpha1.DefenderGrantSpec)
		want   string // state of xdr and graph
	}{
		{"an API is taken away", func(s *v1alpha1.DefenderGrantSpec) { s.APIs = []string{"DefenderXDR"} }, "Valid AccessRevoked"},
		{"the other API is named instead", func(s *v1alpha1.DefenderGrantSpec) { s.APIs = []string{graph} }, "AccessRevoked Valid"},
		{"the namespace is taken away", func(s *v1alpha1.DefenderGrantSpec) { s.Namespaces = []string{"elsewhere"} }, "AccessRevoked AccessRevoked"},
		{"the tenant is taken away", func(s *v1alpha1.DefenderGrantSpec) { s.TenantIDs = []string{stranger} }, "AccessRevoked AccessRevoked"},
		{"every tenant is named", func(s *v1alpha1.DefenderGrantSpec) { s.TenantIDs = []string{"*"} }, "Valid Valid"},
		{"a role is no longer allowed", func(s *v1alpha1.DefenderGrantSpec) { s.MaxRoles = []string{"SecurityIncident.Read.All"} }, "AccessRevoked Valid"},
		{"it is for another app", func(s *v1alpha1.DefenderGrantSpec) { s.App = "other" }, "AccessRevoked AccessRevoked"},
	} {
		edit(w, grant, func(g *v1alpha1.DefenderGrant) { g.Spec = *full.Spec.DeepCopy() })
		w.eventually("all is allowed before "+row.name, func() bool { return states() == "Valid Valid" })
		w.leap(2*time.Minute, 30*time.Second) // what was refused rests, and the budget fills
		edit(w, grant, func(g *v1alpha1.DefenderGrant) { row.change(&g.Spec) })
		w.atOnce(row.name, func() bool { return states() == row.want })
		w.shown(grant)
		if got := states(); got != row.want {
			t.Errorf("%s: the Secrets say %q, want %q", row.name, got, row.want)
		}
	}
	edit(w, grant, func(g *v1alpha1.DefenderGrant) { g.Spec = *full.Spec.DeepCopy() })
	w.eventually("all is allowed again", func() bool { return states() == "Valid Valid" })
	w.must(w.Delete(w.ctx, grant))
	w.atOnce("no grant is left", func() bool { return states() == "AccessRevoked AccessRevoked" })

	requests := w.requests()
	w.leap(12*time.Hour, 10*time.Minute)
	if n := w.requests(); n != requests {
		t.Errorf("%d requests without a grant", n-requests)
	}
	for _, r := range w.entra.Requests() {
		if r.Tenant != customer || r.Kind == emulator.Token && r.Resource != xdr && r.Resource != graph {
			t.Errorf("nobody was granted this request: %+v", r)
		}
	}
	x.published("contoso-xdr")
	x.published("contoso-graph")
}

// TestInvariant5_ARestartWithGoodTokensCostsNothing.
//
// A restart of the operator makes no token request for tokens that are still good, and no API
// write but the lease and its event.
func TestInvariant5_ARestartWithGoodTokensCostsNothing(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.settled(10*time.Hour,
		v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: []v1alpha1.Format{"JSON", "Env"}},
		v1alpha1.TokenSpec{Name: "graph", API: v1alpha1.APIMicrosoftGraph, SecretName: "elsewhere", RefreshAfterPercent: 80})
	w.settle()
	record := &recorder{}
	w.config.Wrap(record.wrap)
	total := w.entra.CountRequests(emulator.OpenIDConfiguration, "") + w.requests()
	for restart := range 3 {
		w.halt()
		w.clock.Step(time.Duration(restart) * 10 * time.Minute)
		w.restart()
		w.expect(allGood)
		w.leap(time.Hour, time.Minute)
	}
	if n := w.entra.CountRequests(emulator.OpenIDConfiguration, "") + w.requests(); n != total {
		t.Errorf("%d requests to Entra ID, want none", n-total)
	}
	writes := slices.DeleteFunc(slices.Clone(record.writes), func(line string) bool { return strings.Contains(line, "/defenderapps/") })
	if len(writes) > 0 {
		t.Errorf("writes: %v, want none", writes)
	}
}

// TestInvariant6_ARefreshCostsOneRequestAndOneWrite.
//
// One refresh costs one token request (the first per tenant, process and credential version one
// GET of its openid-configuration as well, counted by the limiter), one Secret write, at most one
// status write. A pass that keeps everything writes nothing. Status writes wake nobody.
func TestInvariant6_ARefreshCostsOneRequestAndOneWrite(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.settled(time.Hour)
	w.leap(time.Minute, time.Second)
	configurations := func() int { return w.entra.CountRequests(emulator.OpenIDConfiguration, "") }
	if n := configurations(); n != 1 {
		t.Errorf("%d GETs of the openid-configuration for the first token, want 1", n)
	}
	for refresh := range 3 {
		requests, passes := w.requests(), w.passes()
		secrets, status := w.writes.totals()
		expires := w.tenant().Status.ExpiresAt
		w.eventually("the next refresh", func() bool {
			w.leap(30*time.Second, 30*time.Second)
			return w.tenant().Status.ExpiresAt.After(expires.Time)
		})
		w.leap(10*time.Minute, 30*time.Second)
		s, st := w.writes.totals()
		if n := w.requests() - requests; n != 1 || s-secrets != 1 || st-status != 1 {
			t.Errorf("refresh %d: %d token requests, %d Secret writes, %d status writes, want one of each", refresh, n, s-secrets, st-status)
		}
		if n := w.passes() - passes; n != 1 {
			t.Errorf("refresh %d: %d passes, want 1: the operator's own writes wake it", refresh, n)
		}
	}
	if n := configurations(); n != 1 {
		t.Errorf("%d GETs of the openid-configuration, want 1", n)
	}

	// Looks that find everything in order.
	secrets, status := w.writes.totals()
	passes := w.passes()
	for i := range 5 {
		edit(w, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, func(g *v1alpha1.DefenderGrant) {
			g.Spec.APIs = []string{"DefenderXDR", "MicrosoftGraph", fmt.Sprintf("https://further-%d.example", i)}
		})
		w.shown(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})
	}
	if w.passes() == passes {
		t.Error("a change of the grant woke nobody")
	}
	if s, st := w.writes.totals(); s != secrets || st != status {
		t.Errorf("passes that keep everything made %d Secret writes and %d status writes", s-secrets, st-status)
	}

	// A new credential is a new client, which has to find the endpoints once more.
	const second = "a-second-secret-that-nobody-may-see"
	w.entra.AddSecret(clientID, second, w.clock.Now().Add(1000*time.Hour))
	edit(w, w.secret("credential"), func(s *corev1.Secret) { s.Data["client-secret"] = []byte(second) })
	w.leap(2*time.Hour, 30*time.Second)
	if n := configurations(); n != 2 {
		t.Errorf("%d GETs of the openid-configuration with the second credential, want 2", n)
	}
	if i := strings.Index(w.log.String(), second); i >= 0 {
		t.Error("the second client secret is in the log")
	}
}

// TestInvariant7_ADueTokenIsReplacedOnlyByOneThatEndsLater.
//
// A token replaced because it was due is replaced only by one that ends later; otherwise the held
// one stays and the next attempt comes after half of its remaining life. One that no longer fits,
// or whose renewal a person asked for, may be replaced by one that ends earlier.
func TestInvariant7_ADueTokenIsReplacedOnlyByOneThatEndsLater(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.settled(10 * time.Hour)
	held := w.secret("contoso-xdr")
	issued, expires := w.entry("xdr").IssuedAt.Time, w.entry("xdr").ExpiresAt.Time
	due := w.entry("xdr").RefreshAt.Time

	// From now on tokens live an hour: none of them ends later before the last hour of this one.
	w.entra.SetLifetime(customer, time.Hour)
	w.leap(expires.Add(-time.Hour).Sub(w.clock.Now()), time.Minute)
	w.unchanged(held)
	times := w.attempts(issued.Add(time.Minute))
	if len(times) < 2 || times[0].Sub(due) > time.Minute {
		t.Fatalf("attempts at %v, the first is due at %v", times, due)
	}
	for i, at := range times[1:] {
		want := times[i].Add(expires.Sub(times[i]) / 2)
		if late := at.Sub(want); late < 0 || late > time.Minute {
			t.Errorf("attempt %d at %v, want %v: after half of the life that was left", i+1, at, want)
		}
	}
	w.expect(situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "False", kstatus: "Current"})
	w.leap(50*time.Minute, time.Minute)
	if later := w.entry("xdr").ExpiresAt; !later.After(expires) {
		t.Errorf("the token ends at %v, and an hour's token would end after %v", later, expires)
	}
	w.expect(allGood)

	t.Run("a requested one may end earlier", func(t *testing.T) {
		w.entra.SetLifetime(customer, 10*time.Hour)
		w.ask("long")
		long := w.entry("xdr").ExpiresAt
		w.entra.SetLifetime(customer, time.Hour)
		w.ask("short")
		if short := w.entry("xdr").ExpiresAt; !short.Before(long) {
			t.Errorf("ends at %v, and before at %v", short, long)
		}
	})
	t.Run("one in place of a token that no longer fits may end earlier", func(t *testing.T) {
		w.entra.SetLifetime(customer, 10*time.Hour)
		w.ask("long-again")
		long := w.entry("xdr").ExpiresAt
		w.entra.SetLifetime(customer, time.Hour)
		edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Region = v1alpha1.RegionEU })
		w.eventually("the token is for the other region", func() bool {
			return string(w.secret("contoso-xdr").Data["apiURL"]) == "https://api-eu.security.microsoft.com"
		})
		w.expect(allGood)
		if short := w.entry("xdr").ExpiresAt; !short.Before(long) {
			t.Errorf("ends at %v, and before at %v", short, long)
		}
	})
}

// TestInvariant7_TwoOperatorsAtOnceNeverGoBack.
//
// With two operators alive the resourceVersion decides.
func TestInvariant7_TwoOperatorsAtOnceNeverGoBack(t *testing.T) {
	t.Parallel()
	w := awake(t)
	second := w.process(wiring{timeout: 5 * time.Second})
	x := w.watchSecrets()
	w.settled(10 * time.Minute)
	w.leap(90*time.Minute, 10*time.Second, second)

	// Both are woken at the same moment, many times.
	for range 5 {
		w.must(w.Delete(w.ctx, w.secret("contoso-xdr")))
		w.eventually("the Secret is back", func() bool { return w.secret("contoso-xdr") != nil })
		w.leap(time.Minute, 10*time.Second, second)
	}
	second.stop()
	w.expect(allGood)
	last, renewals := time.Time{}, 0
	for _, v := range x.versions("contoso-xdr") {
		if v.gone {
			last = time.Time{}
			continue
		}
		expires, err := time.Parse(time.RFC3339, string(v.secret.Data["expiresAt"]))
		if err != nil {
			t.Fatalf("a version without an end: %v", v.secret.Annotations)
		}
		if expires.Before(last) {
			t.Errorf("the end of the token went back from %v to %v", last, expires)
		}
		if expires.After(last) {
			renewals++
		}
		last = expires
	}
	if renewals < 15 {
		t.Errorf("%d renewals in an hour and a half, want 15 at least", renewals)
	}
	x.published("contoso-xdr")
	if n := w.requests(); n > 3*renewals+20 {
		t.Errorf("%d requests of two operators for %d renewals", n, renewals)
	}
}

// TestInvariant8_WhileATokenRunsOutAttemptsAreDense.
//
// From due to expiry each token has an attempt at least every 30 s; an open breaker's probe
// counts for all, Retry-After may stretch it.
func TestInvariant8_WhileATokenRunsOutAttemptsAreDense(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct{ begin, end func(w *world) }{
		"Entra ID is unavailable": {
			func(w *world) { w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0) },
			func(w *world) { w.entra.Clear(customer) },
		},
		"Entra ID hangs": {
			func(w *world) { w.entra.Inject(customer, emulator.Fault{Hang: true}, 0) },
			func(w *world) { w.entra.Clear(customer) },
		},
		"the credential is refused": {
			func(w *world) { w.entra.RemoveSecret(clientID, clientSecret) },
			func(w *world) { w.entra.AddSecret(clientID, clientSecret, w.clock.Now().Add(1000*time.Hour)) },
		},
		"consent is withdrawn": {
			func(w *world) { w.entra.Withdraw(customer, clientID) },
			func(w *world) { w.entra.Consent(customer, clientID) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := awake(t)
			w.halt()
			w.operator = w.process(wiring{timeout: 100 * time.Millisecond})
			defer func() { w.operator.stop(); w.operator = nil }()
			w.settled(10 * time.Minute)
			due, expires := w.entry("xdr").RefreshAt.Time, w.entry("xdr").ExpiresAt.Time
			trouble.begin(w)
			w.leap(due.Sub(w.clock.Now())-time.Second, 10*time.Second)
			w.leap(expires.Sub(w.clock.Now()), time.Second)
			last, n := due, 0
			for _, at := range append(w.attempts(due.Add(-time.Second)), expires) {
				if gap := at.Sub(last); gap > 34*time.Second { // the clock goes on by seconds here
					t.Errorf("no attempt for %v, from %v on", gap, last)
				}
				last = at
				n++
			}
			if n < 10 || n > 40 {
				t.Errorf("%d attempts in %v", n, expires.Sub(due))
			}
			trouble.end(w)
			w.leap(2*time.Minute, 5*time.Second)
			w.expect(allGood)
		})
	}
}

// TestInvariant8_NewConsentShowsSoon.
//
// New consent shows within 2 minutes of a refresh request, within the poll interval otherwise.
func TestInvariant8_NewConsentShowsSoon(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		waited, within time.Duration
		asked          bool
	}{
		"in the first quarter of an hour within two minutes": {10 * time.Minute, 2 * time.Minute, false},
		"in the first hour within five minutes":              {40 * time.Minute, 5 * time.Minute, false},
		"in the first six hours within a quarter":            {4 * time.Hour, 15 * time.Minute, false},
		"later within the hour":                              {8 * time.Hour, time.Hour, false},
		"within two minutes of a request, however late":      {8 * time.Hour, 2 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := awake(t)
			w.grant()
			w.apply()
			w.expect(situation{ready: "False ConsentRequired", consent: "False ConsentRequired", degraded: "False", stalled: "False", kstatus: "InProgress"})
			w.leap(row.waited, min(row.within, 2*time.Minute))
			if row.asked {
				w.ask("now") // Entra ID does not know of the consent yet: that takes it up to minutes
			}
			at := w.clock.Now()
			if row.asked {
				w.leap(30*time.Second, time.Second)
			}
			w.entra.Consent(customer, clientID)
			for w.token("contoso-xdr") == "" && w.clock.Since(at) < 2*time.Hour {
				w.leap(5*time.Second, 5*time.Second)
			}
			if took := w.clock.Since(at); took > row.within+5*time.Second {
				t.Errorf("it took %v, want %v at most", took, row.within)
			}
		})
	}
}

// TestInvariant9_NothingDeadStaysInASecret.
//
// After expiry or a revoked grant nothing dead stays in the Secret but by Keep.
func TestInvariant9_NothingDeadStaysInASecret(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.settled(10*time.Minute,
		v1alpha1.TokenSpec{Name: "clear", API: v1alpha1.APIDefenderXDR, Formats: []v1alpha1.Format{"JSON", "Env"}},
		v1alpha1.TokenSpec{Name: "keep", API: v1alpha1.APIDefenderXDR, OnExpiry: v1alpha1.ExpiryKeep, RefreshAfterPercent: 80},
		v1alpha1.TokenSpec{Name: "delete", API: v1alpha1.APIDefenderXDR, OnExpiry: v1alpha1.ExpiryDelete, RefreshAfterPercent: 35},
		v1alpha1.TokenSpec{Name: "edited", API: v1alpha1.APIDefenderXDR})
	looks, deadKept := 0, 0
	granted := true
	// dead lists what must not be there. Only the operator moves meanwhile, not the clock.
	dead := func() (found []string) {
		t.Helper()
		var list corev1.SecretList
		w.must(w.List(w.ctx, &list, client.InNamespace(w.namespace)))
		for _, secret := range list.Items {
			raw := string(secret.Data["token"])
			if secret.Type != v1alpha1.SecretType || raw == "" {
				continue
			}
			looks++
			issued, _ := w.issued(raw)
			ended := !w.clock.Now().Before(issued.Expires)
			switch {
			case !granted:
				found = append(found, secret.Name+" holds a token that no grant allows")
			case ended && secret.Name == "contoso-keep" && string(secret.Data["state"]) != "Valid":
				deadKept++
			case ended:
				found = append(found, fmt.Sprintf("%s holds a token that ended at %v, and says %s", secret.Name, issued.Expires, secret.Data["state"]))
			}
		}
		return found
	}
	probe := func() {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		found := dead()
		for tries := 0; len(found) > 0 && tries < 2000; tries++ { // its timer has fired, its worker may need a moment
			<-tick.C
			found = dead()
		}
		if len(found) > 0 {
			t.Errorf("at %v: %v", w.clock.Now(), found)
		}
	}
	probed := func(d time.Duration) {
		t.Helper()
		const stride = 10 * time.Second // a third of the margin before an end
		for ; d > 0; d -= stride {
			w.leap(stride, stride)
			probe()
		}
	}
	grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	full := grant.DeepCopy()
	w.must(w.Get(w.ctx, client.ObjectKeyFromObject(grant), full))

	probed(11 * time.Minute)
	// An outage, and somebody writes into a Secret meanwhile.
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	edit(w, w.secret("contoso-edited"), func(s *corev1.Secret) { s.Data["note"] = []byte("mine") })
	probed(12 * time.Minute)
	w.entra.Clear(customer)
	w.leap(2*time.Minute, 10*time.Second)
	w.expect(allGood)
	// Consent is withdrawn.
	w.entra.Withdraw(customer, clientID)
	probed(12 * time.Minute)
	w.entra.Consent(customer, clientID)
	w.leap(15*time.Minute, 10*time.Second)
	w.expect(allGood)
	// Suspended.
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = true })
	w.shown(w.tenant())
	probed(12 * time.Minute)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = false })
	w.expect(allGood)
	// The operator is away while tokens end, and cleans up when it is back.
	w.halt()
	w.clock.Step(time.Hour)
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.restart()
	w.eventually("a status is written after the absence", func() bool { return !w.entry("clear").Ready && !w.entry("keep").Ready })
	probed(time.Minute)
	w.entra.Clear(customer)
	w.leap(2*time.Minute, 10*time.Second)
	w.expect(allGood)
	// The grant goes, whatever onExpiry says.
	w.must(w.Delete(w.ctx, grant))
	w.shown(grant)
	granted = false
	probed(2 * time.Minute)
	if looks < 300 || deadKept == 0 {
		t.Errorf("the prober saw %d tokens, of them %d that are kept beyond their end", looks, deadKept)
	}
}

// mishap is one way for a token not to come, and how it ends.
type mishap struct {
	begin, end func(w *world)
	reason     string // of the token's failure
	tokens     []v1alpha1.TokenSpec
}

// injected is a mishap that the emulator plays.
func injected(f emulator.Fault, reason string) mishap {
	return mishap{begin: func(w *world) { w.entra.Inject(customer, f, 0) }, end: func(w *world) { w.entra.Clear(customer) }, reason: reason}
}

// edited is a mishap in the spec of the DefenderTenant.
func edited(tokens []v1alpha1.TokenSpec, reason string) mishap {
	return mishap{begin: func(*world) {}, reason: reason, tokens: tokens, end: func(w *world) {
		edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) {
			o.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", API: "DefenderXDR"}}
		})
	}}
}

// onApp is a mishap in the DefenderApp.
func onApp(begin, end func(*v1alpha1.DefenderAppSpec), reason string) mishap {
	with := func(change func(*v1alpha1.DefenderAppSpec)) func(*world) {
		return func(w *world) {
			edit(w, w.newApp(), func(a *v1alpha1.DefenderApp) { change(&a.Spec) })
			w.shown(w.newApp())
		}
	}
	return mishap{begin: with(begin), end: with(end), reason: reason}
}

func theGrant(w *world) *v1alpha1.DefenderGrant {
	return &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
}

func setSecret(value string) func(w *world) {
	return func(w *world) {
		edit(w, w.secret("credential"), func(s *corev1.Secret) { s.Data = map[string][]byte{"client-secret": []byte(value)} })
	}
}

// mishaps are all classes of failure, by who acts.
func mishaps() map[string]map[string]mishap {
	foreign := func(w *world) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"}}
	}
	readd := func(w *world) { w.entra.AddSecret(clientID, clientSecret, w.clock.Now().Add(1000*time.Hour)) }
	cut := func(w *world) { w.entra.RemoveSecret(clientID, clientSecret) }
	// A credential of another name has no former version that would stay in use.
	rename := func(w *world) {
		edit(w, w.newApp(), func(a *v1alpha1.DefenderApp) { a.Spec.Credentials[0].Name += "x" })
		w.shown(w.newApp())
	}
	consent := func(w *world) { w.entra.Consent(customer, clientID) }
	suspend := func(on bool) func(*v1alpha1.DefenderAppSpec) {
		return func(s *v1alpha1.DefenderAppSpec) { s.Suspend = on }
	}
	return map[string]map[string]mishap{
		"a customer's administrator mends": {
			"no consent":            {begin: func(w *world) { w.entra.Withdraw(customer, clientID) }, end: consent, reason: "ConsentRequired"},
			"no roles":              {begin: func(w *world) { w.entra.Grant(customer, clientID, xdr) }, end: consent, reason: "RolesMissing"},
			"no such API":           {begin: func(w *world) { w.entra.Unprovision(customer, xdr) }, end: func(w *world) { w.entra.Provision(customer, xdr) }, reason: "ResourceNotProvisioned"},
			"a disabled principal":  {begin: func(w *world) { w.entra.DisablePrincipal(customer, clientID, true) }, end: func(w *world) { w.entra.DisablePrincipal(customer, clientID, false) }, reason: "DisabledByTenant"},
			"a policy":              injected(emulator.Fault{Code: 53003}, "BlockedByPolicy"),
			"an unknown tenant":     {begin: func(w *world) { w.entra.RemoveTenant(customer) }, end: consent, reason: "TenantNotFound"},
			"a tenant of elsewhere": injected(emulator.Fault{Code: 90038}, "WrongCloud"),
		},
		"nobody mends": {
			"unavailable":         injected(emulator.Fault{Status: 503, Body: "{}"}, "EntraUnavailable"),
			"connections reset":   injected(emulator.Fault{Reset: true}, "EntraUnavailable"),
			"out of reach":        {begin: func(w *world) { w.entra.Down(true) }, end: func(w *world) { w.entra.Down(false) }, reason: "EntraUnavailable"},
			"throttled":           injected(emulator.Fault{Status: 429, Body: "{}", RetryAfter: "60"}, "Throttled"),
			"a loop":              injected(emulator.Fault{Code: 50196}, "Throttled"),
			"a page":              injected(emulator.Fault{Body: "<html></html>"}, "AnswerInvalid"),
			"another's token":     injected(emulator.Fault{Claims: map[string]any{"tid": stranger}}, "TokenRejected"),
			"a short life":        {begin: func(w *world) { w.entra.SetLifetime(customer, 2*time.Minute) }, end: func(w *world) { w.entra.SetLifetime(customer, 10*time.Hour) }, reason: "TokenRejected"},
			"an opaque token":     injected(emulator.Fault{Opaque: true}, "TokenOpaque"),
			"a code nobody knows": injected(emulator.Fault{Code: 99999999}, ""),
		},
		"the platform team mends": {
			"a refused secret": {begin: cut, end: readd, reason: "CredentialRefused"},
			"a wrong secret": {
				begin: func(w *world) { rename(w); setSecret("another-secret-that-nobody-may-see")(w) },
				end:   setSecret(clientSecret), reason: "CredentialRefused",
			},
			"an empty secret": {begin: func(w *world) { rename(w); setSecret("")(w) }, end: setSecret(clientSecret), reason: "CredentialUnusable"},
			"a missing secret": {begin: func(w *world) { w.must(w.Delete(w.ctx, w.secret("credential"))) }, end: func(w *world) {
				w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "credential"}, Data: map[string][]byte{"client-secret": []byte(clientSecret)}})
			}, reason: "CredentialUnusable"},
			"a wrong registration": injected(emulator.Fault{Code: 650057}, "AppMisconfigured"),
			"a disabled app":       {begin: func(w *world) { w.entra.DisableApp(clientID, true) }, end: func(w *world) { w.entra.DisableApp(clientID, false) }, reason: "DisabledByTenant"},
			"a suspended app":      onApp(suspend(true), suspend(false), "Suspended"),
			"a wrong client ID": onApp(func(s *v1alpha1.DefenderAppSpec) { s.ClientID = "00000000-0000-0000-0000-00000000000f" },
				func(s *v1alpha1.DefenderAppSpec) { s.ClientID = clientID }, "ConsentRequired"),
			"no app":   {begin: func(w *world) { w.must(w.Delete(w.ctx, w.newApp())); w.shown(w.newApp()) }, end: func(w *world) { w.create(w.newApp()) }, reason: "AppNotFound"},
			"no grant": {begin: func(w *world) { w.must(w.Delete(w.ctx, theGrant(w))); w.shown(theGrant(w)) }, end: func(w *world) { w.grant() }, reason: "AccessDenied"},
			"a grant of too few roles": {begin: func(w *world) {
				edit(w, theGrant(w), func(g *v1alpha1.DefenderGrant) { g.Spec.MaxRoles = []string{"Alert.Read.All"} })
				w.shown(theGrant(w))
			}, end: func(w *world) { edit(w, theGrant(w), func(g *v1alpha1.DefenderGrant) { g.Spec.MaxRoles = nil }) }, reason: "RolesExceeded"},
		},
		"the author mends": {
			"a foreign Secret":      {begin: func(w *world) { w.create(foreign(w)) }, end: func(w *world) { w.must(w.Delete(w.ctx, foreign(w))) }, reason: "SecretConflict"},
			"a misspelled role":     edited([]v1alpha1.TokenSpec{{Name: "xdr", API: "DefenderXDR", RequiredRoles: []string{"Incidents.Read.All"}}}, "RoleMisspelled"),
			"a role nobody has":     edited([]v1alpha1.TokenSpec{{Name: "xdr", API: "DefenderXDR", RequiredRoles: []string{"Machine.Isolate"}}}, "RolesMissing"),
			"no resource":           edited([]v1alpha1.TokenSpec{{Name: "xdr", Resource: "https://api.security.microsoft.com/.default"}}, "ResourceInvalid"),
			"an API not granted":    edited([]v1alpha1.TokenSpec{{Name: "xdr", API: "DefenderForEndpoint"}}, "AccessDenied"),
			"a region of elsewhere": {begin: func(*world) {}, reason: "RegionNotSupported", end: func(w *world) { edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Region = "" }) }},
			"a suspension":          {begin: func(*world) {}, reason: "Suspended", end: func(w *world) { edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = false }) }},
		},
	}
}

// TestInvariant10_NoStateIsTerminal.
//
// No state is terminal but a spec that only an edit can mend.
func TestInvariant10_NoStateIsTerminal(t *testing.T) {
	t.Parallel()
	for who, list := range mishaps() {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			w := awake(t)
			w.grant()
			w.entra.SetLifetime(customer, 10*time.Hour)
			w.entra.Consent(customer, clientID)
			for name, trouble := range list {
				trouble.begin(w)
				object := &v1alpha1.DefenderTenant{
					ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso"},
					Spec:       v1alpha1.DefenderTenantSpec{TenantID: customer, App: w.app, Tokens: trouble.tokens, Suspend: trouble.reason == "Suspended" && who == "the author mends"},
				}
				if trouble.reason == "RegionNotSupported" {
					object.Spec.Region = v1alpha1.RegionGCCHigh
				}
				w.create(object)
				w.eventually(name+" is reported", func() bool {
					status := w.tenant().Status
					return status.ObservedGeneration == 1 && len(status.Tokens) == 1 && status.Tokens[0].Failure != nil &&
						(trouble.reason == "" || status.Tokens[0].Failure.Reason == trouble.reason)
				})
				w.leap(40*time.Minute, time.Minute)
				if w.token("contoso-xdr") != "" {
					t.Errorf("%s: a token came all the same", name)
				}
				trouble.end(w)
				ready := func() bool {
					return matches(w.tenant().Status.Conditions, allGood) && w.token("contoso-xdr") != ""
				}
				waited := time.Duration(0)
				for ; !ready() && waited < time.Hour; waited += 15 * time.Second {
					w.leap(15*time.Second, 15*time.Second)
				}
				if !ready() {
					t.Errorf("%s: an hour after it was mended there is no token: %v", name, w.describe())
				} else if waited > 6*time.Minute {
					t.Errorf("%s: %v passed before it was found mended", name, waited)
				}
				w.must(w.Delete(w.ctx, w.tenant()))
				w.shown(object)
				w.must(client.IgnoreNotFound(w.Delete(w.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"}})))
				w.shown(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"}})
			}
		})
	}
}

// lossy is a queue whose timers are lost, as on a machine that was suspended.
type lossy struct{ queue }

// AddAfter forgets all but the shortest waits.
func (q lossy) AddAfter(item reconcile.Request, after time.Duration) {
	if after < time.Second {
		q.queue.AddAfter(item, after)
	}
}

// TestTheSweepFindsWhatTheTimersLost: no timer ever wakes the controller, and yet tokens
// are renewed and emptied in time, and a number tells of it.
func TestTheSweepFindsWhatTheTimersLost(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.halt()
	registry := prometheus.NewRegistry()
	w.operator = w.process(wiring{timeout: 5 * time.Second, metrics: registry, queue: func(q queue) queue { return lossy{q} }})
	defer func() { w.operator.stop(); w.operator = nil }()
	w.settled(10 * time.Minute)
	gauge := func(name string) float64 {
		families, err := registry.Gather()
		w.must(err)
		for _, family := range families {
			if family.GetName() == name {
				return family.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatalf("there is no metric %s", name)
		return 0
	}
	for renewal := range 3 {
		due, before := w.entry("xdr").RefreshAt.Time, w.token("contoso-xdr")
		overdue := 0.0
		for w.token("contoso-xdr") == before && w.clock.Now().Before(due.Add(2*time.Minute)) {
			w.leap(5*time.Second, 5*time.Second)
			overdue = max(overdue, gauge("defender_tenant_overdue_tokens"))
		}
		if late := w.clock.Now().Sub(due); late < 30*time.Second || late > 65*time.Second {
			t.Errorf("renewal %d is late by %v, want the half minute of grace and a round of the sweep", renewal, late)
		}
		w.leap(30*time.Second, 5*time.Second)
		if overdue != 1 || gauge("defender_tenant_overdue_tokens") != 0 {
			t.Errorf("renewal %d: overdue was %v, and is %v now", renewal, overdue, gauge("defender_tenant_overdue_tokens"))
		}
		if left := gauge("defender_tenant_token_min_remaining_seconds"); left < 540 || left > 600 {
			t.Errorf("renewal %d: %v seconds remain", renewal, left)
		}
	}
	// The end, too, comes without a timer.
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	expires := w.entry("xdr").ExpiresAt.Time
	w.leap(expires.Sub(w.clock.Now())+time.Minute, 5*time.Second)
	if w.token("contoso-xdr") != "" {
		t.Error("a dead token stays")
	}
}
