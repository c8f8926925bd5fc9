package entra

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const defaultScope = "/.default"

// entitlement is a token that may be issued.
type entitlement struct {
	tenant, clientID string
	audience         string // the resource as it was asked for
	roles            []string
	lifetime         time.Duration
	proof            proof
}

func (e *Emulator) tokenV1(v *visit) answer {
	return e.token(v, resourceOfV1, func(token string, in entitlement, expires int64) map[string]any {
		// The old endpoint writes its numbers as strings.
		return map[string]any{
			"token_type": "Bearer", "access_token": token, "resource": in.audience,
			"expires_in": fmt.Sprint(expiresIn(in)), "ext_expires_in": fmt.Sprint(expiresIn(in)),
			"expires_on": fmt.Sprint(expires), "not_before": fmt.Sprint(e.notBefore(v.now)),
		}
	})
}

func (e *Emulator) tokenV2(v *visit) answer {
	return e.token(v, resourceOfV2, func(token string, in entitlement, _ int64) map[string]any {
		return map[string]any{
			"token_type": "Bearer", "access_token": token,
			"expires_in": expiresIn(in), "ext_expires_in": expiresIn(in),
		}
	})
}

// token decides, mints and writes down one token. The versions differ in how they ask and how they answer.
func (e *Emulator) token(
	v *visit, resource func(url.Values) (string, error), body func(string, entitlement, int64) map[string]any,
) answer {
	form := v.request.PostForm
	in, err := e.request(v, form, resource)
	if err != nil {
		return e.refusal(v, err)
	}
	token, issued, err := e.mint(v, in)
	if err != nil {
		return jsonAnswer(http.StatusInternalServerError, map[string]any{"error": "server_error", "error_description": err.Error()})
	}
	e.ledger.issue(issued)
	members := body(token, in, v.now.Add(in.lifetime).Unix())
	switch v.fault.ExpiresIn {
	case "":
	case OmitExpiresIn:
		delete(members, "expires_in")
	default:
		members["expires_in"] = rawNumber(v.fault.ExpiresIn)
	}
	return jsonAnswer(http.StatusOK, members)
}

// rawNumber is JSON that is sent as it stands.
type rawNumber string

// MarshalJSON writes the text itself.
func (r rawNumber) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// expiresIn is one second less than the truth, as Entra counts, but at least one.
func expiresIn(in entitlement) int64 { return max(1, int64(in.lifetime/time.Second)-1) }

// request checks the form and then, in Entra's order: tenant, app, credential, service principal, resource.
func (e *Emulator) request(v *visit, form url.Values, resource func(url.Values) (string, error)) (entitlement, error) {
	for _, name := range []string{"grant_type", "client_id"} {
		if form.Get(name) == "" && (name != "client_id" || !hasBasicAuth(v.request)) {
			return entitlement{}, refused{codeParameterMissing, "Parameter: " + name + "."}
		}
	}
	if form.Get("grant_type") != "client_credentials" {
		return entitlement{}, refused{code: codeUnknownGrant}
	}
	asked, err := resource(form)
	if err != nil {
		return entitlement{}, err
	}
	v.record.Resource = asked
	if _, err := e.resolve(v.tenant); err != nil {
		return entitlement{}, err
	}
	return e.entitle(v, asked)
}

func (e *Emulator) entitle(v *visit, asked string) (entitlement, error) {
	d := e.directory
	d.mu.RLock()
	defer d.mu.RUnlock()
	p := presented(v)
	v.record.ClientID = p.clientID
	app := d.apps[p.clientID]
	if app == nil {
		return entitlement{}, refused{codeAppNotFound, fmt.Sprintf("Application: %q.", p.clientID)}
	}
	t, err := d.target(v.tenant, app)
	if err != nil {
		return entitlement{}, err
	}
	principal := t.principals[p.clientID]
	if principal == nil && d.codes.MissingPrincipal != codeMissingPrincipal {
		return entitlement{}, refused{d.codes.MissingPrincipal, fmt.Sprintf("Application: %q.", p.clientID)}
	}
	if app.disabled || principal != nil && principal.disabled {
		return entitlement{}, refused{codeAppDisabled, fmt.Sprintf("Application: %q (%s).", p.clientID, app.DisplayName)}
	}
	proof, err := app.authenticate(p, v.now, v.audiences(t.id))
	if err != nil {
		return entitlement{}, err
	}
	v.record.Credential = proof.text
	if principal == nil {
		return entitlement{}, refused{d.codes.MissingPrincipal, fmt.Sprintf("Application: %q, tenant: %q.", p.clientID, t.id)}
	}
	if err := d.refuseResource(t, asked); err != nil {
		return entitlement{}, err
	}
	return entitlement{
		tenant: t.id, clientID: p.clientID, audience: asked, proof: proof, lifetime: d.lifetimeOf(t),
		roles: principal.roles[canonicalResource(asked)],
	}, nil
}

// target is the tenant that issues the token. "organizations" stands for the app's own tenant, which surprises those
// who left the tenant empty; it needs mu.
func (d *directory) target(tenantID string, app *registration) (*tenant, error) {
	if tenantID == "organizations" && app.HomeTenantID != "" {
		tenantID = app.HomeTenantID
	}
	if shared(tenantID) {
		return nil, refused{code: codeCommonTenant}
	}
	t := d.tenants[tenantID]
	if t == nil { // removed since the request was resolved
		return nil, refused{codeTenantNotFound, fmt.Sprintf("Tenant: %q.", tenantID)}
	}
	return t, nil
}

// refuseResource needs mu.
func (d *directory) refuseResource(t *tenant, asked string) error {
	key := canonicalResource(asked)
	code := d.codes.Unprovisioned
	if !builtIn(key) && !d.named[key] {
		code = codeResourceNotFound
	} else if d.has(t, key) {
		return nil
	}
	return refused{code, fmt.Sprintf("Resource: %q, tenant: %q.", asked, t.id)}
}

func resourceOfV1(form url.Values) (string, error) {
	resource := form.Get("resource")
	if resource == "" {
		return "", refused{codeParameterMissing, "Parameter: resource."}
	}
	return resource, nil
}

// resourceOfV2 ignores the OpenID Connect scopes that client libraries add to every request.
func resourceOfV2(form url.Values) (string, error) {
	if form.Get("scope") == "" {
		if form.Has("resource") {
			return "", refused{code: codeResourceParameter}
		}
		return "", refused{codeParameterMissing, "Parameter: scope."}
	}
	scopes := slices.DeleteFunc(strings.Fields(form.Get("scope")), func(s string) bool {
		return s == "openid" || s == "offline_access" || s == "profile"
	})
	if len(scopes) != 1 {
		return "", refused{codeBadScope, fmt.Sprintf("Scope: %q.", form.Get("scope"))}
	}
	resource, isDefault := strings.CutSuffix(scopes[0], defaultScope)
	if !isDefault || resource == "" {
		return "", refused{codeScopeNotDefault, fmt.Sprintf("Scope: %q.", scopes[0])}
	}
	return resource, nil
}

// refusal answers with the error that a check returned.
func (e *Emulator) refusal(v *visit, err error) answer {
	var why refused
	if !errors.As(err, &why) {
		why = refused{code: codeServiceUnavailable}
	}
	return e.refuse(v, why)
}
