package entra

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// consentStyle is one of the three links that an administrator may be sent.
type consentStyle string

const (
	consentStyleV1        consentStyle = "v1"        // /{tenant}/adminconsent
	consentStyleV2        consentStyle = "v2"        // /{tenant}/v2.0/adminconsent
	consentStyleAuthorize consentStyle = "authorize" // /common/oauth2/authorize?prompt=consent
)

// consentAsk is a link that was opened, checked against the registration.
type consentAsk struct {
	style    consentStyle
	app      App
	tenant   string // empty: the administrator says which
	redirect string // empty: the registration has none, and a page says what happened
	scope    string
	state    url.Values // as it came, or empty
}

func (e *Emulator) consentV1(v *visit) answer        { return e.consent(v, consentStyleV1) }
func (e *Emulator) consentV2(v *visit) answer        { return e.consent(v, consentStyleV2) }
func (e *Emulator) consentAuthorize(v *visit) answer { return e.consent(v, consentStyleAuthorize) }

// consent shows the page to GET and carries out what the administrator chose at POST.
func (e *Emulator) consent(v *visit, style consentStyle) answer {
	ask, err := e.readConsent(v, style)
	if err != nil {
		return e.problemPage(v, err)
	}
	if v.request.Method == http.MethodGet {
		return e.consentPage(v, ask, "")
	}
	if v.request.PostForm.Get("decision") != "accept" {
		return e.declined(v, ask, refused{code: codeDeclined})
	}
	if ask.tenant == "" {
		ask.tenant = strings.ToLower(strings.TrimSpace(v.request.PostForm.Get("tenant")))
	}
	if _, err := e.resolve(ask.tenant); err != nil || shared(ask.tenant) {
		ask.tenant = ""
		return e.consentPage(v, ask, "There is no such tenant. Enter the tenant ID of your organization.")
	}
	if err := e.carryOut(ask); err != nil {
		return e.declined(v, ask, err)
	}
	return e.accepted(v, ask)
}

// readConsent refuses links that Entra shows an error page for, because nobody can be redirected safely.
func (e *Emulator) readConsent(v *visit, style consentStyle) (consentAsk, error) {
	query := v.request.URL.Query()
	clientID := strings.ToLower(query.Get("client_id"))
	ask := consentAsk{style: style, scope: query.Get("scope"), redirect: query.Get("redirect_uri"), state: url.Values{}}
	if clientID == "" {
		return ask, refused{codeParameterMissing, "Parameter: client_id."}
	}
	if style == consentStyleV2 && ask.scope == "" {
		return ask, refused{codeParameterMissing, "Parameter: scope."}
	}
	tenantID, err := e.resolve(v.tenant)
	if err != nil {
		return ask, err
	}
	if !shared(tenantID) {
		ask.tenant = tenantID
	}
	if query.Has("state") {
		ask.state.Set("state", query.Get("state"))
	}
	e.directory.mu.RLock()
	defer e.directory.mu.RUnlock()
	r := e.directory.apps[clientID]
	if r == nil {
		return ask, refused{codeAppNotFound, fmt.Sprintf("Application: %q.", clientID)}
	}
	ask.app = r.copy()
	if ask.redirect == "" && len(ask.app.RedirectURIs) > 0 {
		ask.redirect = ask.app.RedirectURIs[0]
	}
	if ask.redirect != "" && !slices.Contains(ask.app.RedirectURIs, ask.redirect) {
		return ask, refused{codeRedirectMismatch, fmt.Sprintf("Redirect URI: %q.", ask.redirect)}
	}
	return ask, nil
}

// carryOut grants what was asked for: everything that the registration requires. Only a v2 link without /.default
// asks for delegated permissions alone; it leaves a service principal without roles.
func (e *Emulator) carryOut(ask consentAsk) error {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	t, r := d.tenants[ask.tenant], d.apps[ask.app.ClientID]
	if t == nil || r == nil {
		return refused{code: codeTenantNotFound}
	}
	for resource := range r.Permissions {
		if !d.has(t, resource) {
			return refused{codeNotSubscribed, fmt.Sprintf("Resource: %q.", resource)}
		}
	}
	if ask.style == consentStyleV2 && !strings.Contains(ask.scope+" ", defaultScope+" ") {
		t.principal(ask.app.ClientID)
		return nil
	}
	t.accept(r)
	return nil
}

func (e *Emulator) accepted(v *visit, ask consentAsk) answer {
	outcome := url.Values{}
	switch ask.style {
	case consentStyleV2:
		outcome.Set("scope", ask.scope)
		fallthrough
	case consentStyleV1:
		outcome.Set("admin_consent", "True")
		outcome.Set("tenant", ask.tenant)
	case consentStyleAuthorize: // the code goes to whoever is registered; the operator never sees it
		outcome.Set("code", e.authorizationCode())
		outcome.Set("session_state", newGUID())
	}
	return e.back(v, ask, outcome, "Consent was granted. You can close this page.")
}

// declined goes back with an error, which in the newer form stands beside admin_consent=True.
func (e *Emulator) declined(v *visit, ask consentAsk, err error) answer {
	why := refused{code: codeDeclined}
	errors.As(err, &why)
	outcome := url.Values{"error_description": {e.describe(v, why)}}
	switch ask.style {
	case consentStyleV2:
		outcome.Set("admin_consent", "True")
		outcome.Set("error", e.refusalFor(why.code).Error)
	case consentStyleV1:
		outcome.Set("error", "permission_denied")
	case consentStyleAuthorize:
		return e.problemPage(v, why)
	}
	a := e.back(v, ask, outcome, "Consent was not granted. "+e.describe(v, why))
	a.code = why.code
	return a
}

// back redirects to the application, or says the outcome on a page if the application registered no address.
func (e *Emulator) back(v *visit, ask consentAsk, outcome url.Values, text string) answer {
	if ask.redirect == "" {
		return e.page(http.StatusOK, "message.html", messagePage{Title: "Consent", Text: text})
	}
	target, err := url.Parse(ask.redirect)
	if err != nil {
		return e.problemPage(v, refused{code: codeRedirectMismatch})
	}
	query := target.Query()
	for _, values := range []url.Values{outcome, ask.state} {
		maps.Copy(query, values)
	}
	target.RawQuery = query.Encode()
	return answer{status: http.StatusFound, header: http.Header{"Location": {target.String()}}}
}

// authorizationCode looks like Entra's and carries the marker, since it would be worth stealing.
func (e *Emulator) authorizationCode() string {
	var b [48]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return "0.A" + e.options.Marker + "." + base64.RawURLEncoding.EncodeToString(b[:])
}
