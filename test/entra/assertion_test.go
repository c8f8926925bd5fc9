package entra_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

// identity is a client's certificate with its key.
type identity struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newIdentity(t *testing.T, from, to time.Time) identity {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return identity{key, certify(t, key, from, to)}
}

func certify(t *testing.T, key crypto.Signer, from, to time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "partner"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// assert signs a client assertion with the algorithm that the header names.
func (i identity) assert(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	var signed string
	for _, part := range []map[string]any{header, claims} {
		data, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		if signed != "" {
			signed += "."
		}
		signed += base64.RawURLEncoding.EncodeToString(data)
	}
	digest := sha256.Sum256([]byte(signed))
	sign := func() ([]byte, error) { return rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:]) }
	if header["alg"] == "PS256" {
		sign = func() ([]byte, error) { return rsa.SignPSS(rand.Reader, i.key, crypto.SHA256, digest[:], nil) }
	}
	signature, err := sign()
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func withAssertion(assertion string) url.Values {
	return form("client_secret", "", "client_assertion", assertion,
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
}

// with copies a map and changes it; a nil value removes a member.
func with(base map[string]any, changes ...any) map[string]any {
	changed := map[string]any{}
	maps.Copy(changed, base)
	for i := 0; i+1 < len(changes); i += 2 {
		name, _ := changes[i].(string)
		changed[name] = changes[i+1]
		if changes[i+1] == nil {
			delete(changed, name)
		}
	}
	return changed
}

func TestClientAssertionsAreVerified(t *testing.T) {
	w := start(t)
	now := w.clock.Now()
	mine, other := newIdentity(t, now.Add(-time.Hour), now.Add(time.Hour)), newIdentity(t, now.Add(-time.Hour), now.Add(time.Hour))
	old := newIdentity(t, now.Add(-2*time.Hour), now.Add(-time.Hour))
	w.AddCertificate(clientID, mine.cert)
	w.AddCertificate(clientID, old.cert)
	short, long, oldLong := sha1.Sum(mine.cert.Raw), sha256.Sum256(mine.cert.Raw), sha256.Sum256(old.cert.Raw)
	raw, std := base64.RawURLEncoding, base64.StdEncoding
	header := map[string]any{"typ": "JWT", "alg": "PS256", "x5t#S256": raw.EncodeToString(long[:])}
	claims := map[string]any{
		"aud": w.URL() + "/" + contoso + "/oauth2/v2.0/token", "iss": clientID, "sub": clientID, "jti": "1",
		"nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	for name, c := range map[string]struct {
		by             identity
		header, claims map[string]any
		status, code   int
	}{
		"PS256, x5t#S256 in base64url":      {mine, header, claims, 200, 0},
		"PS256, x5t#S256 in padded base64":  {mine, with(header, "x5t#S256", std.EncodeToString(long[:])), claims, 200, 0},
		"RS256, x5t in base64url":           {mine, with(header, "alg", "RS256", "x5t#S256", nil, "x5t", raw.EncodeToString(short[:])), claims, 200, 0},
		"RS256, x5t in padded base64":       {mine, with(header, "alg", "RS256", "x5t#S256", nil, "x5t", std.EncodeToString(short[:])), claims, 200, 0},
		"audience in a list":                {mine, header, with(claims, "aud", []string{w.URL() + "/" + contoso + "/oauth2/token"}), 200, 0},
		"no nbf":                            {mine, header, with(claims, "nbf", nil), 200, 0},
		"certificate not registered":        {other, with(header, "x5t#S256", "AAAA"), claims, 401, 700027},
		"no thumbprint":                     {mine, with(header, "x5t#S256", nil), claims, 401, 700027},
		"signed with another key":           {other, header, claims, 401, 700027},
		"algorithm does not match":          {mine, with(header, "alg", "none"), claims, 401, 700027},
		"certificate expired":               {old, with(header, "x5t#S256", raw.EncodeToString(oldLong[:])), claims, 401, 700027},
		"audience of another tenant":        {mine, header, with(claims, "aud", w.URL()+"/"+fabrikam+"/oauth2/v2.0/token"), 401, 50027},
		"issuer is another app":             {mine, header, with(claims, "iss", fabrikam), 401, 700021},
		"subject is another app":            {mine, header, with(claims, "sub", fabrikam), 401, 700021},
		"expired":                           {mine, header, with(claims, "exp", now.Add(-6*time.Minute).Unix()), 401, 700024},
		"not valid yet":                     {mine, header, with(claims, "nbf", now.Add(6*time.Minute).Unix()), 401, 700024},
		"no exp":                            {mine, header, with(claims, "exp", nil), 401, 50027},
		"federated, but none is registered": {mine, header, with(claims, "iss", "https://issuer.example"), 400, 70021},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.ask(contoso, withAssertion(c.by.assert(t, c.header, c.claims)))
			body := r.object(t)
			if c.code == 0 {
				token, _ := body["access_token"].(string)
				if _, got := claimsOf(t, token); got["appidacr"] != "2" {
					t.Errorf("appidacr %v", got["appidacr"])
				}
				return
			}
			codes, _ := body["error_codes"].([]any)
			if r.StatusCode != c.status || codes[0] != float64(c.code) {
				t.Errorf("want %d AADSTS%d, got %d %s", c.status, c.code, r.StatusCode, r.body)
			}
		})
	}
	good := withAssertion(mine.assert(t, header, claims))
	w.RemoveCertificate(clientID, mine.cert)
	w.wantCode(w.ask(contoso, good), 401, 700027, "invalid_client")
	w.wantCode(w.ask(contoso, withAssertion("x.y")), 401, 50027, "invalid_client")
	good.Del("client_assertion_type")
	w.wantCode(w.ask(contoso, good), 400, 900144, "invalid_request")
}

