package tenant_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// Here is the table of events, row by row: what each of them does to a live token.

// allKeys are the keys of a Secret in all formats. None is ever missing: the kubelet
// would stop updating a volume that names it.
var allKeys = []string{"apiURL", "authorization", "clientID", "expiresAt", "resource", "state", "tenantID", "token", "token.env", "token.json"}

func allFormats() []v1alpha1.Format {
	return []v1alpha1.Format{v1alpha1.FormatJSON, v1alpha1.FormatEnv}
}

// expectEmptied looks for a Secret that says why it holds no token and has all its keys.
func (w *world) expectEmptied(name, state string) {
	w.t.Helper()
	w.expectSecret(name, state)
	secret := w.secret(name)
	if got := slices.Sorted(maps.Keys(secret.Data)); !slices.Equal(got, allKeys) {
		w.t.Errorf("keys %v, want %v", got, allKeys)
	}
	for _, key := range []string{"token", "authorization", "expiresAt", "token.json", "token.env"} {
		if len(secret.Data[key]) > 0 {
			w.t.Errorf("key %s of Secret %s is not empty", key, name)
		}
	}
	if string(secret.Data["tenantID"]) != customer || string(secret.Data["apiURL"]) != xdr {
		w.t.Errorf("Secret %s forgot whose token it held", name)
	}
	if got := secret.Annotations["defender.tenant-operator.dev/expires-at"]; got != "" {
		w.t.Errorf("Secret %s is empty and still expires at %s", name, got)
	}
}

func TestATokenEndsAMinuteEarlyAndOnExpirySaysHow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	spec := func(name string, policy v1alpha1.ExpiryPolicy) v1alpha1.TokenSpec {
		return v1alpha1.TokenSpec{Name: name, API: v1alpha1.APIDefenderXDR, OnExpiry: policy, Formats: allFormats()}
	}
	w.apply(spec("default", ""), spec("clear", v1alpha1.ExpiryClear), spec("keep", v1alpha1.ExpiryKeep))
	w.promptly(allGood)
	kept := w.secret("contoso-keep")

	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	end := w.tenant().Status.ExpiresAt.Time
	w.passUntil(end.Add(-61 * time.Second))
	w.expect(running)
	for _, name := range []string{"default", "clear", "keep"} {
		w.expectSecret("contoso-"+name, "Valid")
	}

	w.passUntil(end.Add(-60 * time.Second))
	w.promptly(expired)
	w.expectEmptied("contoso-default", "Expired")
	w.expectEmptied("contoso-clear", "Expired")
	now := w.secret("contoso-keep")
	for _, key := range allKeys {
		if key != "state" && !bytes.Equal(now.Data[key], kept.Data[key]) {
			t.Errorf("onExpiry Keep changed key %s", key)
		}
	}
	if string(now.Data["state"]) != "Expired" {
		t.Errorf("onExpiry Keep says %q", now.Data["state"])
	}
	for _, entry := range w.tenant().Status.Tokens {
		if entry.Ready || entry.ExpiresAt != nil {
			t.Errorf("token %s ended and is still reported: %+v", entry.Name, entry)
		}
	}

	w.entra.Clear(customer)
	w.pass(90 * time.Second)
	w.promptly(allGood)
	for _, name := range []string{"default", "clear", "keep"} {
		w.expectSecret("contoso-"+name, "Valid")
	}
}

func TestATokenThatEndsWithOnExpiryDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, OnExpiry: v1alpha1.ExpiryDelete})
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.passUntil(deadAt(w).Add(-time.Second))
	w.expectSecret("contoso-xdr", "Valid")
	w.passUntil(w.clock.Now().Add(time.Second))
	w.atOnce("the Secret is gone", func() bool { return w.secret("contoso-xdr") == nil })
	// From then on it is as if there had never been one.
	w.expect(situation{ready: "False EntraUnavailable", consent: "Unknown EntraUnavailable", degraded: "False", stalled: "False", kstatus: "InProgress"})
	if status := w.tenant().Status; status.Tokens[0].ExpiresAt != nil || len(status.SecretNames) > 0 {
		t.Errorf("status still tells of it: %+v", status)
	}
	w.entra.Clear(customer)
	w.pass(90 * time.Second)
	w.promptly(allGood)
	w.expectSecret("contoso-xdr", "Valid")
}

func TestWhatIsEmptiedAtItsEndIsWrittenOnceAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(
		v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR},
		v1alpha1.TokenSpec{Name: "keep", API: v1alpha1.APIDefenderXDR, OnExpiry: v1alpha1.ExpiryKeep},
	)
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.passUntil(deadAt(w).Add(15 * time.Second))
	w.promptly(expired)
	emptied, kept := w.secret("contoso-xdr"), w.secret("contoso-keep")
	w.pass(10 * time.Minute)
	w.unchanged(emptied)
	w.unchanged(kept)
}

