package entra

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/token"
)

// errNoCredential is not wrapped around anything: what MSAL says of a credential stays here.
var errNoCredential = errors.New("the credential holds no secret, no key with its certificate and nobody who makes assertions")

// maxVersions is how many clients are kept for one slot. Two versions are in use while a new
// credential is on trial, and applications of the same client ID may share a slot.
const maxVersions = 4

// clients keeps one MSAL client per credential in use. A client knows the endpoints of each
// tenant that it served, which saves a request; the credential is part of it and cannot be
// exchanged.
type clients struct {
	line *line

	mu   sync.Mutex
	held map[slot][]version // the one used last comes first
}

// slot is where a credential comes from.
type slot struct {
	cloud          v1alpha1.Cloud
	clientID, name string
}

// version is one version of what is kept there.
type version struct {
	fingerprint string
	client      confidential.Client
}

// forRequest gives the client of the request's credential. Of the versions of a credential
// those used last are kept; calls under way keep theirs.
func (c *clients) forRequest(login cloud.Login, want token.Request) (confidential.Client, error) {
	at := slot{want.Cloud, want.ClientID, want.Credential.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[at]
	i := slices.IndexFunc(held, func(v version) bool { return v.fingerprint == want.Credential.Fingerprint })
	if i == 0 {
		return held[0].client, nil
	}
	used := version{fingerprint: want.Credential.Fingerprint}
	if i > 0 {
		used = held[i]
		held = slices.Delete(held, i, i+1)
	} else {
		client, err := c.make(login, want)
		if err != nil {
			return confidential.Client{}, err
		}
		used.client = client
	}
	c.held[at] = slices.Insert(held[:min(len(held), maxVersions-1)], 0, used)
	return used.client, nil
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
	case held.Key == nil && held.Assert != nil:
		return confidential.NewCredFromAssertionCallback(assert), nil
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
