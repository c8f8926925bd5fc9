package entra

import (
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// Verdict is what an answer means for the people concerned. Message is a fixed sentence
// with the placeholders {tenant}, {client}, {host}, {issuer} and {presents}.
type Verdict struct {
	Reason  string
	Actor   token.Actor
	Cure    token.Cure
	Message string
	// Scope is how far the failure may reach.
	Scope token.Scope
	// After is the least wait before the next attempt when the answer names none.
	After time.Duration
}

func customer(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorCustomer, Cure: token.ByPoll, Message: message}
}

func platform(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorPlatform, Cure: token.ByPoll, Message: message}
}

func author(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorAuthor, Cure: token.ByPoll, Message: message}
}

func wait(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorNobody, Cure: token.ByRetry, Message: message}
}

// of tells how far a verdict reaches.
func (v Verdict) of(scope token.Scope) Verdict {
	v.Scope = scope
	return v
}

func consentRequired() Verdict {
	return customer(v1alpha1.ReasonConsentRequired,
		"Tenant {tenant} has not consented to application {client}. An administrator of the tenant must open status.consentURL and accept.")
}

func resourceMissing() Verdict {
	return customer(v1alpha1.ReasonResourceNotProvisioned,
		"Tenant {tenant} does not have the API. An administrator of the tenant must set the product up, most often by a licence.")
}

func disabledByTenant() Verdict {
	return customer(v1alpha1.ReasonDisabledByTenant,
		"Application {client} is disabled in tenant {tenant}. An administrator of the tenant must enable it again under Enterprise applications.")
}

func blockedByPolicy() Verdict {
	return customer(v1alpha1.ReasonBlockedByPolicy,
		"A policy of tenant {tenant} blocks application {client}. An administrator of the tenant must exempt the application from it.")
}

func tenantNotFound() Verdict {
	return author(v1alpha1.ReasonTenantNotFound,
		"Entra ID knows no tenant {tenant} at {host}. The author of the DefenderTenant must check spec.tenantID, and the cloud of the DefenderApp.")
}

func otherCloud() Verdict {
	return author(v1alpha1.ReasonWrongCloud,
		"Tenant {tenant} belongs to another cloud than {host} serves. The author of the DefenderTenant must name a DefenderApp of that cloud.")
}

func credentialRefused() Verdict {
	return platform(v1alpha1.ReasonCredentialRefused,
		"Entra ID refuses the credential of application {client}. The platform team must check the credential of the DefenderApp against the application registration.").of(token.ScopeCredential)
}

func secretRefused() Verdict {
	return platform(v1alpha1.ReasonCredentialRefused,
		"Entra ID refuses the client secret of application {client}. The platform team must store the value of a secret that is valid, not its ID.").of(token.ScopeCredential)
}

func secretExpired() Verdict {
	return platform(v1alpha1.ReasonCredentialRefused,
		"The client secret of application {client} has expired. The platform team must make a new one and store its value.").of(token.ScopeCredential)
}

func certificateRefused() Verdict {
	return platform(v1alpha1.ReasonCredentialRefused,
		"Entra ID refuses the certificate of application {client}. The platform team must register the certificate that the DefenderApp uses.").of(token.ScopeCredential)
}

func assertionTime() Verdict {
	return platform(v1alpha1.ReasonCredentialRefused,
		"Entra ID finds the assertion of application {client} outside of its time. The platform team must check the clock of the operator's node and the service-account token.").of(token.ScopeCredential)
}

func federationRefused() Verdict {
	return platform(v1alpha1.ReasonCredentialRefused,
		"Entra ID finds no federated credential that matches the operator's token. The platform team must give application {client} one, letter by letter, for what the operator presents: {presents}.").of(token.ScopeCredential)
}

func credentialUnusable() Verdict {
	v := platform(v1alpha1.ReasonCredentialUnusable,
		"The credential of application {client} cannot be used. The platform team must store a client secret, or an RSA key with its certificate.")
	v.Cure = token.ByWatch
	return v
}

func appMisconfigured() Verdict {
	return platform(v1alpha1.ReasonAppMisconfigured,
		"The registration of application {client} does not fit the request. The platform team must correct it, see the error code.").of(token.ScopeApp)
}

func requestMalformed() Verdict {
	return platform(v1alpha1.ReasonAppMisconfigured,
		"Entra ID does not understand the operator's request for application {client}. The platform team must check the API in the spec, or report the error code as a defect of the operator.").of(token.ScopeApp)
}

func throttled() Verdict {
	return wait(v1alpha1.ReasonThrottled,
		"Entra ID asks for fewer requests. The operator waits and tries again.").of(token.ScopeHost)
}

// overOwnRate is no answer of Entra ID, but it ends as its throttling does.
func overOwnRate() Verdict {
	return wait(v1alpha1.ReasonThrottled,
		"The operator's own limit of requests to {host} left no turn in time. The operator tries again.")
}

func unavailable() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"Entra ID answers with an error of its own. The operator tries again.").of(token.ScopeHost)
}

func unreachable() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"{host} cannot be reached, or does not answer in time. The operator tries again; if other hosts can be reached, the platform team checks network policies, DNS and proxy.").of(token.ScopeHost)
}

func unknownRefusal() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"Entra ID refuses the request for tenant {tenant} with an error that the operator does not know. The operator tries again; if it stays, the platform team looks the error code up.")
}

func answerInvalid() Verdict {
	return wait(v1alpha1.ReasonAnswerInvalid,
		"The answer from {host} is not what Entra ID sends, so it was dropped. The operator tries again; if it stays, the platform team looks for a proxy that answers in its place.").of(token.ScopeHost)
}

func proxyRefused() Verdict {
	return platform(v1alpha1.ReasonProxyRefused,
		"A proxy between the operator and {host} refuses. The platform team must allow {host} there and check the proxy's address and credentials.").of(token.ScopeHost)
}

func tenantRestricted() Verdict {
	return platform(v1alpha1.ReasonProxyRefused,
		"A proxy of the platform allows sign-in to other tenants only. The platform team must add tenant {tenant} to its tenant restrictions.")
}

func issuerUntrusted() Verdict {
	return platform(v1alpha1.ReasonTLSUntrusted,
		"The certificate presented for {host} was issued by \"{issuer}\", which is not trusted. If that is the platform's own proxy, the platform team must give its CA certificate to the operator with --ca-bundle.").of(token.ScopeHost)
}

func certificateOfAnother() Verdict {
	return platform(v1alpha1.ReasonTLSUntrusted,
		"The certificate presented for {host}, issued by \"{issuer}\", is for another host. The platform team must look for what answers in its place; --ca-bundle does not help here.").of(token.ScopeHost)
}

func certificateOutOfTime() Verdict {
	return platform(v1alpha1.ReasonTLSUntrusted,
		"The certificate presented for {host}, issued by \"{issuer}\", is not valid now. The platform team must check the clock of the operator's node and the CA given with --ca-bundle.").of(token.ScopeHost)
}

func tlsRefused() Verdict {
	return platform(v1alpha1.ReasonTLSUntrusted,
		"What answers for {host} does not offer TLS 1.2 or newer. The platform team must look for a proxy that opens the connection.").of(token.ScopeHost)
}

// unaskable is a request that must not be sent.
func unaskable() Verdict {
	v := author(v1alpha1.ReasonTenantNotFound,
		"The tenant or the application is not given by a GUID, or the resource is no URI, so that no request was sent. The author of the DefenderTenant must correct it.")
	v.Cure = token.ByWatch
	return v
}
