package credential_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/credential"
)

// pair is a key and the certificates that belong to it, in PEM.
type pair struct {
	private *rsa.PrivateKey
	leaf    *x509.Certificate
	key     []byte // PKCS #8
	cert    []byte
}

func ends() time.Time { return time.Date(2027, time.March, 1, 12, 0, 0, 0, time.UTC) }

var sharedKeys = sync.OnceValues(func() (keys [2]*rsa.PrivateKey, err error) {
	for i := range keys {
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return keys, err
		}
	}
	return keys, nil
})

// newPair gives the same key in every test: making one takes long.
func newPair(tb testing.TB) pair {
	tb.Helper()
	return pairOf(tb, 0)
}

// otherPair gives another key.
func otherPair(tb testing.TB) pair {
	tb.Helper()
	return pairOf(tb, 1)
}

func pairOf(tb testing.TB, i int) pair {
	tb.Helper()
	keys, err := sharedKeys()
	if err != nil {
		tb.Fatal(err)
	}
	p := pair{private: keys[i], key: pkcs8(tb, keys[i])}
	p.leaf, p.cert = certify(tb, "partner", keys[i].Public())
	return p
}

// certify makes a certificate that a throw-away authority signed.
func certify(tb testing.TB, name string, public crypto.PublicKey) (*x509.Certificate, []byte) {
	tb.Helper()
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: ends().Add(-time.Hour), NotAfter: ends()}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}}, public, authority)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return leaf, block("CERTIFICATE", der)
}

func pkcs8(tb testing.TB, key any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func pkcs1(key *rsa.PrivateKey) []byte {
	return block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestFromPEM(t *testing.T) {
	mine, foreign := newPair(t), otherPair(t)
	_, authority := certify(t, "authority", foreign.private.Public())
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, strange := certify(t, "strange", edwards)
	tenth := bytes.Repeat(authority, 9)
	for name, test := range map[string]struct {
		cert, key []byte
		chain     int
	}{
		"PKCS #8":                                {mine.cert, mine.key, 1},
		"PKCS #1":                                {mine.cert, pkcs1(mine.private), 1},
		"a chain behind the certificate":         {joined(mine.cert, authority), mine.key, 2},
		"a chain in front of the certificate":    {joined(authority, mine.cert), mine.key, 2},
		"a certificate in the middle of a chain": {joined(authority, strange, mine.cert, authority), mine.key, 4},
		"one file with both, in both places":     {joined(mine.cert, mine.key), joined(mine.cert, mine.key), 1},
		"one file with both, key first":          {joined(mine.key, mine.cert), joined(mine.key, mine.cert), 1},
		"text between the blocks":                {joined([]byte("subject=CN = partner\n"), mine.cert), joined([]byte("Bag Attributes\n"), mine.key), 1},
		"line breaks of Windows":                 {bytes.ReplaceAll(mine.cert, []byte("\n"), []byte("\r\n")), bytes.ReplaceAll(mine.key, []byte("\n"), []byte("\r\n")), 1},
		"white space around":                     {joined([]byte("\n\n"), mine.cert, []byte("\n \n")), joined([]byte("\n"), mine.key), 1},
		"ten certificates":                       {joined(mine.cert, tenth), mine.key, 10},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.FromPEM("cert", test.cert, test.key)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(mine.leaf.Raw)
			if got.Name != "cert" || got.Fingerprint != hex.EncodeToString(sum[:]) || !got.ExpiresAt.Equal(ends()) || !got.Secret.IsEmpty() {
				t.Errorf("got %+v", got)
			}
			if !got.Key.Reveal().Equal(mine.private) {
				t.Error("another key")
			}
			if len(got.Chain) != test.chain || !got.Chain[0].Equal(mine.leaf) {
				t.Errorf("%d certificates, the first of %s", len(got.Chain), got.Chain[0].Subject)
			}
		})
	}
}

func TestFromPEM_TheRestOfAChainKeepsItsOrder(t *testing.T) {
	mine := newPair(t)
	_, first := certify(t, "first", otherPair(t).private.Public())
	_, second := certify(t, "second", otherPair(t).private.Public())
	got, err := credential.FromPEM("cert", joined(first, mine.cert, second), mine.key)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, cert := range got.Chain {
		names = append(names, cert.Subject.CommonName)
	}
	if order := strings.Join(names, " "); order != "partner first second" {
		t.Errorf("got %s", order)
	}
}

