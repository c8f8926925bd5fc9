// Package federation proves an application's identity with the service-account token that
// Kubernetes issued to the operator, so that there is no secret to keep at all.
package federation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/redacted"
)

// DefaultFile is where config/manager puts the projected token.
const DefaultFile = "/var/run/secrets/azure/tokens/azure-identity-token"

// maxFile is thirty times what a service-account token takes.
const maxFile = 64 << 10

// Tokens are the operator's projected service-account tokens.
type Tokens struct {
	// File holds the token for cloud Public; see cloud.ExchangeFile for the others.
	File string
	// Now is the operator's clock.
	Now func() time.Time
}

// Credential gives the credential that the token in the file is now. The file is read anew
// for each assertion, because the kubelet replaces it long before it ends; the fingerprint
// stays the same as long as issuer, subject and audience do. Its error is a
// *credential.Defect.
func (t Tokens) Credential(name, clientID string, in v1alpha1.Cloud) (credential.Credential, error) {
	_, shown, err := t.read(in)
	if err != nil {
		return credential.Credential{}, err
	}
	return credential.FromAssertions(name, clientID, shown, func(context.Context, string) (redacted.String, error) {
		raw, _, err := t.read(in)
		return raw, err
	}), nil
}

// read gives the token and what it presents.
func (t Tokens) read(in v1alpha1.Cloud) (redacted.String, string, error) {
	path := cloud.ExchangeFile(t.File, in)
	text, err := load(path, cloud.ExchangeAudience(in))
	if err != nil {
		return redacted.String{}, "", err
	}
	claims, ok := parse(text)
	if !ok {
		return redacted.String{}, "", defect("file %s holds no service-account token: mount a projected one with audience %s there", path, cloud.ExchangeAudience(in))
	}
	if ends := claims.expiresAt(); !t.Now().Before(ends) {
		return redacted.String{}, "", &credential.Defect{
			Text: fmt.Sprintf("the service-account token in file %s ended at %s and the kubelet has not renewed it: look at the events of the operator's Pod and at the clock of its node", path, ends.Format(time.RFC3339)),
			// The kubelet goes on trying by itself.
			Passing: true,
		}
	}
	return redacted.New(text), claims.String(), nil
}

// load reads a file that should be small.
func load(path, audience string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's own flag names it
	if errors.Is(err, fs.ErrNotExist) {
		return "", defect("file %s does not exist: mount a projected service-account token with audience %s there", path, audience)
	}
	if err != nil {
		return "", unreadable(path)
	}
	defer func() { _ = file.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch text := strings.TrimSpace(string(content)); {
	case err != nil:
		return "", unreadable(path)
	case len(content) > maxFile:
		return "", defect("file %s has more than %d bytes: it must hold one service-account token alone", path, maxFile)
	case text == "":
		return "", defect("file %s is empty: mount a projected service-account token with audience %s there", path, audience)
	default:
		return text, nil
	}
}

func unreadable(path string) error {
	return defect("file %s cannot be read: mount the service-account token so that the user of the operator's container may read it", path)
}

func defect(format string, args ...any) error {
	return &credential.Defect{Text: fmt.Sprintf(format, args...)}
}
