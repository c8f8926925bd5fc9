package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Region names where a customer's Defender data lives. It selects the API host that
// is written into the Secret.
// +kubebuilder:validation:Enum=Default;US;EU;UK;AU;SWA;INA;AEA;GCC;GCCHigh;DoD
type Region string

// RegionDefault is the host that finds the customer's region by itself. An empty
// value means RegionDefault.
const RegionDefault Region = "Default"

// The regions of the Public cloud.
const (
	RegionUS  Region = "US"
	RegionEU  Region = "EU"
	RegionUK  Region = "UK"
	RegionAU  Region = "AU"
	RegionSWA Region = "SWA"
	RegionINA Region = "INA"
	RegionAEA Region = "AEA"
	RegionGCC Region = "GCC"
)

// The regions of the USGovernment cloud.
const (
	RegionGCCHigh Region = "GCCHigh"
	RegionDoD     Region = "DoD"
)

// DefenderTenant is one customer's Microsoft Entra tenant. While it is Ready, the
// Secrets it names hold access tokens for the customer's Defender APIs that work.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=dt,categories=defender
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=`.spec.tenantID`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Consent",type=string,JSONPath=`.status.conditions[?(@.type=="ConsentGranted")].status`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="Refresh",type=string,JSONPath=`.status.refreshAt`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.spec.app`,priority=1
// +kubebuilder:printcolumn:name="Missing roles",type=string,JSONPath=`.status.missingRoles`,priority=1
// +kubebuilder:printcolumn:name="Secrets",type=string,JSONPath=`.status.secretNames`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.tenantID`
// +kubebuilder:selectablefield:JSONPath=`.spec.app`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 189",message="metadata.name must have at most 189 characters, so that <name>-<token> is a valid Secret name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.tokens) || self.spec.tokens.all(t, self.spec.tokens.exists_one(u, (has(u.secretName) ? u.secretName : self.metadata.name + '-' + u.name) == (has(t.secretName) ? t.secretName : self.metadata.name + '-' + t.name)))",message="two tokens cannot share a Secret: give each its own secretName"
type DefenderTenant struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the namespace team wants.
	// +required
	Spec DefenderTenantSpec `json:"spec"`
	// status is what the operator saw.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status DefenderTenantStatus `json:"status,omitempty"`
}

// DefenderTenantSpec names the customer and the tokens that are wanted. No field
// names another namespace or a URL of a login host.
type DefenderTenantSpec struct {
	// tenantID is the customer's Entra tenant: a lower-case GUID, never a domain name
	// and never common, organizations or consumers. It cannot be changed.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="tenantID must be the tenant's ID, a GUID in lower case (Entra admin center, Overview): no domain name, no common or organizations"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="tenantID cannot be changed: create another DefenderTenant"
	TenantID string `json:"tenantID"`

	// app is the name of the DefenderApp to request tokens with. When it changes, the
	// held token stays until one of the new application has passed all checks.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	App string `json:"app"`

	// region is where the customer's Defender data lives; Default when empty.
	// +optional
	Region Region `json:"region,omitempty"`

	// suspend stops all token requests for this customer. Tokens already held run to
	// their end.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// tokens are the tokens that are wanted. When absent, one DefenderXDR token named xdr.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Tokens []TokenSpec `json:"tokens,omitempty"`
}

// DefenderTenantStatus is what the operator saw of the customer.
type DefenderTenantStatus struct {
	// observedGeneration is the generation that the rest of the status speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, ConsentGranted, Degraded and Stalled, and APIRetiring while
	// an API in use is close to its end.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// consentURL is the link that the customer's administrator opens to consent.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	ConsentURL string `json:"consentURL,omitempty"`

	// lastHandledRefresh is the value of the annotation refresh-requested of this object
	// that was last acted upon.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledRefresh string `json:"lastHandledRefresh,omitempty"`

	// lastHandledAppRefresh is the value of the annotation refresh-requested of the
	// DefenderApp that was last acted upon.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledAppRefresh string `json:"lastHandledAppRefresh,omitempty"`

	// expiresAt is when the first of the held tokens ends.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// refreshAt is when the first of the held tokens is renewed.
	// +optional
	RefreshAt *metav1.Time `json:"refreshAt,omitempty"`

	// secretNames are the Secrets that hold this customer's tokens.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=253
	SecretNames []string `json:"secretNames,omitempty"`

	// missingRoles are the required roles that the customer has not granted, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	MissingRoles string `json:"missingRoles,omitempty"`

	// tokens tells of each token on its own.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Tokens []TokenStatus `json:"tokens,omitempty"`
}

// DefenderTenantList is a list of DefenderTenants.
//
// +kubebuilder:object:root=true
type DefenderTenantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DefenderTenant `json:"items"`
}
