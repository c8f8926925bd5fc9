package entra

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"unicode"

	"github.com/defender-tenant/operator/internal/token"
)

// maxIssuer bounds what is shown of a certificate's issuer.
const maxIssuer = 100

// classifyFailure speaks of an exchange without an answer.
func (c *call) classifyFailure(err error) *token.Fault {
	verdict, cause := verdictOn(err)
	fault := c.fault(verdict, cause)
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		fault.Message = strings.ReplaceAll(fault.Message, "{issuer}", issuerOf(certificate))
	}
	return fault
}

func verdictOn(err error) (Verdict, error) {
	var proxy *proxyRefusal
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errEncoded):
		return answerInvalid(), err
	case errors.As(err, &proxy) && wantsLogin(proxy.status):
		return proxyLogin(), proxy
	case errors.As(err, &proxy) && proxy.status >= 500:
		return unreachable(), proxy
	case errors.As(err, &proxy):
		return proxyRefused(), proxy
	case errors.As(err, &certificate):
		return onCertificate(certificate)
	case isTLS(err):
		return tlsRefused(), errors.New("no agreement on TLS")
	default:
		return onNetwork(err), kindOf(err)
	}
}

// onNetwork tells the way to the proxy from the way to the host, and a name that does not
// exist from one that cannot be looked up now.
func onNetwork(err error) Verdict {
	var operation *net.OpError
	var name *net.DNSError
	switch {
	case errors.As(err, &operation) && operation.Op == "proxyconnect":
		return proxyUnreachable()
	case errors.As(err, &name) && name.IsNotFound:
		return unresolved()
	default:
		return unreachable()
	}
}

func onCertificate(err *tls.CertificateVerificationError) (Verdict, error) {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &host):
		return certificateOfAnother(), errors.New("certificate for another host")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return certificateOutOfTime(), errors.New("certificate expired or not yet valid")
	default:
		return issuerUntrusted(), errors.New("certificate not trusted")
	}
}

// issuerOf names who issued the certificate, as that tells a proxy from Microsoft. It is
// the one text from outside that is shown, hence the narrow alphabet.
func issuerOf(err *tls.CertificateVerificationError) string {
	if len(err.UnverifiedCertificates) == 0 {
		return "unknown"
	}
	issuer := err.UnverifiedCertificates[0].Issuer
	name := issuer.CommonName
	if name == "" && len(issuer.Organization) > 0 {
		name = issuer.Organization[0]
	}
	if name = plain(name); name == "" {
		return "unknown"
	}
	return name
}

func plain(s string) string {
	var kept strings.Builder
	for _, r := range s {
		if kept.Len() >= maxIssuer {
			break
		}
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" .,-_()&", r) {
			r = '?'
		}
		kept.WriteRune(r)
	}
	return strings.TrimSpace(kept.String())
}

// isTLS tells whether a handshake failed. Package tls has no type for most of it, but its
// texts, and those of its alerts, are its own.
func isTLS(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "tls: ") {
			return true
		}
	}
	return false
}

// kindOf puts a name of our own on a failure of the network: the network's own text can
// hold addresses, and the other side's words.
func kindOf(err error) error {
	var timeout net.Error
	var name *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("given up: %w", context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("time-out: %w", context.DeadlineExceeded)
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("time-out")
	case errors.As(err, &name):
		return errors.New("no such host")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("connection reset")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return errors.New("no route")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("connection ended")
	default:
		return errors.New("connection failed")
	}
}