// revocations are what takes a token away from a grant that stays.
func revocations(w *world) map[string]func(*v1alpha1.DefenderGrantSpec) {
	return map[string]func(*v1alpha1.DefenderGrantSpec){
		"the grant is of another app now":       func(s *v1alpha1.DefenderGrantSpec) { s.App = "another" },
		"the grant is of another namespace now": func(s *v1alpha1.DefenderGrantSpec) { s.Namespaces = []string{w.namespace + "-b"} },
		"the grant names another tenant now":    func(s *v1alpha1.DefenderGrantSpec) { s.TenantIDs = []string{stranger} },
		"the grant names another API now":       func(s *v1alpha1.DefenderGrantSpec) { s.APIs = []string{"MicrosoftGraph"} },
	}
}

func TestATokenIsEmptiedAtOnceWhenItsGrantIsNarrowedAndComesBackWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: allFormats(), OnExpiry: v1alpha1.ExpiryKeep})
	w.entra.SetLifetime(customer, 10*time.Hour)
	grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	for name, narrow := range revocations(w) {
		w.pass(15 * time.Second) // for the budget
		requests := w.requests()
		var before v1alpha1.DefenderGrantSpec
		edit(w, grant, func(g *v1alpha1.DefenderGrant) { before = *g.Spec.DeepCopy(); narrow(&g.Spec) })
		w.promptly(denied)
		w.expectEmptied("contoso-xdr", "AccessRevoked")
		w.pass(5 * time.Minute)
		if w.requests() != requests {
			t.Errorf("%s: Entra ID was asked all the same", name)
		}
		if w.tenant().Status.ConsentURL != "" {
			t.Errorf("%s: there is a consent link all the same", name)
		}
		edit(w, grant, func(g *v1alpha1.DefenderGrant) { g.Spec = before })
		w.promptly(allGood)
		w.expectSecret("contoso-xdr", "Valid")
	}
}

func TestATokenIsEmptiedAtOnceWhenItsGrantIsDeletedWhateverOnExpiryAndSuspendSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	suspendApp := func(on bool) {
		edit(w, &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: w.app}}, func(o *v1alpha1.DefenderApp) { o.Spec.Suspend = on })
	}
	suspendTenant := func(on bool) { edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = on }) }
	w.ready(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: allFormats()})
	w.entra.SetLifetime(customer, 10*time.Hour)
	for _, c := range []struct {
		name     string
		onExpiry v1alpha1.ExpiryPolicy
		suspend  func(bool)
	}{
		{"Clear", v1alpha1.ExpiryClear, nil},
		{"Keep", v1alpha1.ExpiryKeep, nil},
		{"Delete", v1alpha1.ExpiryDelete, nil},
		{"Delete and suspended", v1alpha1.ExpiryDelete, suspendTenant},
		{"Keep and the app suspended", v1alpha1.ExpiryKeep, suspendApp},
	} {
		w.pass(15 * time.Second) // for the budget
		edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens[0].OnExpiry = c.onExpiry })
		if c.suspend != nil {
			c.suspend(true)
		}
		w.promptly(allGood)
		w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
		w.promptly(denied)
		w.expectEmptied("contoso-xdr", "AccessRevoked")
		w.grant()
		if c.suspend != nil {
			w.promptly(situation{ready: "False Suspended", consent: "", degraded: "False", stalled: "False", kstatus: "InProgress"})
			w.expectEmptied("contoso-xdr", "AccessRevoked")
			c.suspend(false)
		}
		w.promptly(allGood)
		w.expectSecret("contoso-xdr", "Valid")
	}
}

func TestATokenWithMoreRolesThanTheGrantAllowsIsEmptiedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: allFormats(), OnExpiry: v1alpha1.ExpiryDelete})
	w.entra.SetLifetime(customer, 10*time.Hour)
	grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	narrow := func(roles ...string) {
		edit(w, grant, func(g *v1alpha1.DefenderGrant) { g.Spec.MaxRoles = roles })
	}
	narrow("Incident.Read.All", "AdvancedHunting.Read.All")
	w.shown(grant)
	w.expectSecret("contoso-xdr", "Valid")

	narrow("AdvancedHunting.Read.All")
	w.promptly(situation{ready: "False RolesExceeded", consent: "Unknown RolesExceeded", degraded: "False", stalled: "True RolesExceeded", kstatus: "Failed"})
	w.expectEmptied("contoso-xdr", "AccessRevoked")
	if message := condition(w, "Ready").Message; !strings.Contains(message, "Incident.Read.All") {
		t.Errorf("message %q does not name the role", message)
	}

	narrow("Incident.Read.All")
	w.promptly(allGood)
	w.expectSecret("contoso-xdr", "Valid")
}

