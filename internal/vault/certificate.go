package vault

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/defender-tenant/operator/internal/credential"
)

const (
	apiVersion = "2025-07-01"
	// minKeyBits is the least that Entra ID accepts.
	minKeyBits = 2048
)

// part is the form of names and versions in a vault.
var part = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

// certificate is what a vault says of one.
type certificate struct {
	KeyID string `json:"kid"`
	DER   []byte `json:"cer"`
	About struct {
		Enabled *bool `json:"enabled"`
	} `json:"attributes"`
}

// signer is a certificate whose key is in a vault.
type signer struct {
	certificate     *x509.Certificate
	key, keyVersion string
}

// readCertificate reads the current version. The SDK's package for it would bring no more
// than this one request.
func (v *Vaults) readCertificate(ctx context.Context, asked question) (object, error) {
	var found certificate
	err := v.visit(ctx, asked, func(ctx context.Context) error {
		address := asked.at.URL + "/certificates/" + url.PathEscape(asked.name) + "?api-version=" + apiVersion
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return err
		}
		response, err := v.wire.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }() // it is in memory
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		return json.Unmarshal(body, &found)
	})
	if err != nil {
		return object{}, asked.defect(err)
	}
	return found.object(asked)
}

func (c certificate) object(asked question) (object, error) {
	leaf, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return object{}, asked.stranger(http.StatusOK)
	}
	if c.About.Enabled != nil && !*c.About.Enabled {
		return object{}, asked.disabled()
	}
	public, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || public.N.BitLen() < minKeyBits {
		return object{}, asked.unusable("has no RSA key of at least %d bits, and Entra ID accepts no other: make a certificate with one", minKeyBits)
	}
	key, version, ok := keyOf(c.KeyID)
	if !ok {
		return object{}, asked.stranger(http.StatusOK)
	}
	sum := sha256.Sum256(leaf.Raw)
	return object{
		credential: credential.Credential{Fingerprint: hex.EncodeToString(sum[:]), ExpiresAt: leaf.NotAfter.UTC()},
		signer:     &signer{certificate: leaf, key: key, keyVersion: version},
	}, nil
}

// keyOf takes name and version, and nothing else, from the address of a key.
func keyOf(address string) (name, version string, ok bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "keys" || !part.MatchString(parts[1]) || !part.MatchString(parts[2]) {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// inTime tells whether the certificate is valid now.
func (s *signer) inTime(asked question, now time.Time) error {
	switch {
	case now.After(s.certificate.NotAfter):
		return asked.unusable("ended on %s: make a new version of it and register that with the application", s.certificate.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(s.certificate.NotBefore):
		return asked.unusable("is not valid before %s: check the clock of the operator's node", s.certificate.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
