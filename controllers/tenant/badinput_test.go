package tenant_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// Here is what people, other controllers and Entra ID get wrong: each has its reason, no
// token is lost over it, and it ends when its cause does.

// encoded is a private key as PKCS 8.
func encoded(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// certify makes a certificate for a key.
func certify(t *testing.T, key crypto.Signer) (*x509.Certificate, []byte) {
	t.Helper()
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "partner"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(100 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newRSAKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// appCondition is a condition of the world's application.
func (w *world) appCondition(kind string) string {
	w.t.Helper()
	for _, c := range w.defenderApp().Status.Conditions {
		if c.Type == kind {
			return string(c.Status) + " " + c.Reason
		}
	}
	return ""
}

func (w *world) defenderApp() *v1alpha1.DefenderApp {
	w.t.Helper()
	app := &v1alpha1.DefenderApp{}
	w.must(w.Get(w.ctx, types.NamespacedName{Name: w.app}, app))
	return app
}

// Not parallel: it looks at the application's status, which the operators of other
// worlds write too.
func TestACredentialThatCannotBeUsedSaysWhyAndLeadsToNoRequest(t *testing.T) {
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.must(w.Delete(w.ctx, w.secret("credential")))
	w.apply()
	store := func(data map[string][]byte) func() {
		return func() {
			w.discard(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "credential"}})
			w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "credential"}, Data: data})
		}
	}
	use := func(c v1alpha1.Credential) func() {
		return func() {
			c.Name = "one"
			edit(w, w.defenderApp(), func(o *v1alpha1.DefenderApp) { o.Spec.Credentials = []v1alpha1.Credential{c} })
		}
	}
	_, certificate := certify(t, newRSAKey(t))
	tls := func(cert, key []byte) func() {
		return store(map[string][]byte{"tls.crt": cert, "tls.key": key})
	}
	for _, c := range []struct {
		name, reason, says string
		arrange            func()
	}{
		{"no Secret", "CredentialUnusable", "Secret " + w.namespace + "/credential does not exist", func() {}},
		{"no such key", "CredentialUnusable", "has no key client-secret", store(map[string][]byte{"secret": []byte(clientSecret)})},
		{"nothing", "CredentialUnusable", "is empty", store(map[string][]byte{"client-secret": nil})},
		{"white space", "CredentialUnusable", "is empty", store(map[string][]byte{"client-secret": []byte(" \n")})},
		{"the secret's ID", "CredentialUnusable", "a GUID is stored", store(map[string][]byte{"client-secret": []byte("6a0b8f1e-55aa-4b53-9f7e-0d6f3a4f1c2d\n")})},
		{"a certificate without a Secret for one", "CredentialUnusable", "tls.key is empty", use(v1alpha1.Credential{
			Certificate: &v1alpha1.CertificateCredential{SecretRef: v1alpha1.SecretReference{Name: "credential"}},
		})},
		{"no PEM", "CredentialUnusable", "no PEM with a private key", tls([]byte("MIIC"), []byte("MIIE"))},
		{"an EC key", "CredentialUnusable", "RSA keys only", tls(certificate, encoded(t, newECKey(t)))},
		{"somebody else's key", "CredentialUnusable", "belongs to no certificate", tls(certificate, encoded(t, newRSAKey(t)))},
		{"workload identity", "CredentialUnusable", "does not exist: mount a projected service-account token", use(v1alpha1.Credential{WorkloadIdentity: &v1alpha1.WorkloadIdentityCredential{}})},
		{"key vault", "CredentialUnusable", "there is nothing to open vault contoso with", use(v1alpha1.Credential{KeyVault: &v1alpha1.KeyVaultCredential{VaultName: "contoso", CertificateName: "partner"}})},
	} {
		c.arrange()
		w.atOnce(c.name+": a message that says "+c.says, func() bool {
			object := w.tenant()
			return len(object.Status.Conditions) > 0 && strings.Contains(condition(w, "Ready").Message, c.says)
		})
		w.promptly(situation{ready: "False " + c.reason, consent: "Unknown " + c.reason, degraded: "False", stalled: "True " + c.reason, kstatus: "Failed"})
		w.atOnce(c.name+": the application says it too", func() bool {
			return w.appCondition("Ready") == "False "+c.reason && w.appCondition("Stalled") == "True "+c.reason
		})
	}
	if n := w.requests(); n > 0 {
		t.Errorf("%d requests without a credential", n)
	}
	use(w.newApp().Spec.Credentials[0])()
	store(map[string][]byte{"client-secret": []byte(clientSecret + "\n")})()
	w.promptly(allGood)
	w.atOnce("the application is ready", func() bool {
		return w.appCondition("Ready") == "True CredentialReady" && w.appCondition("CredentialAccepted") == "True CredentialAccepted"
	})
}