func TestOnlyRSACertificatesSign(t *testing.T) {
	w := start(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now()
	cert := certify(t, key, now.Add(-time.Hour), now.Add(time.Hour))
	w.AddCertificate(clientID, cert)
	thumbprint := sha256.Sum256(cert.Raw)
	signer := newIdentity(t, now.Add(-time.Hour), now.Add(time.Hour))
	assertion := signer.assert(t,
		map[string]any{"alg": "RS256", "x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])},
		map[string]any{"iss": clientID, "sub": clientID, "exp": now.Add(time.Minute).Unix()})
	w.wantCode(w.ask(contoso, withAssertion(assertion)), 401, 700027, "invalid_client")
}

func TestFederatedIdentitiesAreMatchedExactly(t *testing.T) {
	w := start(t)
	now := w.clock.Now()
	cluster, other := newIdentity(t, now, now), newIdentity(t, now, now)
	const issuer, subject = "https://cluster.example", "system:serviceaccount:soc:operator"
	w.AddFederation(clientID, entra.Federation{Issuer: issuer, Subject: subject, Keys: []*rsa.PublicKey{&cluster.key.PublicKey}})
	header := map[string]any{"alg": "RS256", "kid": "any"}
	claims := map[string]any{
		"iss": issuer, "sub": subject, "aud": []string{"api://AzureADTokenExchange"}, "exp": now.Add(time.Hour).Unix(),
	}
	if r := w.ask(contoso, withAssertion(cluster.assert(t, header, claims))); r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	for name, c := range map[string]struct {
		by     identity
		claims map[string]any
		code   int
	}{
		"issuer":               {cluster, with(claims, "iss", "https://other.example"), 700211},
		"audience":             {cluster, with(claims, "aud", "api://other"), 700212},
		"subject":              {cluster, with(claims, "sub", "system:serviceaccount:soc:other"), 700213},
		"subject but for case": {cluster, with(claims, "sub", "system:serviceaccount:SOC:operator"), 7002138},
		"stale":                {cluster, with(claims, "exp", now.Add(-time.Hour).Unix()), 700024},
		"signature":            {other, claims, 700027},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			w.wantCode(w.ask(contoso, withAssertion(c.by.assert(t, header, c.claims))), 401, c.code, "invalid_client")
		})
	}
	w.RemoveFederations(clientID)
	w.wantCode(w.ask(contoso, withAssertion(cluster.assert(t, header, claims))), 400, 70021, "invalid_request")
}