func TestWhateverBefallsTheApplicationTheTokenRunsToItsEnd(t *testing.T) {
	t.Parallel()
	const otherID = "00000000-0000-0000-0000-00000000000b"
	app := func(w *world, change func(*v1alpha1.DefenderApp)) {
		edit(w, &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: w.app}}, change)
	}
	for _, c := range []struct {
		name   string
		befall func(*world)
		now    situation
		due    situation
		end    situation
		state  string
	}{
		{
			"deleted", func(w *world) {
				w.must(w.Delete(w.ctx, &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: w.app}}))
			},
			situation{"True TokensReady", "True ConsentGranted", "True RefreshFailing", "True AppNotFound", "Failed"},
			situation{"True TokensReady", "True ConsentGranted", "True RefreshFailing", "True AppNotFound", "Failed"},
			situation{"False AppNotFound", "True ConsentGranted", "False", "True AppNotFound", "Failed"},
			"Expired",
		},
		{
			"suspended", func(w *world) { app(w, func(o *v1alpha1.DefenderApp) { o.Spec.Suspend = true }) },
			allGood, running,
			situation{"False Suspended", "True ConsentGranted", "False", "False", "InProgress"},
			"Suspended",
		},
		{
			"another client ID", func(w *world) { app(w, func(o *v1alpha1.DefenderApp) { o.Spec.ClientID = otherID }) },
			situation{"True TokensReady", "False ConsentRequired", "True RefreshFailing", "False", "Current"},
			situation{"True TokensReady", "False ConsentRequired", "True RefreshFailing", "False", "Current"},
			situation{"False TokenExpired", "False ConsentRequired", "False", "False", "InProgress"},
			"Expired",
		},
		{
			"another cloud", func(w *world) {
				app(w, func(o *v1alpha1.DefenderApp) { o.Spec.Cloud = v1alpha1.CloudUSGovernment })
			},
			running, running, expired, "Expired",
		},
		{
			"credential refused", func(w *world) { w.entra.RemoveSecret(clientID, clientSecret) },
			allGood, running, expired, "Expired",
		},
		{
			"credential gone", func(w *world) { w.must(w.Delete(w.ctx, w.secret("credential"))) },
			allGood,
			situation{"True TokensReady", "True ConsentGranted", "True RefreshFailing", "True CredentialUnusable", "Failed"},
			situation{"False CredentialUnusable", "True ConsentGranted", "False", "True CredentialUnusable", "Failed"},
			"Expired",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.entra.RegisterApp(emulator.App{ClientID: otherID})
			w.entra.AddSecret(otherID, clientSecret, time.Time{})
			w.ready(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: allFormats()})
			before := w.secret("contoso-xdr")
			c.befall(w)
			w.promptly(c.now)
			w.passUntil(w.entry("xdr").RefreshAt.Time)
			w.promptly(c.due)
			w.passUntil(deadAt(w).Add(-time.Second))
			w.promptly(c.due)
			w.unchanged(before)
			w.clock.Step(time.Second)
			w.promptly(c.end)
			w.expectEmptied("contoso-xdr", c.state)
		})
	}
}

func TestWhenMoreRolesAreRequiredTheOldTokenStaysUntilAFittingOneComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) {
		o.Spec.Tokens = []v1alpha1.TokenSpec{xdrToken("Incident.Read.All", "AdvancedHunting.Read.All")}
	})
	w.promptly(situation{ready: "False RolesMissing", consent: "False RolesMissing", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.unchanged(before)
	if entry := w.entry("xdr"); !slices.Equal(entry.MissingRoles, []string{"AdvancedHunting.Read.All"}) || entry.ExpiresAt == nil {
		t.Errorf("status of the token %+v", entry)
	}
	w.entra.AddPermission(clientID, xdr, "AdvancedHunting.Read.All")
	w.ask("permission added")
	w.promptly(situation{ready: "False RolesMissing", consent: "False RolesMissing", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.unchanged(before)
	w.entra.Consent(customer, clientID)
	w.pass(time.Minute) // found by polling
	w.promptly(allGood)
	if got := w.entry("xdr").GrantedRoles; !slices.Equal(got, []string{"AdvancedHunting.Read.All", "Incident.Read.All"}) {
		t.Errorf("granted roles %v", got)
	}
}

func TestWhenTheAPIChangesTheOldTokenStaysUntilOneOfTheNewAPIComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")
	w.entra.Unprovision(customer, graph)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) {
		o.Spec.Tokens = []v1alpha1.TokenSpec{{Name: "xdr", API: v1alpha1.APIMicrosoftGraph}}
	})
	w.promptly(situation{ready: "False ResourceNotProvisioned", consent: "Unknown ResourceNotProvisioned", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.unchanged(before)
	w.entra.Provision(customer, graph)
	w.ask("licensed")
	w.promptly(allGood)
	secret := w.secret("contoso-xdr")
	if secret.UID != before.UID || string(secret.Data["resource"]) != graph || string(secret.Data["apiURL"]) != graph {
		t.Errorf("resource %s, apiURL %s", secret.Data["resource"], secret.Data["apiURL"])
	}
}

func TestWhenTheRegionChangesTheURLFollowsWithTheNextToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")
	w.entra.Down(true)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Region = v1alpha1.RegionEU })
	w.promptly(running)
	w.unchanged(before)
	w.entra.Down(false)
	w.pass(30 * time.Second)
	w.promptly(allGood)
	if got := string(w.secret("contoso-xdr").Data["apiURL"]); got != "https://api-eu.security.microsoft.com" {
		t.Errorf("apiURL %s", got)
	}
}

