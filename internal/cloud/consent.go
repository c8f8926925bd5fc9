package cloud

import (
	"net/url"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// TenantConsentURL is the link that asks an administrator of one tenant to accept all
// permissions of the application. With a redirect URI it is the v2.0 form, which wants
// the scope of one resource and then behaves as the older form does.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-admin-consent.
func (c Catalog) TenantConsentURL(app v1alpha1.DefenderAppSpec, tenantID, resource string) string {
	base := c.Login(app.Cloud).URL + "/" + tenantID
	if app.Consent == nil {
		return base + "/adminconsent?client_id=" + app.ClientID
	}
	query := url.Values{
		"client_id":    {app.ClientID},
		"scope":        {resource + "/.default"},
		"redirect_uri": {app.Consent.RedirectURI},
	}
	return base + "/v2.0/adminconsent?" + query.Encode()
}

// AppConsentURL is the link that any customer's administrator can open: the tenant
// follows from who signs in. The operator cannot see how it ends.
//
// Source: learn.microsoft.com/defender-xdr/api-partner-access.
func (c Catalog) AppConsentURL(app v1alpha1.DefenderAppSpec) string {
	return c.Login(app.Cloud).URL + "/common/oauth2/authorize?prompt=consent&client_id=" + app.ClientID +
		"&response_type=code&sso_reload=true"
}
