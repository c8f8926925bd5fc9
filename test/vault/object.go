package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// object is a certificate with its key, or a secret, in all its versions.
type object struct {
	versions []version // newest last
	disabled bool
}

type version struct {
	id          string
	value       string            // of a secret
	key         *rsa.PrivateKey   // of a certificate; nil if it is on an elliptic curve
	certificate *x509.Certificate // nil for a secret
	expires     time.Time         // zero: never
}

// MakeCertificate makes a new version of a certificate with a new RSA key, valid from an hour ago.
func (e *Emulator) MakeCertificate(name string, until time.Time) *x509.Certificate {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the source of randomness failed
	}
	cert := e.selfSigned(key.Public(), key, until)
	e.add("certificate/"+name, version{key: key, certificate: cert, expires: until})
	return cert
}

// MakeEllipticCertificate makes one that Entra ID does not accept.
func (e *Emulator) MakeEllipticCertificate(name string, until time.Time) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	e.add("certificate/"+name, version{certificate: e.selfSigned(key.Public(), key, until), expires: until})
}

func (e *Emulator) selfSigned(public, private any, until time.Time) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partner"}, NotBefore: e.now().Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// SetSecret makes a new version of a secret. Zero means that it never expires.
func (e *Emulator) SetSecret(name, value string, expires time.Time) {
	e.add("secret/"+name, version{value: value, expires: expires})
}

func (e *Emulator) add(key string, v version) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.objects[key] == nil {
		e.objects[key] = &object{}
	}
	o := e.objects[key]
	v.id = fmt.Sprintf("%032x", len(o.versions)+1)
	o.versions = append(o.versions, v)
}

// Disable switches a certificate or secret off, or on again. kind is certificate or secret.
func (e *Emulator) Disable(kind, name string, disabled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.objects[kind+"/"+name].disabled = disabled
}

// Delete takes an object away with all its versions.
func (e *Emulator) Delete(kind, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.objects, kind+"/"+name)
}

// of finds a version, the newest if id is empty; it is nil if there is none.
func (o *object) of(id string) *version {
	if o == nil {
		return nil
	}
	for i := len(o.versions) - 1; i >= 0; i-- {
		if id == "" || o.versions[i].id == id {
			return &o.versions[i]
		}
	}
	return nil
}
