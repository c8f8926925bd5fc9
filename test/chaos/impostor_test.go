package chaos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// authority issues certificates that nobody trusts unless told to.
type authority struct {
	sc   *scene
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (sc *scene) newAuthority(name string) *authority {
	sc.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	sc.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	sc.must(err)
	cert, err := x509.ParseCertificate(der)
	sc.must(err)
	return &authority{sc: sc, cert: cert, key: key}
}

// pem is what a bundle needs to trust the authority.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue makes a certificate for a host name or an IP address.
func (a *authority) issue(host string, until time.Time) *tls.Config {
	a.sc.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.sc.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host},
		NotBefore: a.cert.NotBefore, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	a.sc.must(err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS10}
}

// impostor is something that answers at the login host's address in its place.
type impostor struct {
	sc       *scene
	listener net.Listener
}

// usurp takes the login host's address. The emulator still answers at its second one.
func (sc *scene) usurp() *impostor {
	sc.t.Helper()
	sc.entra.Down(true)
	address, err := url.Parse(sc.entra.URL())
	sc.must(err)
	listener, err := net.Listen("tcp", address.Host)
	sc.must(err)
	i := &impostor{sc: sc, listener: listener}
	sc.t.Cleanup(i.leave) // in case the row fails before
	return i
}

// serve answers over TLS as the emulator does.
func (i *impostor) serve(config *tls.Config) {
	i.sc.t.Helper()
	server := &http.Server{Handler: i.sc.behind(), TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(tls.NewListener(i.listener, config)) }()
	i.sc.t.Cleanup(func() { _ = server.Close() })
}

// leave gives the address back.
func (i *impostor) leave() {
	_ = i.listener.Close() // twice does no harm
	i.sc.entra.Down(false)
}

// behind passes requests on to the emulator's second address.
func (sc *scene) behind() http.Handler {
	target, err := url.Parse(sc.entra.APIURL())
	sc.must(err)
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		},
		Transport: sc.entra.HTTPClient().Transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}

// silent accepts connections and never says a word.
func (i *impostor) silent() {
	go func() {
		for {
			conn, err := i.listener.Accept()
			if err != nil {
				return
			}
			i.sc.t.Cleanup(func() { _ = conn.Close() })
		}
	}()
}
