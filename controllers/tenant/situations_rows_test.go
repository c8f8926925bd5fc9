package tenant_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// Here is the table of situations, row by row: what the four conditions say, and what
// kstatus makes of them.

var (
	running = situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "False", kstatus: "Current"}
	expired = situation{ready: "False TokenExpired", consent: "True ConsentGranted", degraded: "False", stalled: "False", kstatus: "InProgress"}
	denied  = situation{ready: "False AccessDenied", consent: "Unknown AccessDenied", degraded: "False", stalled: "True AccessDenied", kstatus: "Failed"}
	unasked = situation{ready: "False ConsentRequired", consent: "False ConsentRequired", degraded: "False", stalled: "False", kstatus: "InProgress"}
)

// xdrToken and graphToken are the two tokens that a customer has side by side.
func xdrToken(roles ...string) v1alpha1.TokenSpec {
	return v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, RequiredRoles: roles}
}

func graphToken(roles ...string) v1alpha1.TokenSpec {
	return v1alpha1.TokenSpec{Name: "graph", API: v1alpha1.APIMicrosoftGraph, RequiredRoles: roles}
}

func TestWhenAllIsGoodTheSecretHoldsEverythingAWorkloadNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	object := w.ready()

	w.expectSecret("contoso-xdr", "Valid")
	secret := w.secret("contoso-xdr")
	want := map[string]string{
		"tenantID": customer, "clientID": clientID, "resource": "https://api.security.microsoft.com",
		"apiURL": "https://api.security.microsoft.com", "state": "Valid",
	}
	for key, value := range want {
		if got := string(secret.Data[key]); got != value {
			t.Errorf("key %s says %q, want %q", key, got, value)
		}
	}
	keys := []string{"apiURL", "authorization", "clientID", "expiresAt", "resource", "state", "tenantID", "token"}
	if got := slices.Sorted(maps.Keys(secret.Data)); !slices.Equal(got, keys) {
		t.Errorf("keys %v, want %v", got, keys)
	}
	if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != object.UID || secret.OwnerReferences[0].BlockOwnerDeletion != nil {
		t.Errorf("owners %+v", secret.OwnerReferences)
	}
	entry := w.entry("xdr")
	for name, at := range map[string]*metav1.Time{"expires-at": entry.ExpiresAt, "refresh-at": entry.RefreshAt} {
		if got := secret.Annotations["defender.tenant-operator.dev/"+name]; at == nil || got != at.UTC().Format(time.RFC3339) {
			t.Errorf("annotation %s says %q, status %v", name, got, at)
		}
	}
	status := w.tenant().Status
	if !slices.Equal(status.SecretNames, []string{"contoso-xdr"}) || !slices.Equal(entry.GrantedRoles, []string{"Incident.Read.All"}) ||
		entry.TokenID != w.entra.Tokens()[0].UTI || entry.Failure != nil || status.MissingRoles != "" {
		t.Errorf("status %+v", status)
	}
}

func TestATokenWhoseRenewalFailsIsReadyAndDegraded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")

	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.passUntil(w.tenant().Status.RefreshAt.Time)
	w.expect(running)
	w.unchanged(before)
	if got := w.reason("xdr"); got != "EntraUnavailable" {
		t.Errorf("failure %q", got)
	}

	w.entra.Clear(customer)
	w.pass(30 * time.Second) // a running token is tried again at least that often
	w.promptly(allGood)
	if got := w.reason("xdr"); got != "" {
		t.Errorf("failure %q after recovery", got)
	}
	if w.token("contoso-xdr") == string(before.Data["token"]) {
		t.Error("the Secret still holds the former token")
	}
}

func TestATokenWhoseRenewalIsOverdueIsDegradedAlsoWhenItIsSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	object := w.ready()
	edit(w, object, func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = true })
	w.promptly(allGood) // suspending alone makes nothing worse
	w.passUntil(w.tenant().Status.RefreshAt.Add(time.Minute))
	w.expect(running)
}

