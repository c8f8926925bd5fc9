package entra

import "net/http"

// Code is one AADSTS error.
type Code struct {
	// Number is what follows AADSTS.
	Number int64
	// Meaning is what Entra ID wants to say, in our words.
	Meaning string
	// Advice is what to do about it.
	Advice string
	Verdict
}

// Situation is any other answer, or the lack of one.
type Situation struct {
	// Seen is how it shows.
	Seen string
	Verdict
}

// Table is everything that the operator knows about failing to get a token.
type Table struct {
	// Codes come first, if the answer has one that is known.
	Codes []Code
	// OAuth is the fallback on the member error. Seen is its value.
	OAuth []Situation
	// HTTP is the fallback on the status.
	HTTP []Situation
	// Transport is for when there was no answer.
	Transport []Situation
	// Own is what the operator finds out by itself.
	Own []Situation
}

// Catalogue is the table as data, for the documentation and for tests.
func Catalogue() Table {
	return Table{Codes: codes(), OAuth: oauthErrors(), HTTP: httpAnswers(), Transport: transportFailures(), Own: ownFindings()}
}

func codes() []Code {
	var all []Code
	for _, group := range [][]Code{
		consentCodes(), resourceCodes(), principalCodes(), tenantCodes(), secretCodes(), certificateCodes(),
		federationCodes(), registrationCodes(), requestCodes(), serviceCodes(),
	} {
		all = append(all, group...)
	}
	return all
}

func codeOf(number int64) (Code, bool) {
	for _, code := range codes() {
		if code.Number == number {
			return code, true
		}
	}
	return Code{}, false
}

// oauthErrors are the values of the member error, from RFC 6749 and from Microsoft.
func oauthErrors() []Situation {
	return []Situation{
		{"temporarily_unavailable", unavailable()},
		{"server_error", unavailable()},
		{"invalid_client", credentialRefused()},
		{"unauthorized_client", unauthorized()},
		{"consent_required", consentRequired()},
		{"invalid_grant", consentRequired()},
		{"invalid_resource", resourceMissing()},
		{"access_denied", blockedByPolicy()},
		{"interaction_required", blockedByPolicy()},
		{"invalid_tenant", tenantNotFound()},
		{"invalid_instance", hostUnknown()},
		{"invalid_scope", resourceWrong()},
		{"invalid_request", requestMalformed()},
		{"unsupported_grant_type", requestMalformed()},
	}
}

func oauthError(name string) (Situation, bool) {
	for _, known := range oauthErrors() {
		if known.Seen == name {
			return known, true
		}
	}
	return Situation{}, false
}

func httpAnswers() []Situation {
	return []Situation{
		{"HTTP 429", throttled()},
		{"HTTP 5xx other than 511", unavailable()},
		{"HTTP 3xx: redirects are never followed", answerInvalid()},
		{"HTTP 407 or 511", proxyLogin()},
		{"HTTP 403 or 451 without an error of Entra ID", proxyRefused()},
		{"HTTP 200 or any other 4xx with a page in HTML", blockPage()},
		{"HTTP 4xx with an error of Entra ID that is in none of the tables", unknownRefusal()},
		{"any other answer: no JSON, compressed, above 64 KiB, not a bearer token, without a usable expires_in", answerInvalid()},
	}
}

func transportFailures() []Situation {
	return []Situation{
		{"no answer: time-out, connection refused or reset, answer cut off", unreachable()},
		{"no such host", unresolved()},
		{"no connection to the proxy", proxyUnreachable()},
		{"proxy answers CONNECT with 407 or 511", proxyLogin()},
		{"proxy answers CONNECT with anything else but 200 or 5xx", proxyRefused()},
		{"proxy answers CONNECT with any other 5xx", unreachable()},
		{"certificate of an unknown authority", issuerUntrusted()},
		{"certificate for another host", certificateOfAnother()},
		{"certificate expired or not yet valid", certificateOutOfTime()},
		{"TLS 1.1 or older, or no TLS", tlsRefused()},
	}
}

func ownFindings() []Situation {
	return []Situation{
		{"tenant or application is no GUID, or the resource no URI", unaskable()},
		{"credential without a secret or a key with its certificate", credentialUnusable()},
		{"AADSTS700024 or 500133, and the date of the answer differs from the operator's clock by more than five minutes", clockWrong()},
		{"AADSTS700027 or 50012, and the certificate's own end has passed", certificateExpired()},
		{"the tenant's configuration names the login host of another cloud", otherCloud()},
		{"the tenant's configuration leads anywhere else", answerInvalid()},
		{"no turn under the limit of requests per second before the deadline", overOwnRate()},
	}
}

// byStatus is the verdict on an answer that holds no known error.
func byStatus(status int, fromEntra, page bool) Verdict {
	switch {
	case status == http.StatusTooManyRequests:
		return throttled()
	case wantsLogin(status):
		return proxyLogin()
	case status >= 500:
		return unavailable()
	case status >= 400 && fromEntra:
		return unknownRefusal()
	case status == http.StatusForbidden, status == http.StatusUnavailableForLegalReasons:
		return proxyRefused()
	case page && (status == http.StatusOK || status >= 400):
		return blockPage()
	default:
		return answerInvalid()
	}
}

// wantsLogin tells whether a proxy, or the network itself, asks who the operator is.
func wantsLogin(status int) bool {
	return status == http.StatusProxyAuthRequired || status == http.StatusNetworkAuthenticationRequired
}