func TestFromPEM_Refuses(t *testing.T) {
	mine, foreign := newPair(t), otherPair(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curveDER, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	montgomery, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, smallCert := certify(t, "small", small.Public())
	_, curveCert := certify(t, "curve", curve.Public())
	locked := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte("cipher text"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00112233445566778899AABBCCDDEEFF"},
	})
	for name, test := range map[string]struct {
		cert, key []byte
		says      string
	}{
		"no certificate":                    {nil, mine.key, "tls.crt is empty"},
		"a certificate of white space":      {[]byte(" \n"), mine.key, "tls.crt is empty"},
		"no key":                            {mine.cert, nil, "tls.key is empty"},
		"a key of white space":              {mine.cert, []byte("\t\n"), "tls.key is empty"},
		"garbage for a key":                 {mine.cert, []byte("garbage"), "tls.key is no PEM with a private key"},
		"a certificate for a key":           {mine.cert, mine.cert, "tls.key is no PEM with a private key"},
		"a key cut short":                   {mine.cert, mine.key[:len(mine.key)/2], "tls.key is no PEM with a private key"},
		"a key without its armour":          {mine.cert, bytes.ReplaceAll(mine.key, []byte("-"), nil), "tls.key is no PEM with a private key"},
		"PKCS #8 that is none":              {mine.cert, block("PRIVATE KEY", []byte("garbage")), "the key in tls.key cannot be read"},
		"PKCS #1 that is none":              {mine.cert, block("RSA PRIVATE KEY", []byte("garbage")), "the RSA key in tls.key cannot be read"},
		"PKCS #1 under the name of PKCS #8": {mine.cert, block("PRIVATE KEY", x509.MarshalPKCS1PrivateKey(mine.private)), "the key in tls.key cannot be read"},
		"an encrypted key of PKCS #8":       {mine.cert, block("ENCRYPTED PRIVATE KEY", []byte("cipher text")), "is encrypted: store it without a passphrase"},
		"an encrypted key of OpenSSL":       {mine.cert, locked, "is encrypted: store it without a passphrase"},
		"a public key":                      {mine.cert, block("PUBLIC KEY", []byte("any")), "another kind of PEM"},
		"a key of OpenSSH":                  {mine.cert, block("OPENSSH PRIVATE KEY", []byte("any")), "another kind of PEM"},
		"an elliptic curve, SEC 1":          {curveCert, block("EC PRIVATE KEY", curveDER), "Entra ID accepts RSA keys only"},
		"an elliptic curve, PKCS #8":        {curveCert, pkcs8(t, curve), "Entra ID accepts RSA keys only"},
		"Ed25519":                           {mine.cert, pkcs8(t, edwards), "Entra ID accepts RSA keys only"},
		"X25519":                            {mine.cert, pkcs8(t, montgomery), "Entra ID accepts RSA keys only"},
		"1024 bits":                         {smallCert, pkcs8(t, small), "has 1024 bits: Entra ID wants at least 2048"},
		"two keys":                          {mine.cert, joined(mine.key, foreign.key), "several keys: store one"},
		"the same key twice":                {mine.cert, joined(mine.key, pkcs1(mine.private)), "several keys: store one"},
		"a key of another certificate":      {mine.cert, foreign.key, "belongs to no certificate in tls.crt"},
		"a certificate of another kind":     {curveCert, mine.key, "belongs to no certificate in tls.crt"},
		"garbage for a certificate":         {[]byte("garbage"), mine.key, "tls.crt is no PEM with a certificate"},
		"a key for a certificate":           {mine.key, mine.key, "tls.crt is no PEM with a certificate"},
		"a certificate request":             {block("CERTIFICATE REQUEST", []byte("any")), mine.key, "tls.crt is no PEM with a certificate"},
		"a certificate that is none":        {block("CERTIFICATE", []byte("garbage")), mine.key, "a certificate in tls.crt cannot be read"},
		"a chain that ends in garbage":      {joined(mine.cert, block("CERTIFICATE", []byte("garbage"))), mine.key, "a certificate in tls.crt cannot be read"},
		"eleven certificates":               {bytes.Repeat(mine.cert, 11), mine.key, "more than 10 certificates"},
		"a certificate of more than 64 KiB": {joined(mine.cert, bytes.Repeat([]byte{'\n'}, 65537)), mine.key, "larger than 65536 bytes"},
		"a key of more than 64 KiB":         {mine.cert, joined(mine.key, bytes.Repeat([]byte{'\n'}, 65537)), "larger than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.FromPEM("cert", test.cert, test.key)
			assertDefect(t, err, test.says)
			refuteReveals(t, err.Error(), string(test.key))
			if got.Key != nil || got.Chain != nil {
				t.Errorf("something was read all the same: %+v", got)
			}
		})
	}
}

func FuzzFromPEM(f *testing.F) {
	mine := newPair(f)
	f.Add(mine.cert, mine.key)
	f.Add(mine.key, mine.cert)
	f.Add(joined(mine.cert, mine.key), pkcs1(mine.private))
	f.Add(block("CERTIFICATE", []byte("x")), block("EC PRIVATE KEY", []byte("x")))
	f.Add([]byte("-----BEGIN"), []byte("-----END"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		got, err := credential.FromPEM("name", cert, key)
		if err != nil {
			assertDefect(t, err, "")
			return
		}
		if got.Key.Reveal().N.BitLen() < 2048 || len(got.Chain) == 0 || len(got.Chain) > 10 || len(got.Fingerprint) != 64 {
			t.Fatalf("accepted %+v", got)
		}
	})
}
