package entra

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// clouds are the alias sets that Entra tells about; the first host of each is preferred.
func clouds() [][]string {
	return [][]string{
		{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"},
		{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"},
		{"login.microsoftonline.us", "login.usgovcloudapi.net"},
	}
}

// instance answers which hosts belong together, and whether the host that a client was given is one of them.
func (e *Emulator) instance(v *visit) answer {
	endpoint, err := url.Parse(v.request.Form.Get("authorization_endpoint"))
	if err != nil || endpoint.Host == "" {
		return e.refuse(v, refused{codeParameterMissing, "Parameter: authorization_endpoint."})
	}
	sets := clouds()
	if !slices.ContainsFunc(sets, func(set []string) bool { return slices.Contains(set, v.request.Host) }) {
		sets = append(sets, []string{v.request.Host})
	}
	if !slices.ContainsFunc(sets, func(set []string) bool { return slices.Contains(set, endpoint.Host) }) {
		return e.refuse(v, refused{code: codeUnknownInstance})
	}
	metadata := make([]map[string]any, 0, len(sets))
	for _, set := range sets {
		metadata = append(metadata, map[string]any{"preferred_network": set[0], "preferred_cache": set[0], "aliases": set})
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(endpoint.Path, "/"), "/")
	return jsonAnswer(http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": fmt.Sprintf("https://%s/%s/v2.0/.well-known/openid-configuration", endpoint.Host, tenant),
		"api-version":               "1.1",
		"metadata":                  metadata,
	})
}

func (e *Emulator) configurationV1(v *visit) answer { return e.configuration(v, "", "discovery/keys") }

func (e *Emulator) configurationV2(v *visit) answer {
	return e.configuration(v, "/v2.0", "discovery/v2.0/keys")
}

// configuration is the tenant's metadata, under the host that was asked, for the endpoints of one version.
func (e *Emulator) configuration(v *visit, version, keys string) answer {
	id, err := e.resolve(v.tenant)
	if err != nil {
		return e.refusal(v, err)
	}
	root := v.base + "/" + id
	issuer := root + "/v2.0"
	if version == "" {
		issuer = issuerV1(id)
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"token_endpoint":                        root + "/oauth2" + version + "/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"jwks_uri":                              v.base + "/common/" + keys,
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"issuer":                                issuer,
		"authorization_endpoint":                root + "/oauth2" + version + "/authorize",
		"tenant_region_scope":                   "EU",
		"cloud_instance_name":                   "microsoftonline.com",
		"cloud_graph_host_name":                 "graph.windows.net",
		"msgraph_host":                          "graph.microsoft.com",
	})
}

// keys serves the signing key, for every tenant the same one.
func (e *Emulator) keys(v *visit) answer {
	if _, err := e.resolve(v.tenant); err != nil {
		return e.refusal(v, err)
	}
	return jsonAnswer(http.StatusOK, map[string]any{"keys": []map[string]any{e.signer.publicKey(v.base)}})
}

// shared tells whether the name in a path stands for no tenant in particular.
func shared(tenantID string) bool {
	return tenantID == "common" || tenantID == "organizations" || tenantID == "consumers"
}

// resolve checks the tenant of a path and returns its identifier, or the shared name.
func (e *Emulator) resolve(tenantID string) (string, error) {
	if shared(tenantID) {
		return tenantID, nil
	}
	if !tenantShaped(tenantID) {
		return "", refused{codeTenantMalformed, fmt.Sprintf("Identifier: %q.", tenantID)}
	}
	e.directory.mu.RLock()
	defer e.directory.mu.RUnlock()
	if e.directory.tenants[tenantID] == nil {
		return "", refused{codeTenantNotFound, fmt.Sprintf("Tenant: %q.", tenantID)}
	}
	return tenantID, nil
}

// tenantShaped accepts GUIDs and domain names.
func tenantShaped(id string) bool {
	inside := func(r rune) bool {
		return r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z'
	}
	return strings.ContainsAny(id, "-.") && strings.IndexFunc(id, func(r rune) bool { return !inside(r) }) < 0
}

func issuerV1(tenantID string) string { return "https://sts.windows.net/" + tenantID + "/" }
