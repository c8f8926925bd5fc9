package credential

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
)

const (
	// maxPEMSize bounds the work of decoding: a key and a chain of ten certificates need
	// less than half of it.
	maxPEMSize = 64 << 10
	// maxChain is the longest chain that is sent.
	maxChain = 10
	// minKeyBits is the least that Entra ID accepts.
	minKeyBits = 2048
)

// FromPEM reads one RSA key and its certificate with the chain behind it.
func FromPEM(name string, certPEM, keyPEM []byte) (Credential, error) {
	switch {
	case len(bytes.TrimSpace(keyPEM)) == 0:
		return Credential{}, &Defect{Text: "tls.key is empty: store the RSA key as PEM", Gone: true}
	case len(bytes.TrimSpace(certPEM)) == 0:
		return Credential{}, defect("tls.crt is empty: store the certificate and its chain as PEM")
	case len(certPEM) > maxPEMSize || len(keyPEM) > maxPEMSize:
		return Credential{}, defect("tls.crt or tls.key is larger than %d bytes: store one certificate with its chain and one key", maxPEMSize)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return Credential{}, err
	}
	chain, err := parseChain(certPEM)
	if err != nil {
		return Credential{}, err
	}
	chain, err = leafFirst(chain, key)
	if err != nil {
		return Credential{}, err
	}
	sum := sha256.Sum256(chain[0].Raw)
	return Credential{
		Name:        name,
		Fingerprint: hex.EncodeToString(sum[:]),
		ExpiresAt:   chain[0].NotAfter.UTC(),
		Key:         &Key{private: key},
		Chain:       chain,
	}, nil
}

func parseKey(data []byte) (*rsa.PrivateKey, error) {
	var found *rsa.PrivateKey
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" || block.Type == "EC PARAMETERS" {
			continue // one file with both is common, and OpenSSL puts parameters before an EC key
		}
		key, err := parseKeyBlock(block)
		if err != nil {
			return nil, err
		}
		if found != nil {
			return nil, defect("tls.key holds several keys: store one")
		}
		found = key
	}
	if found == nil {
		return nil, defect("tls.key is no PEM with a private key: store an unencrypted RSA key")
	}
	if found.N.BitLen() < minKeyBits {
		return nil, defect("the RSA key in tls.key has %d bits: Entra ID wants at least %d", found.N.BitLen(), minKeyBits)
	}
	return found, nil
}

func parseKeyBlock(block *pem.Block) (*rsa.PrivateKey, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, defect("the key in tls.key is encrypted: store it without a passphrase (openssl pkey -in key.pem)")
	}
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, defect("the RSA key in tls.key cannot be read")
		}
		return key, nil
	case "EC PRIVATE KEY":
		return nil, defect("tls.key holds an elliptic-curve key: Entra ID accepts RSA keys only")
	case "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	default:
		return nil, defect("tls.key holds no private key but another kind of PEM: store an unencrypted RSA key")
	}
}

func parsePKCS8(der []byte) (*rsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, defect("the key in tls.key cannot be read")
	}
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
		return nil, defect("tls.key holds an elliptic-curve key: Entra ID accepts RSA keys only")
	default:
		return nil, defect("tls.key holds a key of an unknown kind: Entra ID accepts RSA keys only")
	}
}

func parseChain(data []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, defect("a certificate in tls.crt cannot be read")
		}
		if chain = append(chain, cert); len(chain) > maxChain {
			return nil, defect("tls.crt holds more than %d certificates: store one with its chain", maxChain)
		}
	}
	if len(chain) == 0 {
		return nil, defect("tls.crt is no PEM with a certificate")
	}
	return chain, nil
}

// leafFirst moves the certificate that belongs to the key to the front.
func leafFirst(chain []*x509.Certificate, key *rsa.PrivateKey) ([]*x509.Certificate, error) {
	for i, cert := range chain {
		if public, ok := cert.PublicKey.(*rsa.PublicKey); ok && public.Equal(&key.PublicKey) {
			ordered := append([]*x509.Certificate{cert}, chain[:i]...)
			return append(ordered, chain[i+1:]...), nil
		}
	}
	return nil, defect("the key in tls.key belongs to no certificate in tls.crt")
}
