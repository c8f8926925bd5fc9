package entra

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// backDate is how far iat and nbf of real Defender tokens lie before their issue.
const backDate = 300 * time.Second

func (e *Emulator) notBefore(now time.Time) int64 {
	if e.options.NoBackDate {
		return now.Unix()
	}
	return now.Add(-backDate).Unix()
}

// claims are those of a v1.0 app-only token.
func (e *Emulator) claims(v *visit, in entitlement) map[string]any {
	object := objectID(in.tenant, in.clientID)
	from := e.notBefore(v.now)
	claims := map[string]any{
		"aud": in.audience, "iss": issuerV1(in.tenant), "tid": in.tenant,
		"appid": in.clientID, "appidacr": in.proof.class, "idtyp": "app",
		"oid": object, "sub": object, "uti": newTokenID(), "ver": "1.0",
		"iat": from, "nbf": from, "exp": v.now.Add(in.lifetime).Unix(),
	}
	if len(in.roles) > 0 {
		claims["roles"] = slices.Clone(in.roles) // a mutation must not reach the directory
	}
	return claims
}

// distort does to the claims what the fault wants.
func (f *Fault) distort(claims map[string]any) {
	for _, name := range []string{"iat", "nbf", "exp"} {
		if at, ok := claims[name].(int64); ok {
			claims[name] = at + int64(f.Skew/time.Second)
		}
	}
	for name, value := range f.Claims {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	if f.Mutate != nil {
		f.Mutate(claims)
	}
}

func (e *Emulator) mint(v *visit, in entitlement) (string, IssuedToken, error) {
	claims := e.claims(v, in)
	v.fault.distort(claims)
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", IssuedToken{}, err
	}
	token, err := e.signer.sign(markedClaims(e.options.Marker, payload))
	if err != nil {
		return "", IssuedToken{}, err
	}
	if v.fault.Opaque {
		token = seal(token)
	}
	digest := sha256.Sum256([]byte(token))
	issued := IssuedToken{
		UTI: textOf(claims["uti"]), Tenant: textOf(claims["tid"]), Aud: textOf(claims["aud"]), AppID: textOf(claims["appid"]),
		Issued: v.now, SHA256: hex.EncodeToString(digest[:]),
	}
	if roles, ok := claims["roles"].([]string); ok {
		issued.Roles = roles
	}
	if at, ok := claims["exp"].(int64); ok {
		issued.Expires = time.Unix(at, 0).UTC()
	}
	return token, issued, nil
}

// newTokenID is a random uti.
func newTokenID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// objectID is that of the app's service principal: another one in each tenant, always the same there.
func objectID(tenantID, clientID string) string {
	digest := sha256.Sum256([]byte(tenantID + "/" + clientID))
	return guid([16]byte(digest[:16]))
}
