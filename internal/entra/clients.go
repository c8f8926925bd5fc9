package entra

import (
	"context"
	"errors"
	"sync"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/token"
)

// errNoCredential is not wrapped around anything: what MSAL says of a credential stays here.
var errNoCredential = errors.New("the credential holds neither a secret nor a key with its certificate")

// clients keeps one MSAL client per credential in use. A client knows the endpoints of each
// tenant that it served, which saves a request; the credential is part of it and cannot be
// exchanged.
type clients struct {
	line *line

	mu   sync.Mutex
	held map[slot]version
}

// slot is where a credential comes from.
type slot struct {
	cloud          v1alpha1.Cloud
	clientID, name string
}

// version is the credential that is there now.
type version struct {
	fingerprint string
	client      confidential.Client
}

// forRequest gives the client of the request's credential. A new version of a credential
// replaces the one before; calls under way keep theirs.
func (c *clients) forRequest(login cloud.Login, want token.Request) (confidential.Client, error) {
	at := slot{want.Cloud, want.ClientID, want.Credential.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	if held, ok := c.held[at]; ok && held.fingerprint == want.Credential.Fingerprint {
		return held.client, nil
	}
	client, err := c.make(login, want)
	if err != nil {
		return confidential.Client{}, err
	}
	c.held[at] = version{want.Credential.Fingerprint, client}
	return client, nil
}

func (c *clients) make(login cloud.Login, want token.Request) (confidential.Client, error) {
	proof, err := proofOf(want)
	if err != nil {
		return confidential.Client{}, errNoCredential
	}
	options := []confidential.Option{
		confidential.WithHTTPClient(c.line),
		confidential.WithCache(nullCache{}),
		// The hosts come from our own table, so there is nothing to discover; MSAL would do it
		// under a lock that holds up every other call.
		confidential.WithInstanceDiscovery(false),
		// MSAL takes a region from the variable MSAL_FORCE_REGION, which would move the
		// credential to another host. This value is MSAL's own way to say no.
		confidential.WithAzureRegion("DisableMsalForceRegion"),
	}
	if want.Credential.Key != nil {
		// The chain lets Entra ID accept a renewed certificate by its subject and issuer.
		options = append(options, confidential.WithX5C())
	}
	client, err := confidential.New(login.URL+"/organizations", want.ClientID, proof, options...)
	if err != nil {
		return confidential.Client{}, errNoCredential
	}
	return client, nil
}

func proofOf(want token.Request) (confidential.Credential, error) {
	held := want.Credential
	switch {
	case held.Key != nil && len(held.Chain) > 0:
		return confidential.NewCredFromCert(held.Chain, held.Key.Reveal())
	case held.Key == nil && !held.Secret.IsEmpty():
		return confidential.NewCredFromSecret(held.Secret.Reveal())
	default:
		return confidential.Credential{}, errNoCredential
	}
}

// nullCache empties MSAL's token cache before each look into it. The Secret is the
// operator's cache: an early refresh, and a mint after new consent, must reach Entra ID.
type nullCache struct{}

// Replace forgets all tokens. Endpoints are kept elsewhere and stay.
func (nullCache) Replace(_ context.Context, c cache.Unmarshaler, _ cache.ReplaceHints) error {
	return c.Unmarshal([]byte("{}"))
}

// Export stores nothing.
func (nullCache) Export(context.Context, cache.Marshaler, cache.ExportHints) error { return nil }
