package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of all kinds of this package, and the prefix of every
// annotation and Secret type that the operator owns.
const Group = "defender.tenant-operator.dev"

// GroupVersion names this version of the group.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// AddToScheme teaches a scheme the three kinds.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&DefenderApp{}, &DefenderAppList{},
		&DefenderGrant{}, &DefenderGrantList{},
		&DefenderTenant{}, &DefenderTenantList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
