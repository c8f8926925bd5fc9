package entra

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// proof is how the client was authenticated.
type proof struct {
	class string // appidacr: 1 for a secret, 2 for a certificate or federated identity
	text  string // for the ledger
}

// presentation is what a client shows of itself, not yet verified.
type presentation struct {
	clientID  string // lower case
	secret    string
	assertion string
	kind      string // of the assertion
}

// presented reads the form, or HTTP basic authentication, which Entra takes as well.
func presented(v *visit) presentation {
	form := v.request.PostForm
	p := presentation{
		clientID:  strings.ToLower(form.Get("client_id")),
		secret:    form.Get("client_secret"),
		assertion: form.Get("client_assertion"),
		kind:      form.Get("client_assertion_type"),
	}
	if user, password, ok := v.request.BasicAuth(); ok && p.secret == "" && p.assertion == "" {
		// RFC 6749, 2.3.1: both are form-encoded first.
		id, errID := url.QueryUnescape(user)
		secret, errSecret := url.QueryUnescape(password)
		if errID == nil && errSecret == nil && (p.clientID == "" || p.clientID == strings.ToLower(id)) {
			p.clientID, p.secret = strings.ToLower(id), secret
		}
	}
	return p
}

func hasBasicAuth(r *http.Request) bool {
	_, _, ok := r.BasicAuth()
	return ok
}

// audiences are those that a client assertion may be made out for, at this host and tenant.
func (v *visit) audiences(tenantID string) func(string) bool {
	accepted := map[string]bool{}
	for _, id := range []string{tenantID, v.tenant} {
		for _, end := range []string{"/oauth2/v2.0/token", "/oauth2/token", "/v2.0", "/"} {
			accepted[v.base+"/"+id+end] = true
		}
	}
	return func(audience string) bool { return accepted[strings.ToLower(audience)] }
}

// authenticate verifies the credential; it needs the directory's mu.
func (r *registration) authenticate(p presentation, now time.Time, audience func(string) bool) (proof, error) {
	switch {
	case p.assertion != "" && p.kind != assertionType:
		return proof{}, refused{codeParameterMissing, "Parameter: client_assertion_type."}
	case p.assertion != "":
		return r.checkAssertion(p, now, audience)
	case p.secret != "":
		return r.checkSecret(p.secret, now)
	}
	return proof{}, refused{code: codeNoCredential}
}

func (r *registration) checkSecret(value string, now time.Time) (proof, error) {
	digest := sha256.Sum256([]byte(value))
	code := codeWrongSecret
	for _, s := range r.secrets {
		if s.digest != digest {
			continue
		}
		if s.expires.IsZero() || now.Before(s.expires) {
			return proof{class: "1", text: "secret"}, nil
		}
		code = codeExpiredSecret
	}
	return proof{}, refused{code, fmt.Sprintf("Application: %q.", r.ClientID)}
}
