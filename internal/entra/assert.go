package entra

import (
	"context"
	"errors"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
)

// assert makes the client assertion of a call. It asks the credential of this very call: the
// one that MSAL's client was made with can be older, though of the same fingerprint.
func assert(ctx context.Context, asked confidential.AssertionRequestOptions) (string, error) {
	c, ok := callOf(ctx)
	if !ok || c.credential.Assert == nil {
		return "", errForbidden
	}
	assertion, err := c.credential.Assert(ctx, asked.TokenEndpoint)
	if err != nil {
		return "", c.notAsserted(err)
	}
	if assertion.IsEmpty() {
		return "", c.fault(credentialUnusable(), errNoCredential)
	}
	return assertion.Reveal(), nil
}

// notAsserted is for a credential that could not make its assertion. Other applications, and
// the login host, have no part in that, unless the host itself was asked on the way and failed.
func (c *call) notAsserted(err error) *token.Fault {
	if inner, ok := errors.AsType[*token.Fault](err); ok && inner.Scope == token.ScopeHost {
		own := *inner
		return &own
	}
	flaw, ok := errors.AsType[*credential.Defect](err)
	if !ok {
		return c.fault(credentialUnusable(), errNoCredential)
	}
	return token.Unusable(c.credential.Name, "application "+c.clientID, flaw)
}
