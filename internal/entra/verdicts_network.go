package entra

import (
	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// The verdicts on Entra ID itself and on the way to it.

func throttled() Verdict {
	return wait(v1alpha1.ReasonThrottled,
		"Entra ID asks for fewer requests. The operator waits and tries again.").of(token.ScopeHost)
}

func tenantThrottled() Verdict {
	return wait(v1alpha1.ReasonThrottled,
		"Entra ID asks for fewer requests for tenant {tenant}. The operator waits and tries again.")
}

// overOwnRate is no answer of Entra ID, but it ends as its throttling does.
func overOwnRate() Verdict {
	v := wait(v1alpha1.ReasonThrottled,
		"The operator's own limit of requests to {host} left no turn in time. The operator tries again.")
	v.Unsent = true
	return v
}

func unavailable() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"Entra ID, or a proxy before it, answers with an error of its own. The operator tries again.").of(token.ScopeHost)
}

func unreachable() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"{host} cannot be reached, or does not answer in time. The operator tries again; if other hosts can be reached, the platform team checks network policies, firewall and proxy.").of(token.ScopeHost)
}

func unresolved() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"The name {host} does not resolve. The operator tries again; if it stays, the platform team checks the cluster's DNS, and whether the operator needs a proxy (HTTPS_PROXY).").of(token.ScopeHost)
}

func proxyUnreachable() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"The proxy on the way to {host} cannot be reached. The operator tries again; if it stays, the platform team checks the proxy, and its address in HTTPS_PROXY.").of(token.ScopeHost)
}

func unknownRefusal() Verdict {
	return wait(v1alpha1.ReasonEntraUnavailable,
		"Entra ID refuses the request for tenant {tenant} with an error that the operator does not know. The operator tries again; if it stays, the platform team looks failure.code of status.tokens up at https://login.microsoftonline.com/error.")
}

func answerInvalid() Verdict {
	return wait(v1alpha1.ReasonAnswerInvalid,
		"The answer from {host} is not what Entra ID sends, so it was dropped. The operator tries again; if it stays, the platform team looks for a proxy that answers in its place.").of(token.ScopeHost)
}

func proxyRefused() Verdict {
	return platform(v1alpha1.ReasonProxyRefused,
		"A proxy between the operator and {host} refuses. The platform team must allow {host} there.").of(token.ScopeHost)
}

func proxyLogin() Verdict {
	return platform(v1alpha1.ReasonProxyRefused,
		"A proxy between the operator and {host} wants a login. The platform team must put its user and password into HTTPS_PROXY, or let the operator through without.").of(token.ScopeHost)
}

func blockPage() Verdict {
	return platform(v1alpha1.ReasonProxyRefused,
		"A web page comes in place of an answer of {host}, most likely the block or login page of a proxy. The platform team must allow {host} there.").of(token.ScopeHost)
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
		"The certificate presented for {host}, issued by \"{issuer}\", is not valid now. The platform team must check the clock of the operator's node, and renew the certificate of the proxy if one answers in the host's place.").of(token.ScopeHost)
}

func tlsRefused() Verdict {
	return platform(v1alpha1.ReasonTLSUntrusted,
		"What answers for {host} does not offer TLS 1.2 or newer. The platform team must look for a proxy that opens the connection, and let it speak TLS 1.2.").of(token.ScopeHost)
}
