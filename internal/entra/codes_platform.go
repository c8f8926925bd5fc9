package entra

func secretCodes() []Code {
	const report = "Check that the DefenderApp names a credential; otherwise look for a proxy that changes requests, or report it as a defect of the operator."
	return []Code{
		{7000215, "the client secret is wrong", "Store the secret's value; its ID looks like a GUID and is often stored by mistake. A new secret can take some minutes.", secretRefused()},
		{7000222, "the client secret has expired", "Make a new secret, store its value, delete the old one.", secretExpired()},
		{70002, "the credential could not be validated", "Compare the credential with the registration.", credentialRefused()},
		{7000218, "the request holds no credential", report, credentialAbsent()},
		{7000216, "the request holds no credential", report, credentialAbsent()},
	}
}

func certificateCodes() []Code {
	const (
		register = "Compare the certificate's [SHA-1 thumbprint](rotation.md#thumbprints) with those under Certificates & secrets."
		clock    = "Check the clock of the node, and that the projected service-account token is renewed."
		shape    = "Check the kind of key and token; look for a proxy that changes requests."
	)
	return []Code{
		{700027, "the assertion's signature fits no registered certificate, or the certificate is not valid now", register + " A new certificate can take some minutes.", certificateRefused()},
		{700024, "the assertion is outside of its time", clock, assertionTime()},
		{500133, "the assertion is outside of its time", clock, assertionTime()},
		{700021, "the assertion is of another application", "Check that the credential belongs to spec.clientID.", assertionOfAnother()},
		{50012, "subject, thumbprint or chain of the certificate is not allowed", register, certificateForbidden()},
		{700030, "the certificate's subject name is not allowed", register, certificateForbidden()},
		{50048, "subject and issuer of the assertion differ", "Check that the credential belongs to spec.clientID.", assertionOfAnother()},
		{50027, "the assertion is malformed", shape, assertionMalformed()},
		{50013, "the assertion is invalid", shape, assertionMalformed()},
	}
}

func federationCodes() []Code {
	const (
		compare = "Compare issuer, subject and audience with the federated credential, letter by letter."
		foreign = "Use the cluster's service-account token, or a user-assigned managed identity of the application's own tenant."
		allow   = "Have the administrators of the application's home tenant allow federated credentials of this issuer, or use another kind of credential."
		publish = "Fetch the issuer's /.well-known/openid-configuration, and the keys that it names, from outside of the cluster. A short outage there passes."
	)
	return []Code{
		{70021, "no federated credential matches the token", compare + " A new one can take some minutes.", federationRefused()},
		{70025, "the application has no federated credential", "Add one to the registration. A new one can take some minutes.", federationAbsent()},
		{700211, "no federated credential has the token's issuer", compare, federationIssuer()},
		{700212, "no federated credential has the token's audience", compare, federationAudience()},
		{700213, "no federated credential has the token's subject", compare, federationSubject()},
		{7002137, "no federated credential has the token's subject", compare, federationSubject()},
		{7002138, "the token's subject differs from the federated credential's by upper and lower case", compare, federationSubjectCase()},
		{700222, "a token of Entra ID itself cannot be used as a federated credential", foreign, federationForeign()},
		{700226, "only tokens of managed identities can be used here", foreign, federationForeign()},
		{700229, "only app-only tokens can be used as a federated credential", foreign, federationForeign()},
		{700236, "the token was issued by another tenant", foreign, federationForeign()},
		{700223, "the application's home tenant does not allow federated credentials", allow, federationForbidden()},
		{700238, "the application's home tenant does not allow federated credentials of this issuer", allow, federationForbidden()},
		{7002381, "the application's home tenant wants a claim that the token does not have", allow, federationForbidden()},
		{90061, "Entra ID cannot read the keys of the token's issuer", publish, issuerUnreachable()},
		{50166, "Entra ID cannot read the keys of the token's issuer", publish, issuerUnreachable()},
		{501661, "Entra ID cannot read the keys of the token's issuer", publish, issuerUnreachable()},
	}
}

func registrationCodes() []Code {
	const (
		permissions = "Correct the API permissions of the registration, then ask the customers to consent again."
		clientID    = "Correct spec.clientID of the DefenderApp."
	)
	return []Code{
		{650057, "the API is not among the permissions of the registration", permissions, permissionsWrong()},
		{65005, "the list of required permissions in the registration is wrong", permissions, permissionsWrong()},
		{1003031, "the list of required permissions in the registration is wrong", permissions, permissionsWrong()},
		{50194, "the application is for a single tenant", "Set the supported account types to accounts in any organizational directory.", singleTenant()},
		{700025, "the application is public and must not use a credential", "Turn off \"Allow public client flows\", or use another registration.", publicClient()},
		{700038, "the client ID is no application ID", clientID, clientIDWrong()},
		{65002, "the client ID is that of an application of Microsoft", clientID, clientIDWrong()},
		{50049, "Entra ID does not know the login host", "Check the operator's flag --authority-url.", hostUnknown()},
		{500021, "a proxy allows sign-in to some tenants only, and not to this one", "Add the tenant to the proxy's tenant restrictions.", tenantRestricted()},
		{500022, "a proxy allows sign-in to some tenants only, and not to this one", "Add the tenant to the proxy's tenant restrictions.", tenantRestricted()},
		{50002, "a proxy allows sign-in to some tenants only, and not to this one", "Add the tenant to the proxy's tenant restrictions.", tenantRestricted()},
	}
}

func requestCodes() []Code {
	const (
		resource = "Check api or resource of the token in the spec: the resource's URI as the API registered it."
		report   = "Look for a proxy that changes requests; otherwise report it as a defect of the operator."
	)
	return []Code{
		{9001023, "the grant is not possible at the endpoint for all tenants", report, requestMalformed()},
		{70011, "the scope is invalid", resource, resourceWrong()},
		{1002012, "the scope must be a resource with /.default", resource, resourceWrong()},
		{700022, "the scope names several resources", resource, resourceWrong()},
		{700023, "the scope names no resource", resource, resourceWrong()},
		{28002, "the scope is not valid for a token", resource, resourceWrong()},
		{901002, "the parameter resource is not supported", report, requestMalformed()},
		{9002313, "the request is malformed", report, requestMalformed()},
		{90004, "the request is malformed", report, requestMalformed()},
		{90013, "the input is invalid", report, requestMalformed()},
		{90014, "a parameter is missing", report, requestMalformed()},
		{90023, "the request is invalid", report, requestMalformed()},
		{90100, "a parameter is empty or invalid", report, requestMalformed()},
		{900144, "a parameter is missing in the body", report, requestMalformed()},
		{70003, "the grant type is not supported", report, requestMalformed()},
		{100007, "the regional endpoint is not for this application", "Look for a proxy that sends requests to a regional endpoint; the operator asks none.", requestMalformed()},
	}
}
