package tenant_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	emulator "github.com/defender-tenant/operator/test/entra"
)

const (
	nextSecret  = clientSecret + "-next"
	wrongSecret = clientSecret + "-mistyped"
)

// credentials tells how the status shows each credential.
func (w *world) credentials() string {
	w.t.Helper()
	var all []string
	for _, c := range w.defenderApp().Status.Credentials {
		text := c.Name + " unknown"
		if c.Accepted != nil && *c.Accepted {
			text = c.Name + " accepted"
		} else if c.Accepted != nil {
			text = c.Name + " not accepted"
		}
		all = append(all, strings.TrimSpace(text+" "+c.Reason))
	}
	return strings.Join(all, ", ")
}

func (w *world) credential(name string) v1alpha1.CredentialStatus {
	w.t.Helper()
	status := w.defenderApp().Status.Credentials
	i := slices.IndexFunc(status, func(c v1alpha1.CredentialStatus) bool { return c.Name == name })
	if i < 0 {
		w.t.Fatalf("status says nothing of credential %s: %+v", name, status)
	}
	return status[i]
}

func (w *world) expectCredentials(want string) {
	w.t.Helper()
	w.atOnce("credentials: "+want, func() bool { return w.credentials() == want })
}

// storeSecret puts a value into the Secret of the credential.
func (w *world) storeSecret(value string) {
	w.t.Helper()
	edit(w, w.secret("credential"), func(s *corev1.Secret) { s.Data["client-secret"] = []byte(value) })
}

// noRefreshFailed looks whether any customer ever noticed.
func (w *world) noRefreshFailed() {
	w.t.Helper()
	if strings.Contains(w.log.String(), "Got no token") {
		w.t.Errorf("a refresh failed:\n%s", w.describe())
	}
	w.promptly(allGood)
}

// refused counts the token requests that Entra ID answered with this code.
func (w *world) refused(code int) int {
	n := 0
	for _, r := range w.entra.Requests() {
		if r.Kind == emulator.Token && r.Code == code {
			n++
		}
	}
	return n
}

// secondCredential adds a standby behind the credential of the harness, in a Secret of its own.
func (w *world) secondCredential() {
	w.t.Helper()
	w.entra.AddSecret(clientID, nextSecret, time.Time{})
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "standby"},
		Data:       map[string][]byte{"client-secret": []byte(nextSecret)},
	})
	edit(w, w.defenderApp(), func(o *v1alpha1.DefenderApp) {
		o.Spec.Credentials = append(o.Spec.Credentials, v1alpha1.Credential{
			Name: "standby", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: "standby"}},
		})
	})
}

func TestAMistypedSecretReachesNoCustomerAndTheRightOneIsFoundWithoutARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.expectCredentials("secret accepted")

	w.storeSecret(wrongSecret)
	w.expectCredentials("secret not accepted CredentialRefused")
	if c := apimeta.FindStatusCondition(w.defenderApp().Status.Conditions, "CredentialAccepted"); c.Status != "True" ||
		!strings.HasPrefix(c.Message, "Entra ID accepts the former version of credential secret, which stays in use until it accepts a new one. Entra ID refuses the client secret of application "+clientID) {
		t.Errorf("got %+v", c)
	}
	if got := w.appCondition("Ready"); got != "True CredentialReady" {
		t.Errorf("Ready is %s", got)
	}
	before := w.token("contoso-xdr")
	w.pass(21 * time.Minute) // of tokens that live for ten
	if w.token("contoso-xdr") == before {
		t.Error("no refresh in 21 minutes")
	}
	w.noRefreshFailed()
	if n := w.refused(7000215); n != 5 {
		t.Errorf("the wrong one was sent %d times, want 5: once at first, and then every five minutes", n)
	}

	w.entra.AddSecret(clientID, nextSecret, time.Time{})
	w.storeSecret(nextSecret)
	w.expectCredentials("secret accepted")
	w.entra.RemoveSecret(clientID, clientSecret)
	w.pass(21 * time.Minute)
	w.noRefreshFailed()
	if n := w.refused(7000215); n != 5 {
		t.Errorf("%d refusals after the right one was stored", n-5)
	}
}

