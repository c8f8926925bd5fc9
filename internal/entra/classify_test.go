package entra

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

func page(status int, kind, body string) exchange {
	return exchange{status: status, header: http.Header{"Content-Type": {kind}}, body: []byte(body)}
}

func TestAnswersWithoutAKnownCode(t *testing.T) {
	const unknown = 999999
	html := `<html><body>Blocked. ` + canary + `</body></html>`
	cases := map[string]struct {
		seen   exchange
		reason string
		cure   token.Cure
	}{
		"unknown code, client refused":         {refusedWith(401, "invalid_client", unknown), v1alpha1.ReasonCredentialRefused, token.ByPoll},
		"unknown code, unauthorized client":    {refusedWith(400, "unauthorized_client", unknown), v1alpha1.ReasonConsentRequired, token.ByPoll},
		"unknown code, consent required":       {refusedWith(400, "consent_required", unknown), v1alpha1.ReasonConsentRequired, token.ByPoll},
		"unknown code, invalid grant":          {refusedWith(400, "invalid_grant", unknown), v1alpha1.ReasonConsentRequired, token.ByPoll},
		"unknown code, invalid resource":       {refusedWith(400, "invalid_resource", unknown), v1alpha1.ReasonResourceNotProvisioned, token.ByPoll},
		"unknown code, access denied":          {refusedWith(403, "access_denied", unknown), v1alpha1.ReasonBlockedByPolicy, token.ByPoll},
		"unknown code, interaction required":   {refusedWith(400, "interaction_required", unknown), v1alpha1.ReasonBlockedByPolicy, token.ByPoll},
		"unknown code, invalid tenant":         {refusedWith(400, "invalid_tenant", unknown), v1alpha1.ReasonTenantNotFound, token.ByPoll},
		"unknown code, invalid instance":       {refusedWith(400, "invalid_instance", unknown), v1alpha1.ReasonAppMisconfigured, token.ByPoll},
		"unknown code, invalid scope":          {refusedWith(400, "invalid_scope", unknown), v1alpha1.ReasonAppMisconfigured, token.ByPoll},
		"unknown code, invalid request":        {refusedWith(400, "invalid_request", unknown), v1alpha1.ReasonAppMisconfigured, token.ByPoll},
		"unknown code, unsupported grant":      {refusedWith(400, "unsupported_grant_type", unknown), v1alpha1.ReasonAppMisconfigured, token.ByPoll},
		"unknown code, temporary":              {refusedWith(400, "temporarily_unavailable", unknown), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"unknown code, server error":           {refusedWith(400, "server_error", unknown), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"unknown code, unknown error":          {refusedWith(400, "brand_new_"+canary, unknown), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"unknown code, unknown error, 403":     {refusedWith(403, "brand_new_"+canary, unknown), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"unknown code, 429":                    {refusedWith(429, "temporarily_unavailable", unknown), v1alpha1.ReasonThrottled, token.ByRetry},
		"unknown code, 503 blaming the caller": {refusedWith(503, "invalid_request", unknown), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"error with status 200":                {refusedWith(200, "invalid_client"), v1alpha1.ReasonCredentialRefused, token.ByPoll},
		"no codes at all":                      {refusedWith(400, "unauthorized_client"), v1alpha1.ReasonConsentRequired, token.ByPoll},

		"429 without a body":     {page(429, "", ""), v1alpha1.ReasonThrottled, token.ByRetry},
		"500 with a page":        {page(500, "text/html", html), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"502":                    {page(502, "text/plain", canary), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"504 without a body":     {page(504, "", ""), v1alpha1.ReasonEntraUnavailable, token.ByRetry},
		"511":                    {page(511, "text/html", html), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"407":                    {page(407, "text/html", html), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"403 of a proxy":         {page(403, "text/plain", canary), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"403 with foreign JSON":  {page(403, "application/json", `{"blocked":"`+canary+`"}`), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"451":                    {page(451, "", ""), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"401 with a page":        {page(401, "text/html; charset=utf-8", html), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"404 with a page":        {page(404, "application/xhtml+xml", html), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"404 without a page":     {page(404, "text/plain", canary), v1alpha1.ReasonAnswerInvalid, token.ByRetry},
		"401 without a body":     {page(401, "", ""), v1alpha1.ReasonAnswerInvalid, token.ByRetry},
		"200 with a page":        {page(200, "text/html", html), v1alpha1.ReasonProxyRefused, token.ByPoll},
		"200 with text":          {page(200, "text/plain", canary), v1alpha1.ReasonAnswerInvalid, token.ByRetry},
		"200 with an empty body": {page(200, "", ""), v1alpha1.ReasonAnswerInvalid, token.ByRetry},
		"204":                    {page(204, "", ""), v1alpha1.ReasonAnswerInvalid, token.ByRetry},
		"301":                    {page(301, "text/html", html), v1alpha1.ReasonAnswerInvalid, token.ByRetry},
		"307":                    {page(307, "", ""), v1alpha1.ReasonAnswerInvalid, token.ByRetry},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			call := testCall()
			fault := call.classify(c.seen)
			if fault.Reason != c.reason || fault.Cure != c.cure {
				t.Errorf("got %s, cure %d; want %s, cure %d", fault.Reason, fault.Cure, c.reason, c.cure)
			}
			checkFixed(t, call, fault)
		})
	}
}

func TestFirstKnownCodeDecides(t *testing.T) {
	fault := testCall().classify(refusedWith(400, "invalid_grant", 123, 7000222, 90033))
	if fault.Code != 7000222 {
		t.Errorf("got code %d", fault.Code)
	}
	fault = testCall().classify(refusedWith(400, "invalid_grant", 123, 456))
	if fault.Code != 123 {
		t.Errorf("without a known code: got %d, want the first", fault.Code)
	}
}

func TestFaultCarriesTraceAndCauseWithoutText(t *testing.T) {
	fault := testCall().classify(refusedWith(401, "invalid_client", 7000215))
	if fault.TraceID != testTrace {
		t.Errorf("trace ID %q", fault.TraceID)
	}
	if got, want := fault.Cause.Error(), "HTTP 401, AADSTS7000215, invalid_client"; got != want {
		t.Errorf("cause %q, want %q", got, want)
	}
	for _, part := range []string{testApp, "platform team must"} {
		if !strings.Contains(fault.Message, part) {
			t.Errorf("%q lacks %q", fault.Message, part)
		}
	}
}

func TestThrottlingWaitsAsLongAsItIsTold(t *testing.T) {
	seen := refusedWith(429, "temporarily_unavailable", 90055)
	if got := testCall().classify(seen).After; got != 0 {
		t.Errorf("nothing named: got %v", got)
	}
	seen.header.Set("Retry-After", "17")
	if got := testCall().classify(seen).After; got != 17*time.Second {
		t.Errorf("17 seconds named: got %v", got)
	}
	loop := refusedWith(400, "invalid_request", 50196)
	loop.header.Set("Retry-After", "17")
	if got := testCall().classify(loop).After; got != time.Minute {
		t.Errorf("a loop was found: got %v, want at least a minute", got)
	}
}

func TestFailuresWithoutAnAnswer(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	certificate := func(err error) error {
		return &tls.CertificateVerificationError{
			UnverifiedCertificates: []*x509.Certificate{{Issuer: pkix.Name{CommonName: "Corp Proxy CA"}}}, Err: err,
		}
	}
	cases := map[string]struct {
		err    error
		reason string
		cause  string
	}{
		"given up":              {context.Canceled, v1alpha1.ReasonEntraUnavailable, "given up: context canceled"},
		"deadline":              {context.DeadlineExceeded, v1alpha1.ReasonEntraUnavailable, "time-out: context deadline exceeded"},
		"dial time-out":         {dial(os.ErrDeadlineExceeded), v1alpha1.ReasonEntraUnavailable, "time-out"},
		"refused":               {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), v1alpha1.ReasonEntraUnavailable, "connection refused"},
		"reset":                 {dial(os.NewSyscallError("read", syscall.ECONNRESET)), v1alpha1.ReasonEntraUnavailable, "connection reset"},
		"no route":              {dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), v1alpha1.ReasonEntraUnavailable, "no route"},
		"no such host":          {dial(&net.DNSError{Err: canary, Name: canary, IsNotFound: true}), v1alpha1.ReasonEntraUnavailable, "no such host"},
		"cut off":               {io.ErrUnexpectedEOF, v1alpha1.ReasonEntraUnavailable, "connection ended"},
		"closed":                {io.EOF, v1alpha1.ReasonEntraUnavailable, "connection ended"},
		"something new":         {errors.New(canary), v1alpha1.ReasonEntraUnavailable, "connection failed"},
		"proxy wants a login":   {&proxyRefusal{407}, v1alpha1.ReasonProxyRefused, "the proxy answered HTTP 407"},
		"proxy forbids":         {&proxyRefusal{403}, v1alpha1.ReasonProxyRefused, "the proxy answered HTTP 403"},
		"proxy cannot reach it": {&proxyRefusal{503}, v1alpha1.ReasonEntraUnavailable, "the proxy answered HTTP 503"},
		"unknown authority":     {certificate(x509.UnknownAuthorityError{}), v1alpha1.ReasonTLSUntrusted, "certificate not trusted"},
		"expired":               {certificate(x509.CertificateInvalidError{Reason: x509.Expired}), v1alpha1.ReasonTLSUntrusted, "certificate expired or not yet valid"},
		"another host":          {certificate(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "login.example"}), v1alpha1.ReasonTLSUntrusted, "certificate for another host"},
		"behind a proxy":        {&net.OpError{Op: "proxyconnect", Err: certificate(x509.UnknownAuthorityError{})}, v1alpha1.ReasonTLSUntrusted, "certificate not trusted"},
		"alert":                 {&net.OpError{Op: "remote error", Err: errors.New("tls: protocol version not supported")}, v1alpha1.ReasonTLSUntrusted, "no agreement on TLS"},
		"not TLS":               {tls.RecordHeaderError{Msg: canary}, v1alpha1.ReasonTLSUntrusted, "no agreement on TLS"},
		"too large":             {errTooLarge, v1alpha1.ReasonAnswerInvalid, errTooLarge.Error()},
		"compressed":            {errEncoded, v1alpha1.ReasonAnswerInvalid, errEncoded.Error()},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			call := testCall()
			fault := call.classify(exchange{failure: fmt.Errorf("wrapped: %w", c.err)})
			if fault.Reason != c.reason || !strings.HasSuffix(fault.Cause.Error(), c.cause) {
				t.Errorf("got %s because of %q; want %s because of %q", fault.Reason, fault.Cause, c.reason, c.cause)
			}
			checkClean(t, fault, canary)
			if strings.Contains(fault.Message, "{") {
				t.Errorf("%q has a hole", fault.Message)
			}
		})
	}
}

func TestIssuerIsShownInANarrowAlphabet(t *testing.T) {
	cases := map[string]struct {
		issuer pkix.Name
		want   string
	}{
		"common name":     {pkix.Name{CommonName: "Zscaler Root CA (prod)"}, "Zscaler Root CA (prod)"},
		"organisation":    {pkix.Name{Organization: []string{"Example & Sons"}}, "Example & Sons"},
		"none":            {pkix.Name{}, "unknown"},
		"control, markup": {pkix.Name{CommonName: "a\nb<script>\"x\"\x1b[31m"}, "a?b?script??x???31m"},
		"other letters":   {pkix.Name{CommonName: "Größe\u202e"}, "Gr??e?"},
		"placeholder":     {pkix.Name{CommonName: "{tenant}"}, "?tenant?"},
		"long":            {pkix.Name{CommonName: strings.Repeat("x", 1000)}, strings.Repeat("x", 100)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{{Issuer: c.issuer}}, Err: x509.UnknownAuthorityError{}}
			fault := testCall().classify(exchange{failure: err})
			if want := `was issued by "` + c.want + `"`; !strings.Contains(fault.Message, want) {
				t.Errorf("%q lacks %q", fault.Message, want)
			}
			if !strings.Contains(fault.Message, "--ca-bundle") {
				t.Errorf("%q does not name the flag", fault.Message)
			}
		})
	}
}
