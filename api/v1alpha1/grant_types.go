package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnyTenant in spec.tenantIDs of a DefenderGrant stands for every tenant but the
// application's home tenant.
const AnyTenant = "*"

// DefenderGrant says which namespaces may ask for tokens of which customers.
// Without one, nobody may. It belongs to the platform team; a change takes effect
// at once and clears what is no longer allowed.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=dgrant,categories=defender
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.spec.app`
// +kubebuilder:printcolumn:name="Namespaces",type=string,JSONPath=`.spec.namespaces`
// +kubebuilder:printcolumn:name="APIs",type=string,JSONPath=`.spec.apis`
// +kubebuilder:printcolumn:name="Tenants",type=string,JSONPath=`.spec.tenantIDs`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.app`
type DefenderGrant struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is granted.
	// +required
	Spec DefenderGrantSpec `json:"spec"`
}

// DefenderGrantSpec is one grant: these namespaces, these tenants, these APIs.
type DefenderGrantSpec struct {
	// app is the name of the DefenderApp that tokens may be requested with.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	App string `json:"app"`

	// namespaces are the namespaces that are granted, by name only: labels can often
	// be set by those they would bind.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespaces []string `json:"namespaces"`

	// tenantIDs are the customers' tenants, or "*" alone: all but the application's home tenant.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=36
	// +kubebuilder:validation:items:Pattern=`^(\*|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`
	// +kubebuilder:validation:XValidation:rule="!('*' in self) || self.size() == 1",message="\"*\" stands alone: it includes every tenant but the home tenant"
	TenantIDs []string `json:"tenantIDs"`

	// apis are the APIs that tokens may be requested for: the name of a preset
	// (DefenderXDR, DefenderForEndpoint, MicrosoftGraph) or the exact URI of a resource.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:Pattern=`^(DefenderXDR|DefenderForEndpoint|MicrosoftGraph|https://[^\s"<>\\^{|}]+)$`
	APIs []string `json:"apis"`

	// maxRoles are the only application roles that a published token may carry. Empty
	// means any: a token for an application carries every role that the application was
	// given, and nobody can ask for fewer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9][A-Za-z0-9._-]*$`
	MaxRoles []string `json:"maxRoles,omitempty"`
}

// DefenderGrantList is a list of DefenderGrants.
//
// +kubebuilder:object:root=true
type DefenderGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DefenderGrant `json:"items"`
}