func TestWithdrawnConsentIsSeenAtTheNextRenewalAndTheTokenRunsToItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")

	w.entra.Withdraw(customer, clientID)
	w.passUntil(w.tenant().Status.RefreshAt.Time)
	w.expect(situation{ready: "True TokensReady", consent: "False ConsentWithdrawn", degraded: "True", stalled: "False", kstatus: "Current"})
	w.unchanged(before)
	w.passUntil(deadAt(w).Add(-time.Second))
	w.unchanged(before)

	w.clock.Step(time.Second)
	w.expect(situation{ready: "False TokenExpired", consent: "False ConsentWithdrawn", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.expectSecret("contoso-xdr", "Expired")

	w.entra.Consent(customer, clientID)
	w.pass(2 * time.Minute)
	w.promptly(allGood)
	w.expectSecret("contoso-xdr", "Valid")
}

// deadAt is when a token of ten minutes counts as dead: 5 % of its life before its end.
func deadAt(w *world) time.Time {
	w.t.Helper()
	entry := w.entry("xdr")
	return entry.ExpiresAt.Add(-entry.ExpiresAt.Sub(entry.IssuedAt.Time) / 20)
}

func TestWithoutConsentThereIsNoSecretButALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.apply()
	w.promptly(unasked)
	if found := w.secretNames(); len(found) > 0 {
		t.Errorf("Secrets %v", found)
	}
	if failure := w.entry("xdr").Failure; failure == nil || failure.Code != 7000229 || failure.TraceID == "" {
		t.Errorf("failure %+v", failure)
	}
	link := w.entra.URL() + "/" + customer + "/adminconsent?client_id=" + clientID
	if got := w.tenant().Status.ConsentURL; got != link {
		t.Errorf("consent link %q, want %q", got, link)
	}

	// Entra ID has another code for the same.
	w.entra.Answer(emulator.Codes{MissingPrincipal: 700016})
	w.ask("again")
	w.promptly(unasked)
	if failure := w.entry("xdr").Failure; failure == nil || failure.Code != 700016 {
		t.Errorf("failure %+v", failure)
	}

	w.entra.Consent(customer, clientID)
	w.ask("consented")
	w.promptly(allGood)
}

func TestMissingRolesAreNamedAndGrantedOnesToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.apply(xdrToken("AdvancedHunting.Read.All", "Incident.Read.All", "CustomDetections.ReadWrite.All"))
	lacking := situation{ready: "False RolesMissing", consent: "False RolesMissing", degraded: "False", stalled: "False", kstatus: "InProgress"}
	w.promptly(lacking)

	entry := w.entry("xdr")
	if !slices.Equal(entry.MissingRoles, []string{"AdvancedHunting.Read.All", "CustomDetections.ReadWrite.All"}) {
		t.Errorf("missing roles of the token %v", entry.MissingRoles)
	}
	if !slices.Equal(entry.GrantedRoles, []string{"Incident.Read.All"}) {
		t.Errorf("granted roles of the token %v", entry.GrantedRoles)
	}
	if got := w.tenant().Status.MissingRoles; got != "AdvancedHunting.Read.All, CustomDetections.ReadWrite.All" {
		t.Errorf("missing roles %q", got)
	}
	if found := w.secretNames(); len(found) > 0 {
		t.Errorf("a token without the required roles was published: %v", found)
	}

	// A token without any role never is enough.
	w.entra.Grant(customer, clientID, xdr)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens = []v1alpha1.TokenSpec{xdrToken()} })
	w.promptly(lacking)
	if found := w.secretNames(); len(found) > 0 {
		t.Errorf("a token without roles was published: %v", found)
	}

	w.entra.Consent(customer, clientID)
	w.ask("consented")
	w.promptly(allGood)
}

func TestAnAPIThatTheCustomerDoesNotHaveSaysNothingOfConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.entra.Unprovision(customer, xdr)
	w.apply()
	missing := situation{ready: "False ResourceNotProvisioned", consent: "Unknown", degraded: "False", stalled: "False", kstatus: "InProgress"}
	w.promptly(missing)
	w.entra.Answer(emulator.Codes{Unprovisioned: 650052})
	w.ask("again")
	w.promptly(missing)
	if failure := w.entry("xdr").Failure; failure == nil || failure.Code != 650052 {
		t.Errorf("failure %+v", failure)
	}
	w.entra.Provision(customer, xdr)
	w.ask("licensed")
	w.promptly(allGood)
}

func TestAnOutageBeforeTheFirstTokenEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.entra.Down(true)
	w.apply()
	w.promptly(situation{ready: "False EntraUnavailable", consent: "Unknown EntraUnavailable", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.entra.Down(false)
	w.pass(time.Minute)
	w.promptly(allGood)
}

func TestARefusedCredentialIsNoQuestionOfConsentAndNoEditInTheCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.entra.RemoveSecret(clientID, clientSecret)
	w.apply()
	w.promptly(situation{ready: "False CredentialRefused", consent: "Unknown CredentialRefused", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.entra.AddSecret(clientID, clientSecret, time.Time{})
	w.pass(2 * time.Minute)
	w.promptly(allGood)
}

func TestASuspendedTokenThatEndsSaysSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = true })
	w.promptly(allGood)
	requests := w.requests()
	w.pass(11 * time.Minute)
	w.promptly(situation{ready: "False Suspended", consent: "True ConsentGranted", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.expectSecret("contoso-xdr", "Suspended")
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests for a suspended token", n)
	}
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = false })
	w.promptly(allGood)
	w.expectSecret("contoso-xdr", "Valid")
}

func TestWithoutAnApplicationTheTokenRunsOnAndSomebodyMustEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")

	w.must(w.Delete(w.ctx, &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: w.app}}))
	w.promptly(situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "True AppNotFound", kstatus: "Failed"})
	w.unchanged(before)
	w.passUntil(deadAt(w).Add(-time.Second))
	w.unchanged(before)
	w.clock.Step(time.Second)
	w.promptly(situation{ready: "False AppNotFound", consent: "True ConsentGranted", degraded: "False", stalled: "True AppNotFound", kstatus: "Failed"})
	w.expectSecret("contoso-xdr", "Expired")

	w.create(w.newApp())
	w.promptly(allGood)
	w.expectSecret("contoso-xdr", "Valid")
}

func TestWithoutAnApplicationFromTheStartNobodyIsAsked(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.start()
	w.grant()
	w.apply()
	w.promptly(situation{ready: "False AppNotFound", consent: "Unknown AppNotFound", degraded: "False", stalled: "True AppNotFound", kstatus: "Failed"})
	if n := w.requests(); n > 0 {
		t.Errorf("%d requests without an application", n)
	}
	if link := w.tenant().Status.ConsentURL; link != "" {
		t.Errorf("consent link %q without an application", link)
	}
}

func TestWithoutAGrantThereIsNoRequestAndNoLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.entra.Consent(customer, clientID)
	w.apply()
	w.promptly(denied)
	grant := w.grant()
	w.promptly(allGood)
	first := w.tenant()
	w.must(w.Delete(w.ctx, first))
	w.shown(first)
	requests := w.requests()

	other := []string{"33333333-3333-3333-3333-333333333333"}
	for name, narrow := range map[string]func(*v1alpha1.DefenderGrantSpec){
		"another app":       func(s *v1alpha1.DefenderGrantSpec) { s.App = "another" },
		"another tenant":    func(s *v1alpha1.DefenderGrantSpec) { s.TenantIDs = other },
		"another namespace": func(s *v1alpha1.DefenderGrantSpec) { s.Namespaces = []string{"elsewhere"} },
		"another API":       func(s *v1alpha1.DefenderGrantSpec) { s.APIs = []string{"MicrosoftGraph"} },
	} {
		edit(w, grant, func(g *v1alpha1.DefenderGrant) {
			g.Spec = v1alpha1.DefenderGrantSpec{App: w.app, Namespaces: []string{w.namespace}, TenantIDs: []string{customer}, APIs: []string{"DefenderXDR"}}
			narrow(&g.Spec)
		})
		w.shown(grant)
		object := w.apply(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, SecretName: strings.ReplaceAll(strings.ToLower(name), " ", "-")})
		w.promptly(denied)
		if w.requests() != requests || w.tenant().Status.ConsentURL != "" {
			t.Errorf("a grant of %s led to a request or a link", name)
		}
		w.must(w.Delete(w.ctx, object))
		w.shown(object)
	}
}

