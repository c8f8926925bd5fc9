package cloud

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// Login is the login endpoint of a cloud.
type Login struct {
	// URL is scheme and host, without a trailing slash.
	URL string
}

// Host is the host, with its port if it has one.
func (l Login) Host() string { return strings.TrimPrefix(l.URL, "https://") }

// Catalog finds login endpoints and vaults. The zero value knows Microsoft's own.
type Catalog struct{ publicURL, vaultURL string }

// NewCatalog makes a Catalog in which authorityURL, unless empty, replaces the login
// endpoint of the Public cloud.
func NewCatalog(authorityURL string) (Catalog, error) {
	if authorityURL == "" {
		return Catalog{}, nil
	}
	base, ok := baseURL(authorityURL)
	if !ok {
		return Catalog{}, fmt.Errorf("authority URL %q must be https://host[:port] without a path", authorityURL)
	}
	return Catalog{publicURL: base}, nil
}

// baseURL takes nothing but https://host[:port].
func baseURL(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	return "https://" + u.Host, true
}

// Login gives the login endpoint of a cloud; an empty cloud is Public.
//
// Source: learn.microsoft.com/entra/identity-platform/authentication-national-cloud.
func (c Catalog) Login(cloud v1alpha1.Cloud) Login {
	switch cloud {
	case v1alpha1.CloudUSGovernment:
		return Login{URL: "https://login.microsoftonline.us"}
	case v1alpha1.CloudChina:
		return Login{URL: "https://login.partner.microsoftonline.cn"}
	case v1alpha1.CloudPublic:
	}
	if c.publicURL != "" {
		return Login{URL: c.publicURL}
	}
	return Login{URL: "https://login.microsoftonline.com"}
}

// Hosts are all hosts that credentials may be sent to.
func (c Catalog) Hosts() []string {
	var hosts []string
	for _, cloud := range []v1alpha1.Cloud{v1alpha1.CloudPublic, v1alpha1.CloudUSGovernment, v1alpha1.CloudChina} {
		hosts = append(hosts, c.Login(cloud).Host())
	}
	return hosts
}