func TestWhenTheAppChangesTheOldTokenStaysUntilOneOfTheNewAppComes(t *testing.T) {
	t.Parallel()
	const otherID = "00000000-0000-0000-0000-00000000000b"
	w := newWorld(t)
	w.entra.RegisterApp(emulator.App{ClientID: otherID, Permissions: map[string][]string{xdr: {"Incident.Read.All"}}})
	w.entra.AddSecret(otherID, clientSecret, time.Time{})
	w.ready()
	w.entra.SetLifetime(customer, 10*time.Hour)
	before := w.secret("contoso-xdr")
	other := w.newApp()
	other.Name, other.Spec.ClientID = w.app+"-b", otherID
	defer w.discard(other)

	// The name of none, perhaps misspelled.
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.App = other.Name })
	w.promptly(situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "True AppNotFound", kstatus: "Failed"})
	w.unchanged(before)
	// An app that nothing is granted with.
	w.create(other)
	w.promptly(situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "True AccessDenied", kstatus: "Failed"})
	w.unchanged(before)
	// An app that the customer has not consented to: nobody withdrew anything.
	grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.app + "-b"}, Spec: v1alpha1.DefenderGrantSpec{
		App: other.Name, Namespaces: []string{w.namespace}, TenantIDs: []string{customer}, APIs: []string{"DefenderXDR"},
	}}
	w.create(grant)
	defer w.discard(grant)
	w.promptly(situation{ready: "True TokensReady", consent: "False ConsentRequired", degraded: "True RefreshFailing", stalled: "False", kstatus: "Current"})
	w.unchanged(before)
	// And at last.
	w.entra.Consent(customer, otherID)
	w.ask("consented")
	w.promptly(allGood)
	if got := string(w.secret("contoso-xdr").Data["clientID"]); got != otherID {
		t.Errorf("token of application %s", got)
	}
	// From now on only the new grant counts.
	former := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.must(w.Delete(w.ctx, former))
	w.shown(former)
	w.promptly(allGood)
	w.must(w.Delete(w.ctx, grant))
	w.promptly(denied)
	w.expectSecret("contoso-xdr", "AccessRevoked")
}

// discard deletes an object that may be gone already.
func (w *world) discard(object client.Object) {
	if err := w.Delete(w.ctx, object); client.IgnoreNotFound(err) != nil {
		w.t.Error(err)
	}
}

func TestWhileTheFormerAppIsStillHeldItsGrantCanStillBeRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.App = "nobody" })
	w.promptly(situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "True AppNotFound", kstatus: "Failed"})
	w.unchanged(before)
	w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	w.expectSecret("contoso-xdr", "AccessRevoked")
}

func TestASuspendedTokenIsNeitherRequestedNorForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: allFormats(), OnExpiry: v1alpha1.ExpiryDelete})
	requests := w.requests()
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = true })
	w.promptly(allGood)
	// Neither a request of a person, nor one for another API, nor a renewal leads to Entra ID.
	w.ask("please")
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens = append(o.Spec.Tokens, graphToken()) })
	w.promptly(situation{ready: "False Suspended", consent: "Unknown Suspended", degraded: "False", stalled: "False", kstatus: "InProgress"})
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens = o.Spec.Tokens[:1] })
	w.promptly(allGood)
	w.passUntil(deadAt(w).Add(-time.Second))
	w.promptly(running)
	// Expiry goes on.
	w.clock.Step(time.Second)
	w.promptly(situation{ready: "False Suspended", consent: "", degraded: "False", stalled: "False", kstatus: "InProgress"})
	if w.secret("contoso-xdr") != nil {
		t.Error("the Secret outlived its token")
	}
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests while suspended", n)
	}
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = false })
	w.promptly(allGood)
}

func TestASecretEditedByHandIsMintedAnewAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.entra.SetLifetime(customer, 10*time.Hour)
	for name, tamper := range map[string]func(*corev1.Secret){
		"the token and the digest": func(s *corev1.Secret) {
			s.Data["token"] = []byte("mine")
			s.Annotations["defender.tenant-operator.dev/digest"] = "sha256:mine"
		},
		"the token alone":    func(s *corev1.Secret) { s.Data["token"] = []byte("mine") },
		"a key more":         func(s *corev1.Secret) { s.Data["mine"] = []byte("mine") },
		"a key less":         func(s *corev1.Secret) { delete(s.Data, "state") },
		"no data at all":     func(s *corev1.Secret) { s.Data = nil },
		"the label":          func(s *corev1.Secret) { delete(s.Labels, "app.kubernetes.io/managed-by") },
		"when it expires":    func(s *corev1.Secret) { annotate(s, "expires-at", "2099-01-01T00:00:00Z") },
		"when it is renewed": func(s *corev1.Secret) { annotate(s, "refresh-at", "2099-01-01T00:00:00Z") },
		"all annotations":    func(s *corev1.Secret) { s.Annotations = nil },
	} {
		w.pass(15 * time.Second) // for the budget
		before, requests := w.secret("contoso-xdr"), w.requests()
		edit(w, w.secret("contoso-xdr"), tamper)
		w.atOnce("a new token after a change of "+name, func() bool {
			return w.token("contoso-xdr") != "mine" && w.token("contoso-xdr") != "" && w.token("contoso-xdr") != string(before.Data["token"])
		})
		w.promptly(allGood)
		w.expectSecret("contoso-xdr", "Valid")
		if n := w.requests() - requests; n != 1 {
			t.Errorf("%d requests after a change of %s, want 1", n, name)
		}
		now := w.secret("contoso-xdr")
		if now.UID != before.UID || !slices.Equal(slices.Sorted(maps.Keys(now.Data)), slices.Sorted(maps.Keys(before.Data))) {
			t.Errorf("after a change of %s the Secret has the keys %v", name, slices.Sorted(maps.Keys(now.Data)))
		}
	}
}

func TestASecretDeletedByHandIsBackAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before, requests := w.secret("contoso-xdr"), w.requests()
	w.must(w.Delete(w.ctx, before))
	w.atOnce("the Secret is back", func() bool { now := w.secret("contoso-xdr"); return now != nil && now.UID != before.UID })
	w.promptly(allGood)
	w.expectSecret("contoso-xdr", "Valid")
	if n := w.requests() - requests; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestASecretWhoseOwnerWasTakenAwayIsSomebodyElsesFromThenOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	requests := w.requests()
	secret := w.secret("contoso-xdr")
	edit(w, secret, func(s *corev1.Secret) { s.OwnerReferences = nil })
	w.promptly(situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"})
	w.pass(10 * time.Minute)
	w.unchanged(secret)
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests although the token could not be stored", n)
	}
	w.must(w.Delete(w.ctx, secret))
	w.pass(2 * time.Minute) // nobody watches what is not ours
	w.promptly(allGood)
}

func TestTheSecretGoesWithItsDefenderTenant(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-controller-manager")); err != nil {
		t.Skip("there is no kube-controller-manager, whose garbage collector this is about")
	}
	w := newWorld(t)
	object := w.ready()
	w.must(w.Delete(w.ctx, object))
	// The collector can be faster than the operator's cache, and the Secret back for a moment.
	w.shown(object)
	w.atOnce("the Secret is gone", func() bool { return w.secret("contoso-xdr") == nil })
	requests := w.requests()
	w.pass(time.Minute)
	if w.secret("contoso-xdr") != nil || w.requests() != requests {
		t.Error("the operator brought the Secret back")
	}
}

func TestARenamedSecretTakesTheTokenWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(v1alpha1.TokenSpec{Name: "xdr", API: v1alpha1.APIDefenderXDR, Formats: allFormats()})
	before, requests := w.secret("contoso-xdr"), w.requests()
	rename := func(name string) {
		edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens[0].SecretName = name })
	}
	expect := func(name string) {
		t.Helper()
		w.promptly(allGood)
		w.expectSecret(name, "Valid")
		if got := w.secretNames(); !slices.Equal(got, []string{name}) {
			t.Errorf("Secrets %v, want %s alone", got, name)
		}
		if now := w.secret(name); !maps.EqualFunc(now.Data, before.Data, bytes.Equal) {
			t.Error("the data changed on the way")
		}
	}
	rename("former")
	expect("former")
	w.entra.Down(true)
	rename("latter")
	expect("latter")
	w.entra.Down(false)
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests for a change of name", n)
	}

	// Where the new name is taken, the token stays under the old one.
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "taken"}, StringData: map[string]string{"theirs": "yes"}}
	w.create(foreign)
	rename("taken")
	w.promptly(situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"})
	w.unchanged(foreign)
	w.expectSecret("latter", "Valid")
	rename("")
	expect("contoso-xdr")
	w.unchanged(foreign)
}

func TestATokenThatIsNoLongerWantedLeavesNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(xdrToken(), graphToken())
	kept, requests := w.secret("contoso-xdr"), w.requests()
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens = o.Spec.Tokens[:1] })
	w.atOnce("the Secret is gone", func() bool { return w.secret("contoso-graph") == nil })
	w.promptly(allGood)
	w.unchanged(kept)
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests for a token less", n)
	}
	if status := w.tenant().Status; len(status.Tokens) != 1 || !slices.Equal(status.SecretNames, []string{"contoso-xdr"}) {
		t.Errorf("status still tells of it: %+v", status)
	}
}

func TestFormatsComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(xdrToken())
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens[0].Formats = allFormats() })
	w.atOnce("the formats are there", func() bool { return len(w.secret("contoso-xdr").Data["token.json"]) > 0 })
	w.promptly(allGood)
	w.expectSecret("contoso-xdr", "Valid")
	secret := w.secret("contoso-xdr")
	if env := string(secret.Data["token.env"]); !strings.Contains(env, "DEFENDER_TOKEN='"+string(secret.Data["token"])+"'\n") ||
		!strings.Contains(env, "DEFENDER_API_URL='https://api.security.microsoft.com'\n") {
		t.Error("token.env does not hold what a shell needs")
	}
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens[0].Formats = nil })
	w.atOnce("the formats are gone", func() bool {
		data := w.secret("contoso-xdr").Data
		return data["token.json"] == nil && data["token.env"] == nil
	})
	w.promptly(allGood)
}

func TestARefreshRequestSkipsTheBackoffOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	first, requests := w.token("contoso-xdr"), w.requests()
	w.ask("one")
	w.promptly(allGood)
	if w.token("contoso-xdr") == first || w.requests() != requests+1 {
		t.Errorf("%d requests, want 1 and another token", w.requests()-requests)
	}
	w.pass(2 * time.Minute)
	if w.requests() != requests+1 {
		t.Error("one request by a person led to more than one to Entra ID")
	}

	// In the middle of a backoff.
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.ask("two")
	w.promptly(running)
	requests = w.requests()
	w.ask("three")
	w.promptly(running)
	if n := w.requests() - requests; n != 1 {
		t.Errorf("%d requests, want 1 in spite of the backoff", n)
	}
	w.entra.Clear(customer)
	w.ask("four")
	w.promptly(allGood)
	// Taking the annotation away asks for nothing.
	requests = w.requests()
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Annotations = nil })
	w.atOnce("nothing is acknowledged any more", func() bool { return w.tenant().Status.LastHandledRefresh == "" })
	w.shown(w.tenant())
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests because an annotation was removed", n)
	}
	// After that the former value is a new request.
	w.ask("four")
	if n := w.requests() - requests; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestRefreshRequestsStayWithinTheBudgetOfTheirTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.apply()
	w.promptly(allGood)
	start := w.clock.Now()
	for i := range 25 {
		edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", fmt.Sprint("call-", i)) })
		w.shown(w.tenant())
	}
	// A burst of ten, and one more for every ten seconds that went by.
	if n, most := w.requests(), 10+int(w.clock.Since(start)/(10*time.Second)); n > most {
		t.Errorf("%d requests, want at most %d", n, most)
	}
	requests := w.requests()
	w.pass(2 * time.Minute)
	w.promptly(allGood)
	if n := w.requests() - requests; n > 1 {
		t.Errorf("%d requests later on for the last call, want at most 1", n)
	}
	if got := w.tenant().Status.LastHandledRefresh; got != "call-24" {
		t.Errorf("acknowledged %q", got)
	}
}

func TestARefreshRequestOnTheAppIsForAllItsTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.entra.Consent(stranger, clientID)
	w.entra.SetLifetime(stranger, 10*time.Minute)
	edit(w, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, func(g *v1alpha1.DefenderGrant) {
		g.Spec.TenantIDs = append(g.Spec.TenantIDs, stranger)
	})
	w.create(&v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "fabrikam"},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: stranger, App: w.app},
	})
	w.atOnce("the second tenant has its token", func() bool { return w.token("fabrikam-xdr") != "" })
	w.settle()
	former := map[string]string{"contoso-xdr": w.token("contoso-xdr"), "fabrikam-xdr": w.token("fabrikam-xdr")}
	edit(w, &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: w.app}}, func(o *v1alpha1.DefenderApp) { annotate(o, "refresh-requested", "all") })
	for name, text := range former {
		w.atOnce(name+" holds another token", func() bool { return w.token(name) != text })
	}
	w.settle()
	for _, id := range []string{customer, stranger} {
		if n := w.entra.CountRequests(emulator.Token, id); n != 2 {
			t.Errorf("%d requests for tenant %s, want 2", n, id)
		}
	}
	if got := w.tenant().Status; got.LastHandledAppRefresh != "all" || got.LastHandledRefresh != "" {
		t.Errorf("acknowledged %q and %q", got.LastHandledAppRefresh, got.LastHandledRefresh)
	}
}

func TestASecretThatSomebodyWritesWhileItsTokenIsRequestedIsWrittenAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	former, requests := w.token("contoso-xdr"), w.requests()
	w.entra.Inject(customer, emulator.Fault{Mutate: func(map[string]any) {
		secret := w.secret("contoso-xdr")
		secret.Labels["team"] = "soc"
		w.must(w.Update(w.ctx, secret))
	}}, 1)
	w.ask("now")
	w.promptly(allGood)
	secret := w.secret("contoso-xdr")
	if string(secret.Data["token"]) == former || secret.Labels["team"] != "soc" {
		t.Error("the token or the other's label is lost")
	}
	if n := w.requests() - requests; n != 1 {
		t.Errorf("%d requests, want 1: the token was in hand", n)
	}
}

