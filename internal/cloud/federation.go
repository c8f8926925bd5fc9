package cloud

import (
	"strings"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// ExchangeAudience is the audience that a cloud expects of a service-account token which is
// exchanged for one of its own.
//
// Source: learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations.
func ExchangeAudience(cloud v1alpha1.Cloud) string {
	switch cloud {
	case v1alpha1.CloudUSGovernment:
		return "api://AzureADTokenExchangeUSGov"
	case v1alpha1.CloudChina:
		return "api://AzureADTokenExchangeChina"
	case v1alpha1.CloudPublic:
	}
	return "api://AzureADTokenExchange"
}

// ExchangeFile is the file with the service-account token for a cloud. The token of the
// Public cloud is in the file itself, those of the others in files beside it: each cloud
// wants another audience, and a token has one.
func ExchangeFile(file string, cloud v1alpha1.Cloud) string {
	if cloud == "" || cloud == v1alpha1.CloudPublic {
		return file
	}
	return file + "-" + strings.ToLower(string(cloud))
}
