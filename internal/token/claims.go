package token

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/defender-tenant/operator/internal/redacted"
)

// MaxSize is the most bytes a token may have. Tokens of Entra ID have one to three
// thousand; the limit keeps parsing cheap.
const MaxSize = 16 << 10

// What the API can show bounds what is read; Entra ID stays far below.
const (
	maxRoles  = 128
	maxRole   = 128
	maxIDSize = 64
)

var (
	// ErrOpaque is returned for a token that is no JWT. Microsoft reserves the right to
	// issue such tokens; nothing in them can be checked.
	ErrOpaque = errors.New("the token is no JWT")
	// ErrMalformed is returned for a JWT whose claims cannot be read.
	ErrMalformed = errors.New("the claims of the token cannot be read")
)

// Claims are what a token says of itself. They are read, not verified: the operator
// received the token over TLS from the login host and checks that it is the one it asked for.
//
// Source: learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
type Claims struct {
	TenantID  string    `json:"tid"`
	Audience  string    `json:"aud"`
	ClientID  string    `json:"appid"`
	Roles     []string  `json:"roles,omitempty"`
	ID        string    `json:"uti,omitempty"`
	AppOnly   bool      `json:"appOnly"`
	IssuedAt  time.Time `json:"iat"`
	ExpiresAt time.Time `json:"exp"`
}

// payload is the wire form. A v1.0 token names the application appid, a v2.0 token azp.
type payload struct {
	TenantID  string   `json:"tid"`
	Audience  string   `json:"aud"`
	AppID     string   `json:"appid"`
	AZP       string   `json:"azp"`
	Roles     []string `json:"roles"`
	ID        string   `json:"uti"`
	IDType    string   `json:"idtyp"`
	Scopes    string   `json:"scp"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	ExpiresAt int64    `json:"exp"`
}

// alphabet are the characters of a JWT in compact form, padding included.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.="

// latest is the largest time that is taken for one, the year 9999: beyond it a date
// cannot be written as RFC 3339.
const latest = 253402300799

// Parse reads the claims of a token. Its errors are ErrOpaque and ErrMalformed; they
// never hold any part of the token.
func Parse(raw redacted.String) (Claims, error) {
	text := raw.Reveal()
	if len(text) > MaxSize {
		return Claims{}, ErrMalformed
	}
	// Workloads put the token into headers and shells: nothing but the alphabet of a JWT
	// gets through.
	if strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }) {
		return Claims{}, ErrOpaque
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Claims{}, ErrOpaque
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return Claims{}, ErrOpaque
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return Claims{}, ErrMalformed
	}
	return p.claims()
}

func (p payload) claims() (Claims, error) {
	if p.ExpiresAt <= 0 || p.ExpiresAt > latest || p.IssuedAt < 0 || p.IssuedAt > latest ||
		len(p.ID) > maxIDSize || len(p.Roles) > maxRoles || slices.ContainsFunc(p.Roles, isNoRole) {
		return Claims{}, ErrMalformed
	}
	issued := p.IssuedAt
	if issued == 0 && p.NotBefore > 0 && p.NotBefore <= latest {
		issued = p.NotBefore
	}
	roles := slices.Clone(p.Roles)
	slices.Sort(roles)
	return Claims{
		TenantID:  strings.ToLower(p.TenantID),
		Audience:  p.Audience,
		ClientID:  strings.ToLower(cmp.Or(p.AppID, p.AZP)),
		Roles:     slices.Compact(roles),
		ID:        p.ID,
		AppOnly:   p.appOnly(),
		IssuedAt:  time.Unix(issued, 0).UTC(),
		ExpiresAt: time.Unix(p.ExpiresAt, 0).UTC(),
	}, nil
}

func isNoRole(name string) bool { return name == "" || len(name) > maxRole }

// appOnly tells whether the token speaks for the application itself. idtyp is an
// optional claim, so its absence proves nothing; scp stands in delegated tokens only.
func (p payload) appOnly() bool {
	return p.Scopes == "" && (p.IDType == "" || p.IDType == "app")
}

// MissingRoles are the required roles that the token lacks, in the order required.
func (c Claims) MissingRoles(required []string) []string {
	var missing []string
	for _, role := range required {
		if !slices.Contains(c.Roles, role) {
			missing = append(missing, role)
		}
	}
	return missing
}

// RolesBeyond are the roles of the token that a ceiling does not name; no ceiling, none.
func (c Claims) RolesBeyond(ceiling []string) []string {
	if len(ceiling) == 0 {
		return nil
	}
	var beyond []string
	for _, role := range c.Roles {
		if !slices.Contains(ceiling, role) {
			beyond = append(beyond, role)
		}
	}
	return beyond
}
