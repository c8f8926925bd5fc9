package tenant_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// TestADayInTheLifeOfATenant goes through everything that a customer's object meets, in
// order, on a clock that drives the queue too.
func TestADayInTheLifeOfATenant(t *testing.T) {
	w := newWorld(t)
	w.grant()
	w.entra.SetLifetime(customer, 10*time.Hour)
	w.apply()

	// Nobody consented.
	w.expect(situation{ready: "False ConsentRequired", consent: "False ConsentRequired", degraded: "False", stalled: "False", kstatus: "InProgress"})
	if w.secret("contoso-xdr") != nil {
		t.Error("a Secret exists before the first token")
	}
	if link := w.tenant().Status.ConsentURL; link != w.entra.URL()+"/"+customer+"/adminconsent?client_id="+clientID {
		t.Errorf("consent link %q", link)
	}

	// Consent: found by polling, within the interval of the first quarter of an hour.
	w.entra.Consent(customer, clientID)
	w.pass(2 * time.Minute)
	w.expect(allGood)
	w.expectSecret("contoso-xdr", "Valid")

	// Kept for hours: no request, no write.
	requests := w.requests()
	secrets, status := w.writes.totals()
	w.pass(3*time.Hour + 50*time.Minute)
	if n := w.requests(); n != requests {
		t.Errorf("%d token requests while the token was good, want none", n-requests)
	}
	if s, st := w.writes.totals(); s != secrets || st != status {
		t.Errorf("%d Secret and %d status writes while the token was good, want none", s-secrets, st-status)
	}

	// Refreshed by half-life: one request, one Secret write, one status write.
	first := w.tenant().Status.ExpiresAt
	w.pass(75 * time.Minute)
	w.expect(allGood)
	if n := w.requests(); n != requests+1 {
		t.Errorf("%d token requests for one refresh, want 1", n-requests)
	}
	if s, st := w.writes.totals(); s != secrets+1 || st != status+1 {
		t.Errorf("%d Secret and %d status writes for one refresh, want 1 and 1", s-secrets, st-status)
	}
	if second := w.tenant().Status.ExpiresAt; !second.After(first.Time) {
		t.Errorf("the token ends at %v after the refresh, at %v before", second, first)
	}

	// Entra down: Ready and Degraded.
	w.entra.Inject(customer, emulator.Fault{Status: 503, Body: "{}"}, 0)
	w.pass(5*time.Hour + time.Minute)
	w.expect(situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "True RefreshFailing", stalled: "False", kstatus: "Current"})
	w.expectSecret("contoso-xdr", "Valid")

	// Expired: emptied, not Ready.
	w.pass(5 * time.Hour)
	w.expect(situation{ready: "False TokenExpired", consent: "True ConsentGranted", degraded: "False", stalled: "False", kstatus: "InProgress"})
	w.expectSecret("contoso-xdr", "Expired")

	// Recovered.
	w.entra.Clear(customer)
	w.pass(time.Minute)
	w.expect(allGood)
	w.expectSecret("contoso-xdr", "Valid")

	// The Secret is deleted by hand.
	w.must(w.Delete(w.ctx, w.secret("contoso-xdr")))
	w.eventually("the Secret is back", func() bool { return w.secret("contoso-xdr") != nil })
	w.expect(allGood)

	// A foreign Secret has the name.
	w.halt()
	w.must(w.Delete(w.ctx, w.secret("contoso-xdr")))
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso-xdr"}, Data: map[string][]byte{"mine": []byte("yes")}}
	w.create(foreign)
	requests = w.requests()
	w.start()
	w.expect(situation{ready: "False SecretConflict", consent: "Unknown SecretConflict", degraded: "False", stalled: "True SecretConflict", kstatus: "Failed"})
	if found := w.secret("contoso-xdr"); found.ResourceVersion != foreign.ResourceVersion {
		t.Error("the foreign Secret was written")
	}
	if w.requests() != requests {
		t.Error("Entra ID was asked although the token could not be stored")
	}
	w.must(w.Delete(w.ctx, foreign))
	w.pass(2 * time.Minute)
	w.expect(allGood)

	// The grant is revoked.
	w.must(w.Delete(w.ctx, &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	w.expect(situation{ready: "False AccessDenied", consent: "Unknown AccessDenied", degraded: "False", stalled: "True AccessDenied", kstatus: "Failed"})
	w.expectSecret("contoso-xdr", "AccessRevoked")
}