func TestASpecThatOnlyAnEditCanMendIsStalledAndLeadsToNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	object := w.apply()
	w.promptly(allGood)
	before, requests := w.secret("contoso-xdr"), w.requests()
	resource := func(uri string) func(*v1alpha1.DefenderTenantSpec) {
		return func(s *v1alpha1.DefenderTenantSpec) {
			s.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", Resource: uri}}
		}
	}
	for _, c := range []struct {
		name, reason, says string
		spoil              func(*v1alpha1.DefenderTenantSpec)
	}{
		{"plain http", "ResourceInvalid", "no https URI", resource("http://api.security.microsoft.com")},
		{"an application ID URI", "ResourceInvalid", "no https URI", resource("api://8ee8fdad-f234-4243-8f3b-15c294843740")},
		{"a scope", "ResourceInvalid", "without /.default", resource("https://api.security.microsoft.com/.default")},
		{"a name", "ResourceInvalid", "no https URI", resource("api.security.microsoft.com")},
		{"a resource that nobody granted", "AccessDenied", "https://api.example.com", resource("https://api.example.com")},
		{"a misspelled role", "RoleMisspelled", "it is called Incident.Read.All", func(s *v1alpha1.DefenderTenantSpec) {
			s.Tokens = []v1alpha1.TokenSpec{xdrToken("Incidents.Read.All")}
		}},
		{"a role in lower case", "RoleMisspelled", "it is called Incident.Read.All", func(s *v1alpha1.DefenderTenantSpec) {
			s.Tokens = []v1alpha1.TokenSpec{xdrToken("incident.read.all")}
		}},
	} {
		edit(w, object, func(o *v1alpha1.DefenderTenant) {
			o.Spec = v1alpha1.DefenderTenantSpec{TenantID: customer, App: w.app}
			c.spoil(&o.Spec)
		})
		w.promptly(situation{ready: "False " + c.reason, consent: "", degraded: "False", stalled: "True " + c.reason, kstatus: "Failed"})
		if message := condition(w, "Stalled").Message; !strings.Contains(message, c.says) {
			t.Errorf("%s: message %q does not say %q", c.name, message, c.says)
		}
		w.unchanged(before)
	}
	// A region without a host spoils the address alone: the token still works.
	edit(w, object, func(o *v1alpha1.DefenderTenant) {
		o.Spec = v1alpha1.DefenderTenantSpec{TenantID: customer, App: w.app, Region: v1alpha1.RegionGCCHigh}
	})
	w.promptly(situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "True RegionNotSupported", kstatus: "Failed"})
	w.unchanged(before)
	edit(w, object, func(o *v1alpha1.DefenderTenant) { o.Spec.Region = "" })
	w.promptly(allGood)
	w.unchanged(before)
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests for what no request can mend", n)
	}
}

// foreign are Secrets of somebody else that come ever closer to ours.
func foreign(w *world, stale types.UID) map[string]*corev1.Secret {
	secret := func(change func(*corev1.Secret)) *corev1.Secret {
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"},
			Data:       map[string][]byte{"theirs": []byte("yes")},
		}
		change(s)
		return s
	}
	ours := func(s *corev1.Secret) {
		s.Type = "defender.tenant-operator.dev/access-token"
		s.Labels = map[string]string{"app.kubernetes.io/managed-by": "defender-tenant-operator"}
		s.Data = map[string][]byte{}
		for _, key := range []string{"token", "authorization", "expiresAt", "tenantID", "clientID", "resource", "apiURL", "state"} {
			s.Data[key] = []byte("theirs")
		}
	}
	owner := func(s *corev1.Secret, group string, uid types.UID) {
		controller := true
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: group + "/v1alpha1", Kind: "DefenderTenant", Name: "contoso", UID: uid, Controller: &controller}}
	}
	immutable := true
	return map[string]*corev1.Secret{
		"another type":               secret(func(*corev1.Secret) {}),
		"our keys in another type":   secret(func(s *corev1.Secret) { ours(s); s.Type = corev1.SecretTypeOpaque }),
		"our type without an owner":  secret(ours),
		"our type and immutable":     secret(func(s *corev1.Secret) { ours(s); s.Immutable = &immutable }),
		"the owner but another type": secret(func(s *corev1.Secret) { owner(s, "defender.tenant-operator.dev", w.tenant().UID) }),
		// The owner of another group, because the garbage collector would delete what
		// belongs to an object that it knows to be gone.
		"an owner that is gone": secret(func(s *corev1.Secret) { ours(s); owner(s, "example.com", stale) }),
		"the owner without control": secret(func(s *corev1.Secret) {
			ours(s)
			owner(s, "defender.tenant-operator.dev", w.tenant().UID)
			s.OwnerReferences[0].Controller = nil
		}),
	}
}

