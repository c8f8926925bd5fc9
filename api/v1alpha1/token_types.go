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
