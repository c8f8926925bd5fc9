package token

import (
	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
)

// Request asks Entra ID for one token.
type Request struct {
	// Cloud selects the login host.
	Cloud v1alpha1.Cloud
	// TenantID is the customer: always a GUID, never empty.
	TenantID string
	// ClientID is the application.
	ClientID string
	// Resource is the URI of the API, without a trailing /.default.
	Resource string
	// Credential proves the application's identity.
	Credential credential.Credential
}