func TestASecretThatIsNotOursIsLeftAsItIsWhateverItLooksLike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	// From now on the name is free, and nobody asks for it.
	w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	w.expectSecret("contoso-xdr", "AccessRevoked")
	for name, theirs := range foreign(w, "0e7f3c86-0000-4000-8000-000000000000") {
		w.discard(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"}})
		w.atOnce("the name is free", func() bool { return w.secret("contoso-xdr") == nil })
		w.promptly(denied)
		w.create(theirs)
		requests := w.requests()
		w.grant()
		w.promptly(situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"})
		w.pass(3 * time.Minute) // and it looks again
		edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", "for "+name) })
		w.shown(w.tenant())
		w.promptly(situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"})
		w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
		w.promptly(denied)
		now, want := asJSON(t, w.secret("contoso-xdr")), asJSON(t, theirs)
		if now != want {
			t.Errorf("%s: the Secret was\n%s\nand is\n%s", name, want, now)
		}
		if w.requests() != requests {
			t.Errorf("%s: Entra ID was asked although the token could not be stored", name)
		}
	}
	w.discard(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"}})
	w.grant()
	w.pass(time.Minute)
	w.promptly(allGood)
}

func asJSON(t *testing.T, object any) string {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// answers are what Entra ID, or something in its place, may send, with the reason that
// follows.
func answers() map[string]struct {
	fault  emulator.Fault
	reason string
} {
	type row = struct {
		fault  emulator.Fault
		reason string
	}
	claim := func(name string, value any) emulator.Fault {
		return emulator.Fault{Claims: map[string]any{name: value}}
	}
	return map[string]row{
		"a page":                    {emulator.Fault{Body: "<html>Sign in</html>"}, "ProxyRefused"},
		"JSON of something else":    {emulator.Fault{Body: `{"access_token":5}`}, "AnswerInvalid"},
		"nothing":                   {emulator.Fault{Status: 200}, "AnswerInvalid"},
		"a page of a proxy":         {emulator.Fault{Status: 403, Body: "<html>Blocked</html>"}, "ProxyRefused"},
		"an error without a code":   {emulator.Fault{Status: 500, Body: "oops"}, "EntraUnavailable"},
		"an unknown code":           {emulator.Fault{Code: 123456, Error: "something_new"}, "EntraUnavailable"},
		"throttling":                {emulator.Fault{Status: 429, Body: "{}"}, "Throttled"},
		"a megabyte":                {emulator.Fault{Pad: 1 << 20}, "AnswerInvalid"},
		"a bomb":                    {emulator.Fault{GzipBomb: 1 << 20}, "AnswerInvalid"},
		"a redirect":                {emulator.Fault{Location: "https://login.example.com/"}, "AnswerInvalid"},
		"half an answer":            {emulator.Fault{Truncate: 40}, "EntraUnavailable"},
		"headers alone":             {emulator.Fault{Truncate: -1}, "EntraUnavailable"},
		"a reset connection":        {emulator.Fault{Reset: true}, "EntraUnavailable"},
		"a life of no length":       {emulator.Fault{ExpiresIn: "0"}, "AnswerInvalid"},
		"no lifetime":               {emulator.Fault{ExpiresIn: emulator.OmitExpiresIn}, "AnswerInvalid"},
		"another lifetime":          {emulator.Fault{ExpiresIn: "80000"}, "TokenRejected"},
		"a token that is no JWT":    {emulator.Fault{Opaque: true}, "TokenOpaque"},
		"another tenant":            {claim("tid", stranger), "TokenRejected"},
		"no tenant":                 {claim("tid", nil), "TokenRejected"},
		"another audience":          {claim("aud", "https://graph.microsoft.com"), "TokenRejected"},
		"another application":       {claim("appid", "00000000-0000-0000-0000-00000000000b"), "TokenRejected"},
		"a user's token":            {claim("scp", "Incident.Read"), "TokenRejected"},
		"claims of the wrong type":  {claim("roles", 5), "TokenRejected"},
		"a token that never ends":   {claim("exp", nil), "TokenRejected"},
		"a token that is over":      {claim("exp", 1000), "TokenRejected"},
		"a token without any role":  {claim("roles", nil), "RolesMissing"},
		"a token with other roles":  {claim("roles", []string{"Alert.Read.All"}), "RolesMissing"},
		"the wrong secret":          {emulator.Fault{Code: 7000215}, "CredentialRefused"},
		"the wrong tenant":          {emulator.Fault{Code: 90002}, "TenantNotFound"},
		"a policy of the customer":  {emulator.Fault{Code: 53003}, "BlockedByPolicy"},
		"an app that was disabled":  {emulator.Fault{Code: 7000112}, "DisabledByTenant"},
		"the host of another cloud": {emulator.Fault{Code: 900439}, "WrongCloud"},
	}
}

// customers are one DefenderTenant, with a tenant of its own, for each bad answer.
func customers(w *world) []*v1alpha1.DefenderTenant {
	w.t.Helper()
	grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}, Spec: v1alpha1.DefenderGrantSpec{
		App: w.app, Namespaces: []string{w.namespace}, APIs: []string{"DefenderXDR"}, TenantIDs: []string{"*"},
	}}
	w.create(grant)
	var all []*v1alpha1.DefenderTenant
	for name := range answers() {
		object := &v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: strings.ToLower(strings.NewReplacer(" ", "-", "'", "").Replace(name))},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: emulator.TenantID("c", len(all)), App: w.app, Tokens: []v1alpha1.TokenSpec{xdrToken("Incident.Read.All")}},
		}
		object.Annotations = map[string]string{"answer": name}
		w.entra.Consent(object.Spec.TenantID, clientID)
		all = append(all, object)
	}
	return all
}

