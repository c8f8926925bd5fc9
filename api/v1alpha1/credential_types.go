package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Credential is one way to prove the application's identity. Exactly one kind is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.workloadIdentity), has(self.keyVault), has(self.certificate), has(self.clientSecret)].filter(x, x).size() == 1",message="exactly one of workloadIdentity, keyVault, certificate and clientSecret must be set"
type Credential struct {
	// name identifies the credential in status and messages.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// workloadIdentity uses the operator's projected service-account token as client
	// assertion, so that no secret exists at all.
	// +optional
	WorkloadIdentity *WorkloadIdentityCredential `json:"workloadIdentity,omitempty"`

	// keyVault uses a key that never leaves Azure Key Vault, or a client secret that is kept
	// there. The vault is opened with the first credential of kind workloadIdentity or
	// certificate in the same list, and spec.homeTenantID.
	// +optional
	KeyVault *KeyVaultCredential `json:"keyVault,omitempty"`

	// certificate signs client assertions with an RSA key.
	// +optional
	Certificate *CertificateCredential `json:"certificate,omitempty"`

	// clientSecret sends a client secret.
	// +optional
	ClientSecret *ClientSecretCredential `json:"clientSecret,omitempty"`
}

// WorkloadIdentityCredential has no fields: issuer, subject and audience follow
// from the operator's own service account and the cloud.
type WorkloadIdentityCredential struct{}

// KeyVaultCredential names a certificate whose key signs inside Azure Key Vault, or
// a client secret that is read from there.
//
// +kubebuilder:validation:XValidation:rule="has(self.certificateName) != has(self.secretName)",message="exactly one of certificateName and secretName must be set"
type KeyVaultCredential struct {
	// vaultName is the name of the vault; its host follows from the cloud.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^[a-zA-Z](-?[a-zA-Z0-9])+$`
	VaultName string `json:"vaultName"`

	// certificateName is the certificate whose key signs the client assertion.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	// +kubebuilder:validation:Pattern=`^[0-9a-zA-Z-]+$`
	CertificateName string `json:"certificateName,omitempty"`

	// secretName is the Key Vault secret that holds the client secret.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	// +kubebuilder:validation:Pattern=`^[0-9a-zA-Z-]+$`
	SecretName string `json:"secretName,omitempty"`
}

// CertificateCredential names a Secret of the operator's own namespace that holds
// tls.crt (the certificate and its chain, PEM) and tls.key (one unencrypted RSA key, PEM).
type CertificateCredential struct {
	// secretRef names the Secret.
	// +required
	SecretRef SecretReference `json:"secretRef"`
}

// ClientSecretCredential names a Secret of the operator's own namespace that holds
// the value (not the ID) of a client secret.
type ClientSecretCredential struct {
	// secretRef names the Secret and the key in it.
	// +required
	SecretRef SecretKeyReference `json:"secretRef"`

	// expiresAt is when the client secret expires. Entra ID does not tell the operator, so
	// nobody can be warned in time without it. If it is absent, the annotation
	// defender.tenant-operator.dev/expires-at of the Secret counts.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// SecretReference names a Secret in the operator's own namespace.
type SecretReference struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
}

// DefaultClientSecretKey is the key that is read when a SecretKeyReference names none.
const DefaultClientSecretKey = "client-secret"

// SecretKeyReference names one key of a Secret in the operator's own namespace.
type SecretKeyReference struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// key is the key within the Secret; client-secret when empty.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// CredentialStatus is what is known of one credential. Its times move at most once an hour.
type CredentialStatus struct {
	// name is the name of the credential.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// fingerprint tells two versions of a credential apart without giving it away: the
	// SHA-256 thumbprint of a certificate, the first digits of a digest of a client secret, or
	// of issuer, subject and audience of the operator's service-account token.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// accepted is whether Entra ID accepts this version of the credential; absent until it is
	// known. Where a former version stays in use meanwhile, the condition CredentialAccepted
	// says so.
	// +optional
	Accepted *bool `json:"accepted,omitempty"`

	// reason says why the credential is not accepted or cannot be used.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// checkedAt is when Entra ID last judged the credential.
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`

	// lastUsedAt is when a customer's token was last obtained with the credential. A proof
	// moves checkedAt only.
	// +optional
	LastUsedAt *metav1.Time `json:"lastUsedAt,omitempty"`

	// expiresAt is the end of the certificate, or what the spec, the Secret's annotation or
	// the vault says of the client secret. Service-account tokens are renewed by themselves.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}
