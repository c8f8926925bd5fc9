package tenant

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// Ours tells whether the operator wrote a Secret for any DefenderTenant, which may be gone.
func Ours(secret *corev1.Secret) bool {
	owner := metav1.GetControllerOf(secret)
	if secret.Type != v1alpha1.SecretType || owner == nil || owner.UID == "" || owner.Kind != "DefenderTenant" {
		return false
	}
	version, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && version.Group == v1alpha1.Group
}

// Empty takes the token out of a Secret of ours when the operator goes and nobody will renew it any more. It tells
// whether there was anything to take. All keys of ours stay, or the kubelet would not update volumes that name them.
// What an intact Secret says of its customer stays as well; where somebody else wrote it, nothing does.
func Empty(secret *corev1.Secret) bool {
	var harmless []string
	if factsOf(secret).Intact {
		harmless = []string{v1alpha1.KeyTenantID, v1alpha1.KeyClientID, v1alpha1.KeyResource, v1alpha1.KeyAPIURL, v1alpha1.KeyState}
	}
	c := contents{data: map[string][]byte{}, annotations: map[string]string{}}
	found := false
	for key, value := range secret.Data {
		switch {
		case slices.Contains(harmless, key):
			c.data[key] = value
			continue
		case slices.Contains(dataKeys(), key):
			c.data[key] = []byte{}
		}
		found = found || len(value) > 0
	}
	if !found {
		return false
	}
	c.data[v1alpha1.KeyState] = []byte(v1alpha1.StateSuspended)
	c.seal()
	c.writeTo(secret)
	return true
}

// dataKeys are all that a Secret of ours may have.
func dataKeys() []string {
	return []string{
		v1alpha1.KeyToken, v1alpha1.KeyAuthorization, v1alpha1.KeyExpiresAt, v1alpha1.KeyTenantID, v1alpha1.KeyClientID,
		v1alpha1.KeyResource, v1alpha1.KeyAPIURL, v1alpha1.KeyState, v1alpha1.KeyTokenJSON, v1alpha1.KeyTokenEnv,
	}
}