func TestATokenOfAnotherOperatorThatEndsLaterIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.entra.SetLifetime(customer, 10*time.Hour)
	w.apply()
	w.promptly(allGood)
	long := w.secret("contoso-xdr")
	w.entra.SetLifetime(customer, time.Hour)
	w.ask("a shorter one, as a person may")
	w.promptly(allGood)
	if w.token("contoso-xdr") == string(long.Data["token"]) {
		t.Fatal("the request led to no other token")
	}

	requests := w.requests()
	w.entra.Inject(customer, emulator.Fault{Mutate: func(map[string]any) {
		other := w.secret("contoso-xdr")
		other.Data, other.Annotations = long.Data, long.Annotations
		w.must(w.Update(w.ctx, other))
	}}, 1)
	w.ask("meanwhile the other operator writes")
	w.pass(time.Minute)
	w.promptly(allGood)
	if w.token("contoso-xdr") != string(long.Data["token"]) {
		t.Error("the token that ends later was overwritten")
	}
	if n := w.requests() - requests; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestASecretThatChangesHandsWhileItsTokenIsRequestedIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	stolen := make(chan *corev1.Secret, 1)
	w.entra.Inject(customer, emulator.Fault{Mutate: func(map[string]any) {
		secret := w.secret("contoso-xdr")
		secret.OwnerReferences = nil
		w.must(w.Update(w.ctx, secret))
		stolen <- secret
	}}, 1)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", "now") })
	w.promptly(situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"})
	w.unchanged(<-stolen)
}

func TestAGrantTakenAwayWhileATokenIsRequestedKeepsItOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.Consent(customer, clientID)
	w.entra.Inject(customer, emulator.Fault{Mutate: func(map[string]any) {
		grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		w.must(w.Delete(w.ctx, grant))
		w.eventually("the cache shows it", func() bool {
			return apierrors.IsNotFound(w.operator.cache.Get(w.ctx, client.ObjectKeyFromObject(grant), &v1alpha1.DefenderGrant{}))
		})
	}}, 1)
	w.apply()
	w.promptly(denied)
	if found := w.secretNames(); len(found) > 0 {
		t.Errorf("Secrets %v", found)
	}
}

func TestWhatOtherPeopleWriteOnTheSecretSurvives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	requests := w.requests()
	secret := w.secret("contoso-xdr")
	edit(w, secret, func(s *corev1.Secret) {
		s.Labels["team"] = "soc"
		s.Annotations["reloader.example/touched"] = "yes"
		s.Finalizers = []string{"example.com/backup"}
	})
	defer edit(w, secret, func(s *corev1.Secret) { s.Finalizers = nil })
	w.shown(secret)
	if n := w.requests() - requests; n > 0 {
		t.Errorf("%d requests because of a label", n)
	}
	former := w.token("contoso-xdr")
	w.passUntil(w.entry("xdr").RefreshAt.Time)
	w.atOnce("the token is renewed", func() bool { return w.token("contoso-xdr") != former })
	w.promptly(allGood)
	now := w.secret("contoso-xdr")
	if now.Labels["team"] != "soc" || now.Annotations["reloader.example/touched"] != "yes" || !slices.Equal(now.Finalizers, []string{"example.com/backup"}) {
		t.Errorf("labels %v, finalizers %v", now.Labels, now.Finalizers)
	}
}

// told are the events about contoso, as reason and count of writings.
func (w *world) told() map[string]int {
	w.t.Helper()
	var list eventsv1.EventList
	w.must(w.List(w.ctx, &list, client.InNamespace(w.namespace)))
	counts := map[string]int{}
	for _, e := range list.Items {
		if e.Regarding.Kind == "DefenderTenant" && e.Regarding.Name == "contoso" {
			counts[e.Type+" "+e.Reason]++
			if e.Series != nil {
				counts[e.Type+" "+e.Reason] += int(e.Series.Count) - 1
			}
		}
	}
	return counts
}

func TestPeopleAreToldOfChangesAndOfNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	w.entra.SetLifetime(customer, 10*time.Minute)
	w.apply()
	heard := func(want string) {
		t.Helper()
		w.atOnce("an event "+want, func() bool { return w.told()[want] > 0 })
	}
	w.promptly(unasked)
	heard("Warning ConsentRequired")
	w.pass(10 * time.Minute) // polling for consent
	w.entra.Consent(customer, clientID)
	w.ask("consented")
	w.promptly(allGood)
	heard("Normal TokensReady")

	w.pass(30 * time.Minute) // renewals in good time
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.passUntil(w.entry("xdr").RefreshAt.Time)
	w.promptly(running)
	heard("Warning RefreshFailing")
	w.passUntil(deadAt(w))
	w.promptly(expired)
	heard("Warning TokenExpired")
	w.entra.Clear(customer)
	w.pass(2 * time.Minute)
	w.promptly(allGood)

	edit(w, w.secret("contoso-xdr"), func(s *corev1.Secret) { s.Data["token"] = []byte("mine") })
	heard("Warning SecretRepaired")
	w.promptly(allGood)
	w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	heard("Warning AccessRevoked")
	heard("Warning AccessDenied")
	for reason, n := range w.told() {
		if n > 2 { // TokensReady came twice; nothing came with every poll or renewal
			t.Errorf("%d events %s", n, reason)
		}
	}
}

func TestTheStarOfAGrantLeavesOutTheHomeTenantFromTheMomentItIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	edit(w, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, func(g *v1alpha1.DefenderGrant) {
		g.Spec.TenantIDs = []string{"*"}
	})
	w.shown(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})
	w.promptly(allGood)
	edit(w, &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: w.app}}, func(o *v1alpha1.DefenderApp) { o.Spec.HomeTenantID = customer })
	w.promptly(denied)
	w.expectSecret("contoso-xdr", "AccessRevoked")
	edit(w, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, func(g *v1alpha1.DefenderGrant) {
		g.Spec.TenantIDs = []string{customer}
	})
	w.promptly(allGood)
}

func TestOneOfSeveralGrantsIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.secret("contoso-xdr")
	second := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace + "-b"}, Spec: v1alpha1.DefenderGrantSpec{
		App: w.app, Namespaces: []string{w.namespace}, TenantIDs: []string{customer}, APIs: []string{xdr}, MaxRoles: []string{"Incident.Read.All"},
	}}
	w.create(second)
	defer w.discard(second)
	w.shown(second)
	first := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.must(w.Delete(w.ctx, first))
	w.shown(first)
	w.promptly(allGood)
	w.unchanged(before)
	w.must(w.Delete(w.ctx, second))
	w.promptly(denied)
	w.expectSecret("contoso-xdr", "AccessRevoked")
}

func TestATokenUnderAFormerNameEndsLikeAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(xdrToken())
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "taken"}}
	w.create(foreign)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Tokens[0].SecretName = "taken" })
	conflict := situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"}
	w.promptly(conflict)
	w.expectSecret("contoso-xdr", "Valid")
	former := w.token("contoso-xdr")
	w.pass(10 * time.Minute)
	w.promptly(conflict)
	if w.token("contoso-xdr") != "" {
		t.Error("a dead token stays under its former name")
	}
	w.must(w.Delete(w.ctx, foreign))
	w.pass(2 * time.Minute)
	w.promptly(allGood)
	if w.token("taken") == former {
		t.Error("a dead token was moved")
	}
}

func TestASecretThatWasMadeImmutableIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(xdrToken())
	freeze := func() *corev1.Secret {
		immutable := true
		secret := w.secret("contoso-xdr")
		edit(w, secret, func(s *corev1.Secret) { s.Immutable = &immutable })
		w.shown(secret)
		return secret
	}
	frozen := freeze()
	w.ask("a new one")
	w.promptly(allGood)
	if now := w.secret("contoso-xdr"); now.UID == frozen.UID || now.Immutable != nil {
		t.Error("the Secret is still immutable")
	}
	freeze()
	w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	w.promptly(denied)
	w.expectSecret("contoso-xdr", "AccessRevoked")
}

func TestASecretThatAFinalizerHoldsIsEmptiedAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(xdrToken())
	edit(w, w.secret("contoso-xdr"), func(s *corev1.Secret) { s.Finalizers = []string{"example.com/hold"} })
	w.must(w.Delete(w.ctx, w.secret("contoso-xdr")))
	w.shown(w.secret("contoso-xdr"))
	w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	w.expectSecret("contoso-xdr", "AccessRevoked")
	edit(w, w.secret("contoso-xdr"), func(s *corev1.Secret) { s.Finalizers = nil })
	w.atOnce("the Secret is gone", func() bool { return w.secret("contoso-xdr") == nil })
}

func TestARenamedTokenOfAFormerShapeIsMovedAndThenMadeFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(xdrToken())
	before := string(w.secret("contoso-xdr").Data["token"])
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) {
		o.Spec.Tokens[0].SecretName, o.Spec.Tokens[0].Formats = "elsewhere", allFormats()
	})
	w.atOnce("the token stands under its new name", func() bool { return w.secret("elsewhere") != nil && w.secret("contoso-xdr") == nil })
	if string(w.secret("elsewhere").Data["token"]) != before {
		t.Error("it is another token")
	}
	w.entra.Clear(customer)
	w.pass(time.Minute)
	w.expect(allGood)
	if len(w.secret("elsewhere").Data["token.json"]) == 0 {
		t.Error("the new format is missing")
	}
}
