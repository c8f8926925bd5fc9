package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cloud names one of Microsoft's separate clouds. Each has its own login host,
// its own app registrations and its own API hosts; the hosts come from a table
// in the operator, never from a custom resource.
// +kubebuilder:validation:Enum=Public;USGovernment;China
type Cloud string

// The clouds. An empty value means CloudPublic.
const (
	CloudPublic       Cloud = "Public"
	CloudUSGovernment Cloud = "USGovernment"
	CloudChina        Cloud = "China"
)

// DefenderApp is one multi-tenant application registration in Microsoft Entra ID
// together with the credentials that prove the operator may act as it. It
// belongs to the platform team.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=dapp,categories=defender
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.spec.clientID`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="CredentialAccepted")].status`
// +kubebuilder:printcolumn:name="Reachable",type=string,JSONPath=`.status.conditions[?(@.type=="EntraReachable")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.clientID`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must have at most 63 characters"
type DefenderApp struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the platform team wants.
	// +required
	Spec DefenderAppSpec `json:"spec"`
	// status is what the operator saw.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status DefenderAppStatus `json:"status,omitempty"`
}

// DefenderAppSpec describes the application registration.
type DefenderAppSpec struct {
	// clientID is the application (client) ID of the registration, a lower-case GUID.
	// +required
	// +kubebuilder:validation:MinLength=36
	// +kubebuilder:validation:MaxLength=36
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`
	ClientID string `json:"clientID"`

	// cloud is the Microsoft cloud that holds the registration: Public (when empty),
	// USGovernment or China.
	// +optional
	Cloud Cloud `json:"cloud,omitempty"`

	// homeTenantID is the provider's own tenant. No "*" of a DefenderGrant ever includes it.
	// +optional
	// +kubebuilder:validation:MinLength=36
	// +kubebuilder:validation:MaxLength=36
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`
	HomeTenantID string `json:"homeTenantID,omitempty"`

	// credentials prove the application's identity, in order of preference: the next
	// one is used while Entra ID refuses the one before, so that a credential can be
	// rotated without a gap.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Credentials []Credential `json:"credentials"`

	// consent says how consent links are built.
	// +optional
	Consent *ConsentSettings `json:"consent,omitempty"`

	// suspend is the kill switch: while true, no token is requested with this
	// application. Tokens already held run to their end.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ConsentSettings says how consent links are built.
type ConsentSettings struct {
	// redirectURI is where Entra ID sends the administrator after the decision, exactly
	// as it is registered with the application.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https://[^\s"<>\\^{|}]+$`
	RedirectURI string `json:"redirectURI"`
}

// DefenderAppStatus is what the operator saw of the application.
type DefenderAppStatus struct {
	// observedGeneration is the generation that the rest of the status speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, CredentialAccepted, CredentialExpiring, EntraReachable and Stalled, and
	// TenantsShared while several namespaces want the same customer.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// consentURL asks any customer's administrator for consent.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	ConsentURL string `json:"consentURL,omitempty"`

	// credentials tells what is known of each credential.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=4
	Credentials []CredentialStatus `json:"credentials,omitempty"`
}

// DefenderAppList is a list of DefenderApps.
//
// +kubebuilder:object:root=true
type DefenderAppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DefenderApp `json:"items"`
}
