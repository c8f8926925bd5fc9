package vault_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/defender-tenant/operator/test/entra"
	"github.com/defender-tenant/operator/test/vault"
)

const (
	clientID = "22222222-2222-2222-2222-222222222222"
	home     = "99999999-9999-9999-9999-999999999999"
)

// caller is a credential of the SDK that follows the vault's challenge.
type caller struct {
	t      *testing.T
	entra  *entra.Emulator
	tenant string // instead of the one in the challenge
	asked  []policy.TokenRequestOptions
}

func (c *caller) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.asked = append(c.asked, o)
	tenant := o.TenantID
	if c.tenant != "" {
		tenant = c.tenant
	}
	response, err := c.entra.HTTPClient().PostForm(c.entra.URL()+"/"+tenant+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {"s3cret"}, "scope": o.Scopes,
	})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Token string `json:"access_token"`
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	return azcore.AccessToken{Token: answer.Token, ExpiresOn: time.Now().Add(time.Hour)}, err
}

func start(t *testing.T) (*vault.Emulator, *caller, azcore.ClientOptions) {
	t.Helper()
	e, err := entra.Start(entra.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.RegisterApp(entra.App{ClientID: clientID, HomeTenantID: home})
	e.AddSecret(clientID, "s3cret", time.Time{})
	v, err := vault.Start(vault.Options{Entra: e, TenantID: home})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v, &caller{t: t, entra: e}, azcore.ClientOptions{Transport: e.HTTPClient(), Retry: policy.RetryOptions{MaxRetries: -1}}
}

func status(err error) int {
	if refused, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return refused.StatusCode
	}
	return 0
}

// Microsoft's own clients are the yardstick for being faithful.
func TestTheSDKSigns(t *testing.T) {
	v, c, options := start(t)
	cert := v.MakeCertificate("partner", time.Now().Add(time.Hour))
	v.MakeCertificate("partner", time.Now().Add(2*time.Hour))
	keys, err := azkeys.NewClient(v.URL(), c, &azkeys.ClientOptions{ClientOptions: options, DisableChallengeResourceVerification: true})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("text"))
	sign := func(version string) ([]byte, error) {
		answer, err := keys.Sign(t.Context(), "partner", version, azkeys.SignParameters{Algorithm: to.Ptr(azkeys.SignatureAlgorithmPS256), Value: digest[:]}, nil)
		return answer.Result, err
	}
	if _, err := sign(""); status(err) != http.StatusForbidden {
		t.Errorf("without the right: %v", err)
	}
	if len(c.asked) != 1 || c.asked[0].TenantID != home || c.asked[0].Scopes[0] != "https://vault.azure.net/.default" {
		t.Errorf("the challenge was understood as %+v", c.asked)
	}
	v.Allow(clientID, vault.Sign)
	signature, err := sign("00000000000000000000000000000001")
	if err != nil {
		t.Fatal(err)
	}
	verify := func() error {
		return rsa.VerifyPSS(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], signature, nil)
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	if signature, err = sign(""); err != nil || verify() == nil {
		t.Errorf("without a version the newest does not sign: %v", err)
	}
	if _, err := sign("00000000000000000000000000000003"); status(err) != http.StatusNotFound {
		t.Errorf("a version that is none: %v", err)
	}
	v.Disable("certificate", "partner", true)
	if _, err := sign(""); status(err) != http.StatusForbidden || !strings.Contains(err.Error(), "KeyDisabled") {
		t.Errorf("disabled: %v", err)
	}
	v.Disable("certificate", "partner", false)
	v.Fail(http.StatusTooManyRequests, 1)
	if _, err := sign(""); status(err) != http.StatusTooManyRequests {
		t.Errorf("injected: %v", err)
	}
	if _, err := sign(""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestTheSDKReadsASecret(t *testing.T) {
	v, c, options := start(t)
	v.Allow(clientID, vault.Get)
	v.SetSecret("partner", "first", time.Time{})
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	v.SetSecret("partner", "second", ends)
	secrets, err := azsecrets.NewClient(v.URL(), c, &azsecrets.ClientOptions{ClientOptions: options, DisableChallengeResourceVerification: true})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := secrets.GetSecret(t.Context(), "partner", "", nil)
	if err != nil || *answer.Value != "second" || !answer.Attributes.Expires.Equal(ends) || !*answer.Attributes.Enabled {
		t.Errorf("got %+v, %v", answer, err)
	}
	if answer, err = secrets.GetSecret(t.Context(), "partner", "00000000000000000000000000000001", nil); err != nil || *answer.Value != "first" {
		t.Errorf("got %+v, %v", answer, err)
	}
	v.Delete("secret", "partner")
	if _, err := secrets.GetSecret(t.Context(), "partner", "", nil); status(err) != http.StatusNotFound {
		t.Errorf("deleted: %v", err)
	}
	if err := v.Down(true); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.GetSecret(t.Context(), "partner", "", nil); err == nil || status(err) != 0 {
		t.Errorf("down: %v", err)
	}
	if err := v.Down(false); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.GetSecret(t.Context(), "partner", "", nil); status(err) != http.StatusNotFound {
		t.Errorf("up again: %v", err)
	}
}

func TestTokensOfAnotherTenantAreRefused(t *testing.T) {
	v, c, options := start(t)
	const other = "11111111-1111-1111-1111-111111111111"
	c.tenant = other
	c.entra.AddTenant(other)
	c.entra.Consent(other, clientID)
	v.Allow(clientID, vault.Get)
	v.SetSecret("partner", "value", time.Time{})
	secrets, err := azsecrets.NewClient(v.URL(), c, &azsecrets.ClientOptions{ClientOptions: options, DisableChallengeResourceVerification: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.GetSecret(t.Context(), "partner", "", nil); status(err) != http.StatusUnauthorized {
		t.Errorf("got %v", err)
	}
}