func TestWithSeveralTokensTheWorstRequiredOneSpeaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.entra.Unprovision(customer, graph)
	hunting := xdrToken("AdvancedHunting.Read.All")
	hunting.Name = "hunting"
	w.apply(xdrToken(), graphToken(), hunting)

	w.promptly(situation{ready: "False RolesMissing", consent: "False RolesMissing", degraded: "False", stalled: "False", kstatus: "InProgress"})
	ready := condition(w, "Ready")
	if !strings.HasPrefix(ready.Message, "Token hunting: ") || !strings.Contains(ready.Message, customer) {
		t.Errorf("message %q does not name token and tenant", ready.Message)
	}
	w.expectSecret("contoso-xdr", "Valid")
	if !w.entry("xdr").Ready || w.reason("graph") != "ResourceNotProvisioned" || w.reason("hunting") != "RolesMissing" {
		t.Errorf("tokens %+v", w.tenant().Status.Tokens)
	}

	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens = o.Spec.Tokens[:2] })
	w.promptly(situation{ready: "False ResourceNotProvisioned", consent: "Unknown ResourceNotProvisioned", degraded: "False", stalled: "False", kstatus: "InProgress"})
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens = o.Spec.Tokens[:1] })
	w.promptly(allGood)
}

func condition(w *world, kind string) metav1.Condition {
	w.t.Helper()
	for _, c := range w.tenant().Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	w.t.Fatalf("there is no condition %s", kind)
	return metav1.Condition{}
}

func TestOptionalTokensAreReportedAndLeftOutOfReadyAndConsentGranted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	hunting := xdrToken("AdvancedHunting.Read.All")
	hunting.Name, hunting.Optional = "hunting", true
	w.apply(xdrToken(), hunting)
	w.promptly(allGood)
	if entry := w.entry("hunting"); entry.Ready || w.reason("hunting") != "RolesMissing" || !slices.Equal(entry.MissingRoles, []string{"AdvancedHunting.Read.All"}) {
		t.Errorf("optional token %+v", entry)
	}
	if w.secret("contoso-hunting") != nil {
		t.Error("an optional token without its roles was published")
	}
	w.entra.AddPermission(clientID, xdr, "AdvancedHunting.Read.All")
	w.entra.Consent(customer, clientID)
	w.ask("consented")
	w.promptly(allGood)
	w.expectSecret("contoso-hunting", "Valid")
}

func TestAProductWithoutALicenceDoesNotSpoilTheOtherToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.entra.Unprovision(customer, graph)
	w.grant()
	w.entra.SetLifetime(customer, 10*time.Minute)
	w.entra.Consent(customer, clientID)
	w.apply(xdrToken(), graphToken())
	w.promptly(situation{ready: "False ResourceNotProvisioned", consent: "Unknown ResourceNotProvisioned", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.expectSecret("contoso-xdr", "Valid")
	former := w.token("contoso-xdr")
	w.pass(6 * time.Minute)
	if entry := w.entry("xdr"); !entry.Ready || w.token("contoso-xdr") == former {
		t.Errorf("the licensed token was not renewed: %+v", entry)
	}
	w.entra.Provision(customer, graph)
	w.ask("licensed")
	w.promptly(allGood)
	w.expectSecret("contoso-graph", "Valid")
}

func TestASecretOfSomebodyElseIsSomethingToEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"}}
	w.create(foreign)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.apply()
	w.promptly(situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"})
	w.unchanged(foreign)
	if n := w.requests(); n > 0 {
		t.Errorf("%d requests although the token could not be stored", n)
	}
}

func TestAResourceWithoutAPresetIsAsGoodAsAnyOther(t *testing.T) {
	t.Parallel()
	const resource = "https://api.example.com/soc"
	w := newWorld(t)
	w.entra.AddPermission(clientID, resource, "Case.Read")
	w.entra.Consent(customer, clientID)
	grant := w.grant()
	edit(w, grant, func(g *v1alpha1.DefenderGrant) { g.Spec.APIs = []string{resource} })
	w.shown(grant)
	w.apply(v1alpha1.TokenSpec{Name: "soc", Resource: resource, RequiredRoles: []string{"Case.Read"}})
	w.promptly(allGood)
	w.expectSecret("contoso-soc", "Valid")
	secret := w.secret("contoso-soc")
	if string(secret.Data["resource"]) != resource || string(secret.Data["apiURL"]) != "https://api.example.com" {
		t.Errorf("resource %s, apiURL %s", secret.Data["resource"], secret.Data["apiURL"])
	}
}
