package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// API is the name of a preset: an API with its audiences, roles and hosts.
// +kubebuilder:validation:Enum=DefenderXDR;DefenderForEndpoint;MicrosoftGraph
type API string

// The presets.
const (
	// APIDefenderXDR is the Microsoft Defender XDR API (incidents, advanced hunting).
	APIDefenderXDR API = "DefenderXDR"
	// APIDefenderForEndpoint is the Microsoft Defender for Endpoint API.
	APIDefenderForEndpoint API = "DefenderForEndpoint"
	// APIMicrosoftGraph is Microsoft Graph, whose security namespace succeeds both.
	APIMicrosoftGraph API = "MicrosoftGraph"
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

// Format is a further form in which a token is written into its Secret.
// +kubebuilder:validation:Enum=JSON;Env
type Format string

// The formats.
const (
	// FormatJSON adds the key token.json.
	FormatJSON Format = "JSON"
	// FormatEnv adds the key token.env, lines of NAME=value for a shell.
	FormatEnv Format = "Env"
)

// ExpiryPolicy says what becomes of a token that ends without a successor.
// +kubebuilder:validation:Enum=Clear;Keep;Delete
type ExpiryPolicy string

// The expiry policies. An empty value means ExpiryClear.
const (
	// ExpiryClear keeps the Secret and its keys and empties the token, so that mounted
	// files are updated.
	ExpiryClear ExpiryPolicy = "Clear"
	// ExpiryKeep only marks the Secret as expired.
	ExpiryKeep ExpiryPolicy = "Keep"
	// ExpiryDelete removes the Secret. Pods that already run keep the last files.
	ExpiryDelete ExpiryPolicy = "Delete"
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

// TokenSpec is one wanted token: for which API, with which roles, into which Secret.
//
// +kubebuilder:validation:XValidation:rule="has(self.api) != has(self.resource)",message="exactly one of api and resource must be set"
type TokenSpec struct {
	// name identifies the token within the DefenderTenant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// api is the preset of the API that the token is for.
	// +optional
	API API `json:"api,omitempty"`

	// resource is the https URI of an API without a preset, exactly as Entra ID knows it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\s"'<>\\^{|}]+$`
	Resource string `json:"resource,omitempty"`

	// requiredRoles are the application roles that the workload needs. A token without
	// all of them is not published. Empty means at least one role of any kind.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9][A-Za-z0-9._-]*$`
	RequiredRoles []string `json:"requiredRoles,omitempty"`

	// optional tokens are reported but left out of Ready and ConsentGranted, for adding
	// an API to a customer who already works.
	// +optional
	Optional bool `json:"optional,omitempty"`

	// secretName is the name of the Secret; <name of the DefenderTenant>-<name of the token> when empty.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	SecretName string `json:"secretName,omitempty"`

	// formats are further forms in which the token is written.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	Formats []Format `json:"formats,omitempty"`

	// refreshAfterPercent is the part of the token's real lifetime after which it is
	// renewed, in percent; 50 when empty. The rest is the time that an outage of Entra ID
	// may last without harm.
	// +optional
	// +kubebuilder:validation:Minimum=35
	// +kubebuilder:validation:Maximum=80
	RefreshAfterPercent int32 `json:"refreshAfterPercent,omitempty"`

	// onExpiry says what becomes of a token that ends without a successor: Clear (when
	// empty), Keep or Delete.
	// +optional
	OnExpiry ExpiryPolicy `json:"onExpiry,omitempty"`
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
	// +kubebuilder:validation:MaxLength=2048
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

// TokenStatus is what is known of one token. It holds no part of the token itself.
type TokenStatus struct {
	// name is the name of the token.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// secretName is the Secret that holds the token, or will.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// ready is whether the Secret holds a token that works.
	// +required
	Ready bool `json:"ready"`

	// issuedAt is when the held token was issued.
	// +optional
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`

	// expiresAt is when the held token ends.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// refreshAt is when the held token is renewed.
	// +optional
	RefreshAt *metav1.Time `json:"refreshAt,omitempty"`

	// grantedRoles are the application roles in the token that Entra ID issued last.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=128
	GrantedRoles []string `json:"grantedRoles,omitempty"`

	// missingRoles are the required roles that it lacks.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=128
	MissingRoles []string `json:"missingRoles,omitempty"`

	// tokenID is the unique identifier (uti) of the held token, as it stands in Entra ID's sign-in logs.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TokenID string `json:"tokenID,omitempty"`

	// failure is why the last attempt did not succeed. It is written when reason or code
	// change, then left alone.
	// +optional
	Failure *TokenFailure `json:"failure,omitempty"`
}

// TokenFailure is one failure of one token.
type TokenFailure struct {
	// reason is one of the reasons of this API, stable for alerts.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`

	// message is a sentence that names who must do what.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// code is the number of the AADSTS error, where Entra ID gave one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Code int64 `json:"code,omitempty"`

	// since is when this reason and code were first seen.
	// +required
	Since metav1.Time `json:"since"`

	// traceID is Entra ID's trace ID of the first such answer, for a support request.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TraceID string `json:"traceID,omitempty"`
}

// DefenderTenantList is a list of DefenderTenants.
//
// +kubebuilder:object:root=true
type DefenderTenantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DefenderTenant `json:"items"`
}
