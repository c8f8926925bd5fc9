package entra

import (
	"crypto/rsa"
	"fmt"
	"strings"
	"time"
)

// exchangeAudience is the one audience that Entra's public cloud takes for a federated identity.
const exchangeAudience = "api://AzureADTokenExchange"

// Federation is a federated identity credential: assertions of a foreign issuer, such as a cluster's service-account
// tokens, are accepted as the app's own. Comparison is exact and case-sensitive.
type Federation struct {
	Issuer   string           // https URL
	Subject  string           // such as system:serviceaccount:namespace:name
	Audience string           // default api://AzureADTokenExchange
	Keys     []*rsa.PublicKey // what the issuer signs with; the emulator does not fetch them
}

// AddFederation adds a federated identity credential to the app.
func (e *Emulator) AddFederation(clientID string, f Federation) {
	if f.Audience == "" {
		f.Audience = exchangeAudience
	}
	e.editApp(clientID, func(r *registration) { r.federations = append(r.federations, f) })
}

// RemoveFederations takes all federated identity credentials from the app: AADSTS70021 from now on.
func (e *Emulator) RemoveFederations(clientID string) {
	e.editApp(clientID, func(r *registration) { r.federations = nil })
}

// checkFederated names the first thing that does not match, in Entra's order: issuer, subject, audience, signature, time.
func (r *registration) checkFederated(c compact, now time.Time) (proof, error) {
	if len(r.federations) == 0 {
		return proof{}, refused{code: codeNoFederation}
	}
	code, detail := codeFederationIssuer, fmt.Sprintf("Issuer: %q.", c.text("iss"))
	for _, f := range r.federations {
		if f.Issuer != c.text("iss") {
			continue
		}
		if f.Subject != c.text("sub") {
			code, detail = codeFederationSubject, fmt.Sprintf("Subject: %q.", c.text("sub"))
			if strings.EqualFold(f.Subject, c.text("sub")) {
				code = codeFederationSubjectCase
			}
			continue
		}
		if !c.hasAudience(func(a string) bool { return a == f.Audience }) {
			return proof{}, refused{codeFederationAudience, fmt.Sprintf("Audience: %q.", c.text("aud"))}
		}
		return f.accept(c, now)
	}
	return proof{}, refused{code, detail}
}

func (f Federation) accept(c compact, now time.Time) (proof, error) {
	if err := c.checkTime(now); err != nil {
		return proof{}, err
	}
	for _, key := range f.Keys {
		if signedBy(c, key) {
			return proof{class: "2", text: "federated"}, nil
		}
	}
	return proof{}, refused{codeAssertionSignature, "Reason: no key of the issuer matches."}
}
