// Package credential turns what the platform team stored into something the operator
// can authenticate with, or says precisely why it cannot.
//
// It is pure: it reads no clock, opens no connection and knows no cluster.
package credential

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/defender-tenant/operator/internal/redacted"
)

// Asserter makes a client assertion for an audience, the token endpoint of a tenant. It is
// called for each token request, from several goroutines. Its error is a *Defect.
type Asserter func(ctx context.Context, audience string) (redacted.String, error)

// Credential is one way to prove the application's identity, ready for use. Exactly
// one of Secret, Key and Assert is set.
type Credential struct {
	// Name is the name in spec.credentials.
	Name string
	// Fingerprint tells versions apart without giving the credential away.
	Fingerprint string
	// ExpiresAt is the end of the credential, zero if unknown.
	ExpiresAt time.Time
	// Secret is the client secret.
	Secret redacted.String
	// Key and Chain sign client assertions; the first certificate of Chain belongs to Key.
	Key   *Key
	Chain []*x509.Certificate
	// Assert makes client assertions where no key is at hand: with the service-account token
	// of the operator, or with a key that never leaves its vault.
	Assert Asserter
	// Presents is what Entra ID compares with the registration, for people to compare too:
	// issuer, subject and audience of a service-account token. Empty for other kinds.
	Presents string
}

// Key is a private key that does not print.
type Key struct{ private *rsa.PrivateKey }

// Reveal gives the key, for the one place that signs.
func (k *Key) Reveal() *rsa.PrivateKey { return k.private }

// String and GoString keep the key out of every kind of output.
func (*Key) String() string { return "[redacted]" }

// GoString covers the verb %#v.
func (*Key) GoString() string { return "[redacted]" }

// MarshalText covers encoders, JSON among them.
func (*Key) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Defect says why a credential cannot be used. Its text names the mending step and
// holds no part of the credential.
type Defect struct {
	Text string
	// Reason is one of the reasons of the API package; CredentialUnusable if empty.
	Reason string
	// Passing is set where the same may work a moment later without anybody's doing.
	Passing bool
	// Gone is set where somebody took the credential away, or disabled it where it is kept: what
	// was there before must not be used any more.
	Gone bool
	// Cause is for the log, and free of secrets like all else here.
	Cause error
}

func (d *Defect) Error() string { return d.Text }

// Unwrap gives the cause, so that wrapping keeps its meaning.
func (d *Defect) Unwrap() error { return d.Cause }

func defect(format string, args ...any) error { return &Defect{Text: fmt.Sprintf(format, args...)} }

// secretID is the form of a client secret's ID, which the portal shows beside its value.
var secretID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// maxSecretSize is far above any client secret (Entra ID makes them of 40 characters).
const maxSecretSize = 1024

// FromSecret reads a client secret. White space around it, as editors and shells leave
// it, does not count.
func FromSecret(name, clientID string, value []byte, expires time.Time) (Credential, error) {
	text := strings.TrimSpace(string(value))
	switch {
	case text == "":
		return Credential{}, &Defect{Text: "the client secret is empty: store its value", Gone: true}
	case len(text) > maxSecretSize:
		return Credential{}, defect("the client secret has more than %d characters: store its value alone", maxSecretSize)
	case secretID.MatchString(text):
		return Credential{}, defect("a GUID is stored, most likely the ID of the client secret: store its value, which Entra ID shows once when the secret is made")
	}
	return Credential{
		Name:        name,
		Fingerprint: fingerprint(clientID, text),
		ExpiresAt:   expires,
		Secret:      redacted.New(text),
	}, nil
}

// fingerprint is 32 bits of a digest that is salted with the application: enough to
// see that a secret changed, too little to test guesses against.
func fingerprint(clientID, secret string) string {
	sum := sha256.Sum256([]byte(clientID + "\x00" + secret))
	return hex.EncodeToString(sum[:4])
}