// each waits until every one of them is as it should be, without time passing.
func (w *world) each(what string, all []*v1alpha1.DefenderTenant, holds func(*v1alpha1.DefenderTenant) bool) {
	w.t.Helper()
	for _, object := range all {
		w.atOnce(object.Name+" "+what, func() bool {
			w.must(w.Get(w.ctx, client.ObjectKeyFromObject(object), object))
			return holds(object)
		})
	}
	w.settle()
}

func TestABadAnswerNeitherBecomesATokenNorReplacesOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := customers(w)
	spoil := func() {
		for _, object := range all {
			w.entra.Inject(object.Spec.TenantID, answers()[object.Annotations["answer"]].fault, 0)
		}
	}
	mend := func() {
		for _, object := range all {
			w.entra.Clear(object.Spec.TenantID)
		}
	}
	refresh := func(value string) {
		edit(w, w.defenderApp(), func(o *v1alpha1.DefenderApp) { annotate(o, "refresh-requested", value) })
		w.each("acknowledges "+value, all, func(o *v1alpha1.DefenderTenant) bool { return o.Status.LastHandledAppRefresh == value })
	}
	good := func(o *v1alpha1.DefenderTenant) bool {
		return matches(o.Status.Conditions, allGood) && o.Status.Tokens[0].Failure == nil
	}

	spoil()
	for _, object := range all {
		w.create(object)
	}
	w.each("says what is wrong", all, func(o *v1alpha1.DefenderTenant) bool {
		reason := answers()[o.Annotations["answer"]].reason
		return matches(o.Status.Conditions, situation{ready: "False " + reason, degraded: "False"}) && o.Status.Tokens[0].Failure.Reason == reason
	})
	if found := w.secretNames(); len(found) > 0 {
		t.Errorf("published: %v", found)
	}
	mend()
	refresh("the first time")
	w.each("is good", all, good)

	before := map[string]*corev1.Secret{}
	for _, object := range all {
		w.expectSecret(object.Name+"-xdr", "Valid")
		before[object.Name] = w.secret(object.Name + "-xdr")
	}
	spoil()
	refresh("in spite of it")
	w.each("keeps its token and says what is wrong", all, func(o *v1alpha1.DefenderTenant) bool {
		reason := answers()[o.Annotations["answer"]].reason
		return matches(o.Status.Conditions, situation{ready: "True TokensReady", degraded: "True RefreshFailing"}) && o.Status.Tokens[0].Failure.Reason == reason
	})
	for _, object := range all {
		w.unchanged(before[object.Name])
	}
	mend()
	refresh("afterwards")
	w.each("is good again", all, good)
	for _, object := range all {
		if w.token(object.Name+"-xdr") == string(before[object.Name].Data["token"]) {
			t.Errorf("%s: no new token afterwards", object.Name)
		}
	}
}

