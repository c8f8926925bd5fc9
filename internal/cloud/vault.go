package cloud

import (
	"fmt"
	"strings"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// Vault is an Azure Key Vault.
type Vault struct {
	// URL is scheme and host, without a trailing slash.
	URL string
	// Resource is what a token for any vault of the cloud is asked for.
	Resource string
}

// Host is the host, with its port if it has one.
func (v Vault) Host() string { return strings.TrimPrefix(v.URL, "https://") }

// WithVault gives a Catalog in which vaultURL, unless empty, stands for every vault of the
// Public cloud.
func (c Catalog) WithVault(vaultURL string) (Catalog, error) {
	if vaultURL == "" {
		return c, nil
	}
	base, ok := baseURL(vaultURL)
	if !ok {
		return Catalog{}, fmt.Errorf("vault URL %q must be https://host[:port] without a path", vaultURL)
	}
	c.vaultURL = base
	return c, nil
}

// Vault gives the vault of a name; an empty cloud is Public.
//
// Source: learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates.
func (c Catalog) Vault(cloud v1alpha1.Cloud, name string) Vault {
	domain := "vault.azure.net"
	switch cloud {
	case v1alpha1.CloudUSGovernment:
		domain = "vault.usgovcloudapi.net"
	case v1alpha1.CloudChina:
		domain = "vault.azure.cn"
	case v1alpha1.CloudPublic:
	}
	vault := Vault{URL: "https://" + strings.ToLower(name) + "." + domain, Resource: "https://" + domain}
	if c.vaultURL != "" && (cloud == "" || cloud == v1alpha1.CloudPublic) {
		vault.URL = c.vaultURL
	}
	return vault
}
