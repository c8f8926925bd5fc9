package tenant

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

func TestOurs_NeedsTypeAndOwner(t *testing.T) {
	controller := true
	owner := metav1.OwnerReference{APIVersion: "defender.tenant-operator.dev/v1alpha1", Kind: "DefenderTenant", Name: "contoso", UID: "1", Controller: &controller}
	secret := func(change func(*corev1.Secret)) *corev1.Secret {
		s := &corev1.Secret{Type: "defender.tenant-operator.dev/access-token", ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{owner}}}
		change(s)
		return s
	}
	for name, row := range map[string]struct {
		change func(*corev1.Secret)
		want   bool
	}{
		"as the operator writes it":      {func(*corev1.Secret) {}, true},
		"of a later version of the API":  {func(s *corev1.Secret) { s.OwnerReferences[0].APIVersion = "defender.tenant-operator.dev/v1" }, true},
		"of another type":                {func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }, false},
		"without an owner":               {func(s *corev1.Secret) { s.OwnerReferences = nil }, false},
		"with an owner of another group": {func(s *corev1.Secret) { s.OwnerReferences[0].APIVersion = "example.com/v1alpha1" }, false},
		"with an owner of another kind":  {func(s *corev1.Secret) { s.OwnerReferences[0].Kind = "DefenderApp" }, false},
		"without a controller":           {func(s *corev1.Secret) { s.OwnerReferences[0].Controller = nil }, false},
	} {
		if got := Ours(secret(row.change)); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
}

func TestEmpty_LeavesNothingThatCouldBeAToken(t *testing.T) {
	full := map[string]string{
		"token": "t", "authorization": "Bearer t", "expiresAt": "soon", "token.json": "{t}", "token.env": "T=t",
		"tenantID": "tenant", "clientID": "client", "resource": "resource", "apiURL": "url", "state": "Valid",
	}
	empty := map[string]string{
		"token": "", "authorization": "", "expiresAt": "", "token.json": "", "token.env": "",
		"tenantID": "tenant", "clientID": "client", "resource": "resource", "apiURL": "url", "state": "Suspended",
	}
	tampered := map[string]string{
		"token": "", "authorization": "", "expiresAt": "", "token.json": "", "token.env": "",
		"tenantID": "", "clientID": "", "resource": "", "apiURL": "", "state": "Suspended",
	}
	for name, row := range map[string]struct {
		change func(*corev1.Secret)
		want   map[string]string
	}{
		"as the operator wrote it": {func(*corev1.Secret) {}, empty},
		// A token may hide anywhere in what somebody else wrote.
		"with a key of somebody else's":   {func(s *corev1.Secret) { s.Data["copy"] = []byte("t") }, tampered},
		"with a state of somebody else's": {func(s *corev1.Secret) { s.Data["state"] = []byte("t") }, tampered},
		"with a value of somebody else's": {func(s *corev1.Secret) { s.Data["apiURL"] = []byte("t") }, tampered},
	} {
		secret := &corev1.Secret{Data: map[string][]byte{}}
		for key, value := range full {
			secret.Data[key] = []byte(value)
		}
		secret.Annotations = map[string]string{v1alpha1.DigestAnnotation: digest(secret.Data, nil)}
		row.change(secret)
		if !Empty(secret) {
			t.Errorf("%s: it says there is nothing to take", name)
		}
		got := map[string]string{}
		for key, value := range secret.Data {
			got[key] = string(value)
		}
		if !maps.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
		if !factsOf(secret).Intact {
			t.Errorf("%s: the operator that comes back would take it for somebody else's work", name)
		}
		if Empty(secret) {
			t.Errorf("%s: it is not empty yet", name)
		}
	}
}
