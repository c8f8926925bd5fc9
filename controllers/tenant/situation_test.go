package tenant_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// situation is one row of the table of conditions: each entry is a status, with the
// reason where it matters.
type situation struct{ ready, consent, degraded, stalled, kstatus string }

var allGood = situation{ready: "True TokensReady", consent: "True ConsentGranted", degraded: "False", stalled: "False", kstatus: "Current"}

// expect waits for a situation and then checks everything that must hold in any.
func (w *world) expect(want situation) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%+v", want), func() bool {
		object := w.tenant()
		return object.Status.ObservedGeneration == object.Generation && matches(object.Status.Conditions, want)
	})
	w.settle()
	w.checkStatus(want)
}

// promptly waits for a situation that comes without any time passing.
func (w *world) promptly(want situation) {
	w.t.Helper()
	w.atOnce(fmt.Sprintf("%+v", want), func() bool {
		object := w.tenant()
		return object.Status.ObservedGeneration == object.Generation && matches(object.Status.Conditions, want)
	})
	w.settle()
	w.checkStatus(want)
}

func matches(conditions []metav1.Condition, want situation) bool {
	for kind, text := range map[string]string{"Ready": want.ready, "ConsentGranted": want.consent, "Degraded": want.degraded, "Stalled": want.stalled} {
		found := false
		for _, c := range conditions {
			found = found || c.Type == kind && strings.HasPrefix(string(c.Status)+" "+c.Reason, text)
		}
		if !found {
			return false
		}
	}
	return true
}

// checkStatus is the conformance checker: kstatus, generations and the truth of each
// condition against the Secrets themselves.
func (w *world) checkStatus(want situation) {
	w.t.Helper()
	object := w.tenant()
	if object.Status.ObservedGeneration != object.Generation {
		w.t.Errorf("observedGeneration %d, generation %d", object.Status.ObservedGeneration, object.Generation)
	}
	for _, c := range object.Status.Conditions {
		if c.ObservedGeneration != object.Generation {
			w.t.Errorf("condition %s speaks of generation %d, not %d", c.Type, c.ObservedGeneration, object.Generation)
		}
		if c.Message == "" || c.Reason == "" {
			w.t.Errorf("condition %s has no message or no reason", c.Type)
		}
	}
	if got := w.kstatus(object); got != want.kstatus {
		w.t.Errorf("kstatus %s, want %s", got, want.kstatus)
	}
	ready := strings.HasPrefix(want.ready, "True")
	for _, entry := range object.Status.Tokens {
		w.checkToken(entry)
		if ready && !entry.Ready && !w.optional(object, entry.Name) {
			w.t.Errorf("Ready is True, but token %s is not", entry.Name)
		}
	}
}

func (w *world) optional(object *v1alpha1.DefenderTenant, name string) bool {
	for _, spec := range object.Spec.Tokens {
		if spec.Name == name {
			return spec.Optional
		}
	}
	return false
}

// checkToken compares what the status says of one token with its Secret.
func (w *world) checkToken(entry v1alpha1.TokenStatus) {
	w.t.Helper()
	secret := w.secret(entry.SecretName)
	if !entry.Ready {
		return
	}
	if secret == nil {
		w.t.Errorf("token %s is ready, but Secret %s does not exist", entry.Name, entry.SecretName)
		return
	}
	if string(secret.Data["state"]) != "Valid" || len(secret.Data["token"]) == 0 {
		w.t.Errorf("token %s is ready, but its Secret says %q", entry.Name, secret.Data["state"])
	}
	expires, err := time.Parse(time.RFC3339, string(secret.Data["expiresAt"]))
	if err != nil || !expires.After(w.clock.Now()) || !expires.Equal(entry.ExpiresAt.Time) {
		w.t.Errorf("token %s ends at %q in its Secret, at %v in status, now is %v", entry.Name, secret.Data["expiresAt"], entry.ExpiresAt, w.clock.Now())
	}
}

func (w *world) kstatus(object *v1alpha1.DefenderTenant) string {
	w.t.Helper()
	object.APIVersion, object.Kind = v1alpha1.GroupVersion.String(), "DefenderTenant"
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	w.must(err)
	result, err := kstatus.Compute(&unstructured.Unstructured{Object: fields})
	w.must(err)
	return string(result.Status)
}

// expectSecret waits for a Secret in a state and checks that its keys tell one story.
func (w *world) expectSecret(name, state string) {
	w.t.Helper()
	w.eventually("Secret "+name+" says "+state, func() bool {
		secret := w.secret(name)
		return secret != nil && string(secret.Data["state"]) == state
	})
	secret := w.secret(name)
	if secret.Type != "defender.tenant-operator.dev/access-token" || secret.Labels["app.kubernetes.io/managed-by"] != "defender-tenant-operator" {
		w.t.Errorf("Secret %s has type %q and labels %v", name, secret.Type, secret.Labels)
	}
	token := string(secret.Data["token"])
	if state != "Valid" {
		if token != "" || len(secret.Data["authorization"]) > 0 || len(secret.Data["expiresAt"]) > 0 {
			w.t.Errorf("Secret %s says %s but still holds a token", name, state)
		}
		return
	}
	if string(secret.Data["authorization"]) != "Bearer "+token || token == "" {
		w.t.Errorf("Secret %s: authorization does not carry the token", name)
	}
	if text := secret.Data["token.json"]; text != nil {
		var object map[string]string
		if err := json.Unmarshal(text, &object); err != nil || object["token"] != token {
			w.t.Errorf("Secret %s: token.json does not carry the token", name)
		}
	}
}
