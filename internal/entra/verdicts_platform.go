package entra

import (
	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// The verdicts on the application: its credentials and its registration. The platform team
// acts.

// ofCredential is a refusal of the credential. All have the scope that lets the next
// credential be tried, and each a sentence of its own.
func ofCredential(message string) Verdict {
	return platform(v1alpha1.ReasonCredentialRefused, message).of(token.ScopeCredential)
}

// because gives a refusal that people mend in another place a reason of its own.
func (v Verdict) because(reason string) Verdict {
	v.Reason = reason
	return v
}

func credentialRefused() Verdict {
	return ofCredential("Entra ID refuses the credential of application {client}. The platform team must compare the credential of the DefenderApp with the application registration.")
}

func credentialAbsent() Verdict {
	return ofCredential("Entra ID saw no credential in the request for application {client}. The platform team must look for a proxy that changes requests, or report this as a defect of the operator.")
}

func secretRefused() Verdict {
	return ofCredential("Entra ID refuses the client secret of application {client}. The platform team must store the value of a secret that is valid, not its ID.")
}

func secretExpired() Verdict {
	return ofCredential("The client secret of application {client} has expired. The platform team must make a new one and store its value.")
}

func certificateRefused() Verdict {
	return ofCredential("Entra ID finds no key that fits the assertion of application {client}. The platform team must register the certificate that the DefenderApp uses; for workloadIdentity, it must publish the current keys of the cluster's issuer.")
}

func certificateExpired() Verdict {
	return ofCredential("The certificate of application {client} has expired. The platform team must make a new one, register it and store it with its key.").because(v1alpha1.ReasonCertificateExpired)
}

func certificateForbidden() Verdict {
	return ofCredential("Entra ID does not allow the certificate of application {client}: its subject, thumbprint or chain is not among those registered. The platform team must register the certificate that the DefenderApp uses.")
}

func assertionOfAnother() Verdict {
	return ofCredential("The assertion is not one of application {client}. The platform team must check that the credential of the DefenderApp belongs to spec.clientID.")
}

func assertionMalformed() Verdict {
	return ofCredential("Entra ID cannot use the assertion of application {client}. The platform team must check that the credential is a token of the cluster, or a certificate with an RSA key, and look for a proxy that changes requests.")
}

func assertionTime() Verdict {
	return ofCredential("Entra ID finds the assertion of application {client} outside of its time. The platform team must check that the operator's service-account token is renewed, and the clock of the operator's node.")
}

// clockWrong is what assertionTime becomes when the answer's date proves it.
func clockWrong() Verdict {
	return platform(v1alpha1.ReasonClockSkew,
		"Entra ID finds the assertion of application {client} outside of its time, because the clock of the operator's node is wrong by more than five minutes. The platform team must set that clock.").of(token.ScopeCredential)
}

func federationRefused() Verdict {
	return ofCredential("No federated credential of application {client} matches the operator's service-account token. The platform team must compare issuer, subject and audience, letter by letter.{presents}").because(v1alpha1.ReasonFederationMismatch)
}

func federationAbsent() Verdict {
	return ofCredential("Application {client} has no federated credential. The platform team must add one with the issuer, subject and audience of the operator's service-account token.{presents}").because(v1alpha1.ReasonFederationMismatch)
}

func federationIssuer() Verdict {
	return ofCredential("No federated credential of application {client} has the issuer of the operator's service-account token. The platform team must enter the issuer URL of this cluster there, letter by letter.{presents}").because(v1alpha1.ReasonFederationMismatch)
}

func federationSubject() Verdict {
	return ofCredential("No federated credential of application {client} has the subject of the operator's service-account token. The platform team must enter system:serviceaccount:NAMESPACE:NAME of the operator there.{presents}").because(v1alpha1.ReasonFederationMismatch)
}

func federationSubjectCase() Verdict {
	return ofCredential("A federated credential of application {client} has the subject of the operator's service-account token, but in other upper and lower case. The platform team must correct it letter by letter.{presents}").because(v1alpha1.ReasonFederationMismatch)
}

func federationAudience() Verdict {
	return ofCredential("No federated credential of application {client} has the audience of the operator's service-account token. The platform team must give the projected token and the federated credential the same audience, that of the cloud.{presents}").because(v1alpha1.ReasonFederationMismatch)
}

func federationForeign() Verdict {
	return ofCredential("Entra ID does not take this token as a federated credential of application {client}. The platform team must use the cluster's service-account token, or a user-assigned managed identity of the application's own tenant.").because(v1alpha1.ReasonFederationMismatch)
}

func federationForbidden() Verdict {
	return ofCredential("A policy of the home tenant of application {client} does not allow federated credentials of this issuer. The platform team must have the issuer allowed there, or use another kind of credential.").because(v1alpha1.ReasonFederationMismatch)
}

func issuerUnreachable() Verdict {
	return ofCredential("Entra ID cannot read the keys of the cluster's issuer, so that it cannot check the service-account token for application {client}. The platform team must make the issuer's /.well-known/openid-configuration and its keys readable from the internet.")
}

func credentialUnusable() Verdict {
	v := platform(v1alpha1.ReasonCredentialUnusable,
		"The credential of application {client} cannot be used. The platform team must store a client secret, or an RSA key with its certificate.")
	v.Cure, v.Unsent = token.ByWatch, true
	return v
}

func misconfigured(message string) Verdict {
	return platform(v1alpha1.ReasonAppMisconfigured, message).of(token.ScopeApp)
}

func hostUnknown() Verdict {
	return misconfigured("Entra ID does not know the login host {host}. The platform team must correct or remove the operator's flag --authority-url.")
}

func permissionsWrong() Verdict {
	return misconfigured("The registration of application {client} does not ask for permissions of {resource}, or not for ones that exist. The platform team must correct its API permissions, then ask the customers to consent again.")
}

func singleTenant() Verdict {
	return misconfigured("Application {client} is for its home tenant only. The platform team must set the supported account types of the registration to accounts in any organizational directory.")
}

func publicClient() Verdict {
	return misconfigured("Application {client} is registered as a public client, which may not use a credential. The platform team must turn off \"Allow public client flows\", or use another registration.")
}

func clientIDWrong() Verdict {
	return misconfigured("Entra ID does not take {client} for an application of the platform's. The platform team must correct spec.clientID of the DefenderApp.")
}

func resourceWrong() Verdict {
	return misconfigured("Entra ID does not take {resource} for an API. The platform team must correct api or resource of the token in the DefenderTenant: it is the URI that the API registered.")
}

func requestMalformed() Verdict {
	return misconfigured("Entra ID does not understand the request for application {client}. The platform team must look for a proxy that changes requests, or report the error code as a defect of the operator.")
}
