package entra

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// assertionSkew is how far Entra lets the client's clock be wrong.
const assertionSkew = 5 * time.Minute

// checkAssertion verifies a JWT that the client signed with its certificate, or one of a federated issuer.
func (r *registration) checkAssertion(p presentation, now time.Time, audience func(string) bool) (proof, error) {
	c, err := openCompact(p.assertion)
	if err != nil {
		return proof{}, refused{codeBadAssertion, "It cannot be decoded."}
	}
	if issuer := c.text("iss"); strings.HasPrefix(issuer, "https://") {
		return r.checkFederated(c, now)
	}
	if !strings.EqualFold(c.text("iss"), r.ClientID) || !strings.EqualFold(c.text("sub"), r.ClientID) {
		return proof{}, refused{code: codeForeignAssertion}
	}
	cert := r.certificateOf(c)
	switch {
	case cert == nil:
		return proof{}, refused{codeAssertionSignature, "Reason: the key was not found."}
	case now.After(cert.NotAfter) || now.Before(cert.NotBefore):
		return proof{}, refused{codeAssertionSignature, "Reason: the certificate is not within its valid time range."}
	case !signedBy(c, cert.PublicKey):
		return proof{}, refused{codeAssertionSignature, "Reason: the key was found, but the signature does not match."}
	case !c.hasAudience(audience):
		return proof{}, refused{codeBadAssertion, fmt.Sprintf("Unexpected audience: %q.", c.text("aud"))}
	}
	if err := c.checkTime(now); err != nil {
		return proof{}, err
	}
	digest := sha256.Sum256(cert.Raw)
	return proof{class: "2", text: "certificate " + base64.RawURLEncoding.EncodeToString(digest[:])}, nil
}

// certificateOf finds the registered certificate that the header points to, or nil.
func (r *registration) certificateOf(c compact) *x509.Certificate {
	for _, cert := range r.certificates {
		short, long := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
		if pointsTo(c.header, "x5t#S256", long[:]) || pointsTo(c.header, "x5t", short[:]) ||
			pointsTo(c.header, "kid", short[:]) {
			return cert
		}
	}
	return nil
}

// pointsTo takes thumbprints as base64url, as the standard says, as padded standard base64, as clients also write
// them, and as hexadecimal digits.
func pointsTo(header map[string]any, name string, thumbprint []byte) bool {
	text := textOf(header[name])
	if decoded, err := hex.DecodeString(text); err == nil && bytes.Equal(decoded, thumbprint) {
		return true
	}
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && bytes.Equal(decoded, thumbprint)
}

// signedBy verifies RS256 and PS256.
func signedBy(c compact, key any) bool {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return false
	}
	digest := sha256.Sum256([]byte(c.signed))
	switch c.header["alg"] {
	case "RS256":
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], c.signature) == nil
	case "PS256":
		return rsa.VerifyPSS(public, crypto.SHA256, digest[:], c.signature, nil) == nil
	}
	return false
}

// checkTime wants exp, and takes nbf if it is there.
func (c compact) checkTime(now time.Time) error {
	expires, ok := c.seconds("exp")
	if !ok {
		return refused{codeBadAssertion, "The exp claim is missing."}
	}
	from, hasFrom := c.seconds("nbf")
	early := hasFrom && now.Add(assertionSkew).Before(time.Unix(from, 0))
	if early || !now.Add(-assertionSkew).Before(time.Unix(expires, 0)) {
		return refused{codeAssertionTime, fmt.Sprintf("Current time: %s, assertion valid from %s to %s.",
			now.UTC().Format(time.RFC3339), time.Unix(from, 0).UTC().Format(time.RFC3339),
			time.Unix(expires, 0).UTC().Format(time.RFC3339))}
	}
	return nil
}
