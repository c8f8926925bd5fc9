package entra

// The tables of AADSTS codes, by who can act. Sources: the error code reference of Entra
// ID's documentation, Microsoft's support articles, and reports of the codes that they
// leave out.

const (
	openLink = "An administrator of the customer opens the consent link and accepts."
	setUp    = "An administrator of the customer sets the product up, most often by a licence, and opens it once."
)

func consentCodes() []Code {
	return []Code{
		{7000229, "the tenant has no service principal of the application", openLink + " It can take some minutes until all of Entra ID knows.", consentRequired()},
		{700016, "the application was not found in the tenant", openLink, unknownApplication()},
		{700011, "the application does not exist in the tenant", openLink, consentRequired()},
		{65001, "nobody consented to the application", openLink, consentRequired()},
		{90094, "an administrator has to consent", openLink, consentRequired()},
		{65004, "consent was declined", openLink, consentRequired()},
		{650056, "the application asks for no permission of the API, or nobody consented to it", "The platform team adds the permissions to the registration. " + openLink, permissionsMissing()},
		{501051, "the API demands a role, and the application has none", openLink, roleUnassigned()},
	}
}

func resourceCodes() []Code {
	return []Code{
		{500011, "the tenant has no such API", setUp, resourceMissing()},
		{650052, "the organisation has no subscription or service principal of the API", setUp, resourceMissing()},
		{650054, "the application asks for permissions of an API that was removed or is not available", setUp, resourceMissing()},
		{50001, "the API is disabled in the tenant or does not exist", setUp, resourceMissing()},
		{500014, "the API is disabled in the tenant, by its administrator or because a subscription lapsed", "An administrator of the customer renews the licence, or enables the API again under Enterprise applications.", resourceDisabled()},
	}
}

func principalCodes() []Code {
	const (
		enable = "An administrator of the customer allows sign-in again (Enterprise applications, Properties)."
		exempt = "An administrator of the customer excludes the application from the policy."
	)
	return []Code{
		{7000112, "the application is disabled", enable, disabledByTenant()},
		{70001, "the application is disabled or was not found", enable, disabledByTenant()},
		{1000031, "the application cannot be used at this time", enable, disabledByTenant()},
		{53003, "a Conditional Access policy blocks the application", exempt, blockedByPolicy()},
		{530032, "a security policy of the tenant blocks the request", exempt, blockedByPolicy()},
	}
}

func tenantCodes() []Code {
	const (
		check = "The author compares spec.tenantID with the customer's tenant ID."
		move  = "The author names a DefenderApp of the tenant's cloud; each cloud needs a registration of its own."
	)
	return []Code{
		{90002, "the tenant was not found", check + " A new tenant can take some minutes; one of another cloud is never found.", tenantNotFound()},
		{900023, "the tenant ID is neither a GUID nor a domain", check, tenantNotFound()},
		{50059, "nothing in the request names a tenant", check, tenantNotFound()},
		{90019, "nothing in the request names a tenant", check, tenantNotFound()},
		{50128, "the domain is invalid and names no tenant", check, tenantNotFound()},
		{90038, "the tenant belongs to another national cloud", move, otherCloud()},
		{900439, "an application of the US Government cloud was used at the public host", move, otherCloud()},
		{900382, "the application cannot be used across clouds", move, otherCloud()},
		{900432, "the application cannot be used across clouds", move, otherCloud()},
	}
}
