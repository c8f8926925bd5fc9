package entra

import "github.com/defender-tenant/operator/api/v1alpha1"

// The verdicts that end with somebody else than the platform team: an administrator of the
// customer, or the author of the DefenderTenant.

func consentRequired() Verdict {
	return customer(v1alpha1.ReasonConsentRequired,
		"Tenant {tenant} has not consented to application {client}. An administrator of the tenant must open status.consentURL and accept.")
}

func unknownApplication() Verdict {
	return customer(v1alpha1.ReasonConsentRequired,
		"Tenant {tenant} does not know application {client}. An administrator of the tenant must open status.consentURL and accept. If no other tenant knows it either, the platform team checks spec.clientID and spec.cloud of the DefenderApp.").
		inMany(v1alpha1.ReasonAppMisconfigured,
			"Entra ID finds application {client} in none of several tenants. The platform team must check spec.clientID and spec.cloud of the DefenderApp.")
}

func unauthorized() Verdict {
	return consentRequired().inMany(v1alpha1.ReasonAppMisconfigured,
		"Entra ID does not let application {client} ask for tokens in several tenants. The platform team must check spec.clientID and spec.cloud of the DefenderApp, and whether the registration is still active.")
}

func permissionsMissing() Verdict {
	return customer(v1alpha1.ReasonConsentRequired,
		"Application {client} has no permission of {resource} in tenant {tenant}. An administrator of the tenant must open status.consentURL and accept, after the platform team added the permissions to the application.").
		inMany(v1alpha1.ReasonAppMisconfigured,
			"Application {client} has no permission of {resource} in several tenants. The platform team must add the API's application permissions to the registration, then ask the customers to consent again.")
}

func roleUnassigned() Verdict {
	return customer(v1alpha1.ReasonConsentRequired,
		"Application {client} has no role of {resource} in tenant {tenant}. An administrator of the tenant must open status.consentURL and accept, or assign a role to the application.")
}

func resourceMissing() Verdict {
	return customer(v1alpha1.ReasonResourceNotProvisioned,
		"Tenant {tenant} does not have the API {resource}. An administrator of the tenant must set the product up, most often by a licence.").
		inMany(v1alpha1.ReasonAppMisconfigured, resourceInNone)
}

func resourceDisabled() Verdict {
	return customer(v1alpha1.ReasonResourceNotProvisioned,
		"The API {resource} is disabled in tenant {tenant}. An administrator of the tenant must renew the product's licence, or enable the API again under Enterprise applications.").
		inMany(v1alpha1.ReasonAppMisconfigured,
			"The API {resource} is disabled in several tenants. The platform team must check whether Microsoft still offers it to application {client}.")
}

const resourceInNone = "Entra ID has the API {resource} in none of several tenants. The platform team must check that this is the API's URI in this cloud, and correct api or resource in the DefenderTenants that name it."

func disabledByTenant() Verdict {
	return customer(v1alpha1.ReasonDisabledByTenant,
		"Application {client} is disabled in tenant {tenant}. An administrator of the tenant must enable it again under Enterprise applications.").
		inMany(v1alpha1.ReasonAppDisabled,
			"Application {client} is disabled in several tenants. The platform team must check in the application's home tenant whether the registration is still active, and ask Microsoft's support if Microsoft disabled it.")
}

func blockedByPolicy() Verdict {
	return customer(v1alpha1.ReasonBlockedByPolicy,
		"A policy of tenant {tenant} blocks application {client}. An administrator of the tenant must exempt the application from it.")
}

func tenantNotFound() Verdict {
	return author(v1alpha1.ReasonTenantNotFound,
		"Entra ID knows no tenant {tenant} at {host}. The author of the DefenderTenant must check spec.tenantID, and the cloud of the DefenderApp.").
		inMany(v1alpha1.ReasonAppMisconfigured,
			"Entra ID knows none of several tenants at {host}. The platform team must check spec.cloud of the DefenderApp.")
}

func otherCloud() Verdict {
	return author(v1alpha1.ReasonWrongCloud,
		"Tenant {tenant} belongs to another cloud than {host} serves. The author of the DefenderTenant must name a DefenderApp of that cloud.").
		inMany(v1alpha1.ReasonAppMisconfigured,
			"Several tenants belong to another cloud than {host} serves. The platform team must check spec.cloud of the DefenderApp.")
}
