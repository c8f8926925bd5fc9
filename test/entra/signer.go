package entra

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/big"
)

const (
	signingBits = 2048
	// opaquePrefix starts tokens that are no JWT.
	opaquePrefix = "EwC"
)

// signer signs every token with one RSA key, which is published with a self-signed certificate as Entra does.
type signer struct {
	key    *rsa.PrivateKey
	der    []byte
	keyID  string // SHA-1 thumbprint of the certificate: kid and x5t
	header string // encoded: the same for all tokens
}

func newSigner() (*signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, signingBits)
	if err != nil {
		return nil, err
	}
	from, to := validity()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "accounts.accesscontrol.windows.net"},
		NotBefore: from, NotAfter: to,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	thumbprint := sha1.Sum(der) // the format of x5t, no protection
	keyID := base64.RawURLEncoding.EncodeToString(thumbprint[:])
	// Members in the order of real tokens, which all begin with "eyJ0eXAiOiJKV1Qi".
	header, err := json.Marshal(struct {
		Typ string `json:"typ"`
		Alg string `json:"alg"`
		X5t string `json:"x5t"`
		Kid string `json:"kid"`
	}{"JWT", "RS256", keyID, keyID})
	if err != nil {
		return nil, err
	}
	return &signer{key: key, der: der, keyID: keyID, header: base64.RawURLEncoding.EncodeToString(header)}, nil
}

// sign makes a JWT of claims that are already JSON.
func (s *signer) sign(claims []byte) (string, error) {
	signed := s.header + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (s *signer) verify(c compact) bool {
	digest := sha256.Sum256([]byte(c.signed))
	return rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, digest[:], c.signature) == nil
}

// publicKey is the key as JWK. Entra names no alg, but the issuer that the key is good for.
func (s *signer) publicKey(base string) map[string]any {
	exponent := binary.BigEndian.AppendUint32(nil, uint32(s.key.E))
	return map[string]any{
		"kty": "RSA", "use": "sig", "kid": s.keyID, "x5t": s.keyID,
		"n":      base64.RawURLEncoding.EncodeToString(s.key.N.Bytes()),
		"e":      base64.RawURLEncoding.EncodeToString(exponent[1:]),
		"x5c":    []string{base64.StdEncoding.EncodeToString(s.der)},
		"issuer": base + "/{tenantid}/v2.0",
	}
}

// seal turns a JWT into a token that only the APIs of the emulator can read.
func seal(jwt string) string { return opaquePrefix + base64.RawURLEncoding.EncodeToString([]byte(jwt)) }

// unseal gives the JWT of a sealed token, and any other token unchanged.
func unseal(token string) string {
	if len(token) <= len(opaquePrefix) || token[:len(opaquePrefix)] != opaquePrefix {
		return token
	}
	jwt, err := base64.RawURLEncoding.DecodeString(token[len(opaquePrefix):])
	if err != nil {
		return token
	}
	return string(jwt)
}

// Marks are the texts that betray a leak: Options.Marker in plain, as it stands in every JWT that the emulator signs
// (encoded), and as it stands in every token that is none. A text that holds none of them holds no whole token,
// error body or code of this emulator. Without a Marker there are none.
func (e *Emulator) Marks() []string {
	marker := e.options.Marker
	if marker == "" {
		return nil
	}
	// Whole groups of three bytes only: what follows the marker changes the last group.
	head := markedClaims(marker, []byte(`{"x":0}`))
	head = head[:len(head)-len(`","x":0}`)]
	inJWT := base64.RawURLEncoding.EncodeToString(head[:len(head)/3*3])
	sealed := e.signer.header + "." + inJWT
	inOpaque := base64.RawURLEncoding.EncodeToString([]byte(sealed[:len(sealed)/3*3]))
	return []string{marker, inJWT, inOpaque}
}

// markedClaims puts the marker first, so that it stands at the same place in every token.
func markedClaims(marker string, claims []byte) []byte {
	if marker == "" {
		return claims
	}
	quoted, err := json.Marshal(marker)
	if err != nil { // a string always has a JSON form
		return claims
	}
	return append(append([]byte(`{"marker":`), quoted...), append([]byte{','}, claims[1:]...)...)
}
