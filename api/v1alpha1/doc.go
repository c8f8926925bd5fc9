// Package v1alpha1 is the vocabulary of the operator: its three kinds, the
// conditions and reasons it reports and the shape of the Secrets it writes.
//
// It imports apimachinery only, so that other programs can use the types
// without taking the operator along.
//
// +kubebuilder:object:generate=true
// +groupName=defender.tenant-operator.dev
package v1alpha1
