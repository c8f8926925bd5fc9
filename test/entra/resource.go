package entra

import (
	"slices"
	"strings"
)

// Resources that every tenant has unless Unprovision takes them away. They are the URIs to request a token for.
const (
	// DefenderXDR is Microsoft Threat Protection; it is also known as https://security.microsoft.com/mtp/.
	DefenderXDR = "https://api.security.microsoft.com"
	// DefenderForEndpoint is WindowsDefenderATP; it is also known as https://securitycenter.onmicrosoft.com/windowsatpservice.
	DefenderForEndpoint = "https://api.securitycenter.microsoft.com"
	// MicrosoftGraph is Microsoft Graph.
	MicrosoftGraph = "https://graph.microsoft.com"
	// KeyVault is Azure Key Vault. Its tokens carry no roles: the vault itself knows who may do what.
	KeyVault = "https://vault.azure.net"
)

// resource is an API's service principal: one application with several identifier URIs.
type resource struct {
	name, appID string
	uris        []string // lower case, no trailing slash; the first one is canonical
}

func builtInResources() []resource {
	return []resource{
		{"Microsoft Threat Protection", "8ee8fdad-f234-4243-8f3b-15c294843740", []string{
			DefenderXDR, "https://security.microsoft.com/mtp", "https://securitycenter.microsoft.com/mtp",
		}},
		{"WindowsDefenderATP", "fc780465-2017-40d4-a0c5-307022471b92", []string{
			DefenderForEndpoint, "https://securitycenter.onmicrosoft.com/windowsatpservice",
		}},
		{"Microsoft Graph", "00000003-0000-0000-c000-000000000000", []string{MicrosoftGraph}},
		{"Azure Key Vault", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093", []string{KeyVault}},
	}
}

// canonicalResource gives the one URI under which grants for the resource are kept. Entra ignores case and one
// trailing slash, and takes the application ID of the API in place of a URI.
func canonicalResource(asked string) string {
	key := strings.ToLower(strings.TrimSuffix(asked, "/"))
	for _, r := range builtInResources() {
		if r.appID == key || slices.Contains(r.uris, key) {
			return r.uris[0]
		}
	}
	return key
}

// resourceName is what a consent page calls the API.
func resourceName(canonical string) string {
	for _, r := range builtInResources() {
		if r.uris[0] == canonical {
			return r.name
		}
	}
	return canonical
}

// builtIn tells whether every tenant has the resource.
func builtIn(canonical string) bool { return resourceName(canonical) != canonical }
