package entra

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"slices"
	"time"
)

const idleConnections = 128

// trust is the private certification authority and the server certificate that it signed.
type trust struct {
	pem         []byte
	pool        *x509.CertPool
	certificate tls.Certificate
}

// realHosts are the names of Entra ID and the APIs that the server certificate covers.
func realHosts() []string {
	return []string{
		"login.microsoftonline.com", "login.windows.net", "sts.windows.net", "login.microsoft.com",
		"login.microsoftonline.us", "login.partner.microsoftonline.cn",
		"api.security.microsoft.com",
		"api-us.security.microsoft.com", "api-eu.security.microsoft.com", "api-uk.security.microsoft.com",
		"us.api.security.microsoft.com", "eu.api.security.microsoft.com", "uk.api.security.microsoft.com",
		"au.api.security.microsoft.com", "swa.api.security.microsoft.com", "ina.api.security.microsoft.com",
		"aea.api.security.microsoft.com",
		"api-gcc.security.microsoft.us", "api-gov.security.microsoft.us",
		"api-gcc.securitycenter.microsoft.us", "api-gov.securitycenter.microsoft.us",
		"api.securitycenter.microsoft.com", "api.securitycenter.windows.com",
		"graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn",
	}
}

// validity is wide, because the client's clock may be a fake one of any year.
func validity() (from, to time.Time) {
	return time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
}

func newTrust(hosts []string) (*trust, error) {
	from, to := validity()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Entra emulator trust root"},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if root, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	leaf, err := serverCertificate(root, key, hosts)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &trust{
		pem:         pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pool:        pool,
		certificate: leaf,
	}, nil
}

func serverCertificate(root *x509.Certificate, rootKey *ecdsa.PrivateKey, hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Entra emulator"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    append(realHosts(), "localhost"),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), rootKey)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// CAPEM is the trust root as PEM. The server certificate covers 127.0.0.1, ::1, localhost and the real hosts of
// Entra ID and the APIs, so that curl --connect-to reaches the emulator under their names.
func (e *Emulator) CAPEM() []byte { return slices.Clone(e.trust.pem) }

// Certificate is the server certificate, for other emulators that share the trust root.
func (e *Emulator) Certificate() tls.Certificate { return e.trust.certificate }

// HTTPClient is a new client that trusts the emulator, and that reaches it too under the real host names at port 443.
// It follows redirects and has no timeout.
func (e *Emulator) HTTPClient() *http.Client {
	var dialer net.Dialer
	hosts := realHosts()
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: e.trust.pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: idleConnections,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(address); err == nil && port == "443" && slices.Contains(hosts, host) {
				address = e.login.address
			}
			return dialer.DialContext(ctx, network, address)
		},
	}}
}