func TestAnAnswerThatNeverComesCostsNoMoreThanItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")
	w.entra.Inject(customer, emulator.Fault{Hang: true}, 1)
	w.ask("for nothing") // five seconds of real time
	w.promptly(running)
	if got := w.reason("xdr"); got != "EntraUnavailable" {
		t.Errorf("reason %q", got)
	}
	w.unchanged(before)
	w.pass(30 * time.Second)
	w.promptly(allGood)
}

// Not parallel: it looks at the application's status. Nor does the clock move by much,
// because the library signs by the real one.
func TestACertificateProvesTheApplication(t *testing.T) {
	w := newWorld(t)
	key := newRSAKey(t)
	cert, certificate := certify(t, key)
	w.entra.AddCertificate(clientID, cert)
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "partner-cert"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": certificate, "tls.key": encoded(t, key)},
	})
	edit(w, w.defenderApp(), func(o *v1alpha1.DefenderApp) {
		o.Spec.Credentials = []v1alpha1.Credential{certificateCredential()}
	})
	w.grant()
	w.entra.Consent(customer, clientID)
	w.apply()
	w.promptly(allGood)
	if got := w.lastCredential(); !strings.HasPrefix(got, "certificate ") {
		t.Errorf("Entra ID accepted %q", got)
	}
	w.atOnce("the application tells of it", func() bool { return w.appCondition("CredentialAccepted") == "True CredentialAccepted" })
	status := w.defenderApp().Status.Credentials
	if len(status) != 1 || status[0].Name != "cert" || len(status[0].Fingerprint) != 64 || status[0].Accepted == nil || !*status[0].Accepted ||
		status[0].LastUsedAt == nil || status[0].ExpiresAt == nil || !status[0].ExpiresAt.Time.Equal(cert.NotAfter) {
		t.Errorf("credentials %+v", status)
	}
}

func certificateCredential() v1alpha1.Credential {
	return v1alpha1.Credential{Name: "cert", Certificate: &v1alpha1.CertificateCredential{SecretRef: v1alpha1.SecretReference{Name: "partner-cert"}}}
}

// lastCredential is what Entra ID accepted with the last token request.
func (w *world) lastCredential() string {
	w.t.Helper()
	last := ""
	for _, r := range w.entra.Requests() {
		if r.Kind == emulator.Token {
			last = r.Credential
		}
	}
	return last
}