func TestANewVersionIsOnTrialUntilThereIsACanary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.expectCredentials("secret accepted")
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = true })
	w.shown(w.tenant())
	requests := w.requests()

	w.entra.AddSecret(clientID, nextSecret, time.Time{})
	w.storeSecret(nextSecret)
	w.expectCredentials("secret unknown CredentialOnTrial")
	w.pass(2 * time.Minute)
	w.expectCredentials("secret unknown CredentialOnTrial")
	if n := w.requests() - requests; n != 0 {
		t.Errorf("%d requests for a customer who is suspended", n)
	}
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { o.Spec.Suspend = false })
	w.shown(w.tenant())
	w.pass(15 * time.Second)
	w.expectCredentials("secret accepted")
	w.noRefreshFailed()
}

func TestASecondCredentialTakesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.expectCredentials("secret accepted")
	w.secondCredential()
	w.expectCredentials("secret accepted, standby accepted")
	if standby := w.credential("standby"); standby.LastUsedAt != nil || standby.CheckedAt == nil {
		t.Errorf("a proof is no use: %+v", standby)
	}

	// Somebody deletes the first in Entra ID before anything else.
	w.entra.RemoveSecret(clientID, clientSecret)
	before := w.token("contoso-xdr")
	w.ask("for a token with the next one")
	w.promptly(allGood)
	if w.token("contoso-xdr") == before {
		t.Error("no new token")
	}
	w.pass(15 * time.Second)
	w.expectCredentials("secret not accepted CredentialRefused, standby accepted")
	if got := apimeta.FindStatusCondition(w.defenderApp().Status.Conditions, "CredentialAccepted").Message; got != "Entra ID accepts credential standby." {
		t.Errorf("got %s", got)
	}
	if w.credential("standby").LastUsedAt == nil {
		t.Error("the status does not tell that the standby is in use")
	}

	// And then its entry.
	edit(w, w.defenderApp(), func(o *v1alpha1.DefenderApp) { o.Spec.Credentials = o.Spec.Credentials[1:] })
	w.expectCredentials("standby accepted")
	refusals := w.refused(7000215)
	w.pass(21 * time.Minute)
	w.noRefreshFailed()
	if n := w.refused(7000215) - refusals; n != 0 {
		t.Errorf("the deleted credential was sent %d times more", n)
	}
}

func TestAStandbyIsProvedOnChangeAndOnceADay(t *testing.T) {
	t.Parallel()
	w := awake(t)
	w.settled(20 * time.Hour) // the token is renewed every ten
	w.expectCredentials("secret accepted")
	// extra counts the requests that no Secret was written for.
	secrets, _ := w.writes.totals()
	requests := w.requests()
	extra := func() int {
		s, _ := w.writes.totals()
		return w.requests() - requests - (s - secrets)
	}

	w.secondCredential()
	w.expectCredentials("secret accepted, standby accepted")
	w.settle()
	if n := extra(); n != 1 {
		t.Errorf("%d requests to prove the new one, want 1", n)
	}
	w.leap(24*time.Hour-time.Minute, 10*time.Minute)
	if n := extra(); n != 1 {
		t.Errorf("%d further requests within a day, want none", n-1)
	}
	w.leap(2*time.Minute, 15*time.Second)
	if n := extra(); n != 2 {
		t.Errorf("%d requests a day later, want 1", n-1)
	}
	checked := w.credential("standby").CheckedAt
	if age := w.clock.Now().Sub(checked.Time); age > 2*time.Minute {
		t.Errorf("the status tells of a proof %s ago", age)
	}

	w.halt()
	w.restart()
	w.leap(2*time.Hour, 10*time.Minute)
	if n := extra(); n != 2 {
		t.Errorf("%d requests after a restart, want none", n-2)
	}
	w.expectCredentials("secret accepted, standby accepted")
	w.noRefreshFailed()
}
