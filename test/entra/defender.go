package entra

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// protectedEndpoint is one call of an API that needs a token.
type protectedEndpoint struct {
	path     string
	resource string   // canonical: the audience that is accepted, under any of its names
	roles    []string // any one of them is enough
	id, name string   // what the API calls the ID and the name of a record
}

func protectedEndpoints() []protectedEndpoint {
	return []protectedEndpoint{
		{"/api/incidents", DefenderXDR, []string{"Incident.Read.All", "Incident.ReadWrite.All"}, "incidentId", "incidentName"},
		{"/api/alerts", DefenderForEndpoint, []string{"Alert.Read.All", "Alert.ReadWrite.All"}, "id", "title"},
		{
			"/v1.0/security/incidents", MicrosoftGraph,
			[]string{"SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"},
			"id", "displayName",
		},
	}
}

// protect answers a call if the token is one of the emulator's, for this API, unexpired and with a role that suffices.
func (e *Emulator) protect(endpoint protectedEndpoint) func(*visit) answer {
	return func(v *visit) answer {
		c, problem := e.bearer(v, endpoint.resource)
		if problem != "" {
			a := apiRefusal(v, http.StatusUnauthorized, "Unauthorized", problem)
			a.header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			return a
		}
		v.record.ClientID, v.record.Resource = c.text("appid"), c.text("aud")
		held := c.names("roles")
		if !slices.ContainsFunc(held, func(role string) bool { return slices.Contains(endpoint.roles, role) }) {
			return apiRefusal(v, http.StatusForbidden, "Forbidden", fmt.Sprintf(
				"Missing application roles. API required roles: %s, application roles: %s.",
				strings.Join(endpoint.roles, ","), strings.Join(held, ",")))
		}
		return samples(v, endpoint, c.text("tid"))
	}
}

// bearer verifies the token of a call. The problem says what is wrong without repeating the token.
func (e *Emulator) bearer(v *visit, resource string) (c compact, problem string) {
	token := bearerToken(v.request)
	if token == "" {
		return compact{}, "No bearer token was sent."
	}
	return e.inspect(token, resource, v.now)
}

func (e *Emulator) inspect(token, resource string, now time.Time) (c compact, problem string) {
	c, err := openCompact(unseal(token))
	if err != nil || c.header["alg"] != "RS256" || !e.signer.verify(c) {
		return compact{}, "The signature of the token is invalid."
	}
	if !c.hasAudience(func(audience string) bool { return canonicalResource(audience) == resource }) {
		return compact{}, fmt.Sprintf("The audience of the token is invalid: %q.", c.text("aud"))
	}
	expires, ok := c.seconds("exp")
	if !ok || !now.Before(time.Unix(expires, 0)) {
		return compact{}, "The lifetime of the token is over."
	}
	if from, ok := c.seconds("nbf"); ok && now.Add(assertionSkew).Before(time.Unix(from, 0)) {
		return compact{}, "The token is not valid yet."
	}
	return c, ""
}

// Holder verifies a token that came as a bearer token to another emulated service, and tells whose it is.
func (e *Emulator) Holder(token, resource string) (tenantID, clientID string, err error) {
	c, problem := e.inspect(token, canonicalResource(resource), e.options.Now())
	if problem != "" {
		return "", "", errors.New(problem)
	}
	return c.text("tid"), c.text("appid"), nil
}

func bearerToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// bearerTenant is the tenant that the token claims, before anything is verified, for the ledger and faults.
func bearerTenant(r *http.Request) string {
	c, err := openCompact(unseal(bearerToken(r)))
	if err != nil {
		return ""
	}
	return strings.ToLower(c.text("tid"))
}

func apiRefusal(v *visit, status int, code, message string) answer {
	return jsonAnswer(status, map[string]any{"error": map[string]any{"code": code, "message": message, "target": v.traceID}})
}

// samples are two records that name the tenant they belong to, less if $top asks for less.
func samples(v *visit, endpoint protectedEndpoint, tenantID string) answer {
	top, err := strconv.Atoi(v.request.URL.Query().Get("$top"))
	if err != nil || top < 0 {
		top = 2
	}
	list := []map[string]any{
		{endpoint.id: 1, endpoint.name: "Suspicious sign-in", "severity": "Medium", "status": "Active", "tenantId": tenantID},
		{endpoint.id: 2, endpoint.name: "Malware was prevented", "severity": "Low", "status": "Resolved", "tenantId": tenantID},
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"@odata.context": endpoint.resource + endpoint.path + "/$metadata",
		"value":          list[:min(top, len(list))],
	})
}