// Not parallel: it looks at the application's status.
func TestTheNextCredentialIsUsedAtOnceWhereTheOneBeforeIsRefused(t *testing.T) {
	w := newWorld(t)
	key := newRSAKey(t)
	_, certificate := certify(t, key) // which nobody registered
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "partner-cert"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": certificate, "tls.key": encoded(t, key)},
	})
	edit(w, w.defenderApp(), func(o *v1alpha1.DefenderApp) {
		o.Spec.Credentials = append([]v1alpha1.Credential{certificateCredential()}, o.Spec.Credentials...)
	})
	w.grant()
	w.entra.Consent(customer, clientID)
	w.apply()
	w.promptly(allGood)
	// One customer is no proof that the credential is bad: the canary is, within 15 seconds.
	w.pass(15 * time.Second)
	w.atOnce("the application tells of both", func() bool {
		status := w.defenderApp().Status.Credentials
		return len(status) == 2 && status[0].Accepted != nil && status[1].Accepted != nil
	})
	var credentials []string
	for _, r := range w.entra.Requests() {
		if r.Kind == emulator.Token {
			credentials = append(credentials, r.Credential)
		}
	}
	if !slices.Equal(credentials, []string{"", "secret", ""}) {
		t.Errorf("Entra ID accepted %q, want the first refused, the next accepted, and the proof of the first refused", credentials)
	}
	refused, accepted := w.defenderApp().Status.Credentials[0], w.defenderApp().Status.Credentials[1]
	if refused.Name != "cert" || *refused.Accepted || refused.Reason != "CredentialRefused" || refused.CheckedAt == nil || refused.LastUsedAt != nil {
		t.Errorf("the refused one %+v", refused)
	}
	if accepted.Name != "secret" || !*accepted.Accepted || accepted.Reason != "" || accepted.LastUsedAt == nil || accepted.Fingerprint == "" {
		t.Errorf("the accepted one %+v", accepted)
	}
	if w.appCondition("Ready") != "True CredentialReady" || w.appCondition("CredentialAccepted") != "True CredentialAccepted" {
		t.Errorf("the application says %s, %s", w.appCondition("Ready"), w.appCondition("CredentialAccepted"))
	}
	// While the first one rests, nobody tries it.
	w.ask("again")
	w.promptly(allGood)
	if n := w.requests(); n != 4 {
		t.Errorf("%d requests, want 4: two at first, the proof, and this one", n)
	}
}

// Not parallel: it looks at the application's status.
func TestARotatedCredentialIsUsedForTheNextRequest(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.atOnce("the first is accepted", func() bool { return w.appCondition("CredentialAccepted") == "True CredentialAccepted" })
	first := w.defenderApp().Status.Credentials[0].Fingerprint
	const second = clientSecret + "-2"
	w.entra.AddSecret(clientID, second, time.Time{})
	w.entra.RemoveSecret(clientID, clientSecret)
	before := w.secret("contoso-xdr")
	edit(w, w.secret("credential"), func(s *corev1.Secret) { s.Data["client-secret"] = []byte(second) })
	w.atOnce("the application shows another fingerprint", func() bool { return w.defenderApp().Status.Credentials[0].Fingerprint != first })
	w.settle()
	w.unchanged(before) // a good token is no reason to ask

	w.ask("with the new one")
	w.promptly(allGood)
	if w.token("contoso-xdr") == string(before.Data["token"]) {
		t.Error("no new token")
	}
	w.atOnce("the second is accepted", func() bool {
		status := w.defenderApp().Status.Credentials[0]
		return status.Accepted != nil && *status.Accepted
	})

	// Refused, with nothing to fall back on, and mended while the operator backs off.
	w.entra.RemoveSecret(clientID, second)
	w.ask("with one that was withdrawn")
	w.promptly(running)
	if got := w.reason("xdr"); got != "CredentialRefused" {
		t.Errorf("reason %q", got)
	}
	w.pass(time.Minute + 15*time.Second) // a version is proved once a minute at most, and it was when it was stored
	w.atOnce("the application says so", func() bool {
		return w.appCondition("CredentialAccepted") == "False CredentialRefused" && w.appCondition("Ready") == "False CredentialRefused"
	})
	const third = clientSecret + "-3"
	withdrawn := w.defenderApp().Status.Credentials[0].Fingerprint
	w.entra.AddSecret(clientID, third, time.Time{})
	edit(w, w.secret("credential"), func(s *corev1.Secret) { s.Data["client-secret"] = []byte(third) })
	w.atOnce("the application shows a third fingerprint", func() bool { return w.defenderApp().Status.Credentials[0].Fingerprint != withdrawn })
	w.ask("with the third")
	w.promptly(allGood)
}

func TestAMendedCredentialIsTriedAtOnceByThoseWhoHaveNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.entra.RemoveSecret(clientID, clientSecret)
	w.apply()
	refused := situation{ready: "False CredentialRefused", consent: "Unknown CredentialRefused", degraded: "False", stalled: "False", kstatus: "InProgress"}
	w.promptly(refused)
	w.pass(2 * time.Hour) // by now it asks once in a quarter of an hour
	w.promptly(refused)
	const second = clientSecret + "-2"
	w.entra.AddSecret(clientID, second, time.Time{})
	edit(w, w.secret("credential"), func(s *corev1.Secret) { s.Data["client-secret"] = []byte(second) })
	w.promptly(allGood)
}
