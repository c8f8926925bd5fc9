package entra

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/defender-tenant/operator/internal/token"
)

// tolerance is how far Entra ID lets the clocks be apart.
const tolerance = 5 * time.Minute

// The codes that say more together with what the operator knows.
const (
	codeAssertionTime        = 700024
	codeAssertionOutlived    = 500133
	codeKeyUnknown           = 700027
	codeCertificateForbidden = 50012
)

// classify turns an exchange that brought nothing of use into a fault. It is pure. Text from
// outside goes no further than here, but for a trace ID and the issuer of a certificate.
func (c *call) classify(seen exchange) *token.Fault {
	if seen.failure != nil {
		return c.classifyFailure(seen.failure)
	}
	refused, fromEntra := parseRefusal(seen.body)
	verdict, number := judge(seen, refused, fromEntra)
	fault := c.fault(c.sharpen(verdict, number, seen), nil)
	fault.Code = number
	if fault.InMany != nil {
		fault.InMany.Code = number
	}
	fault.TraceID = traceID(seen)
	if named := retryAfter(seen.header, seen.receivedAt); named > 0 {
		fault.After = max(named, fault.After)
	}
	fault.Cause = causeOf(seen.status, refused, number)
	return fault
}

// judge follows the order code, error, status. A status of 429 or 5xx goes before error, as
// it speaks of the service: no known code, then, tells of the request.
func judge(seen exchange, refused refusal, fromEntra bool) (Verdict, int64) {
	for _, number := range refused.codes {
		if code, known := codeOf(number); known {
			return code.Verdict, number
		}
	}
	var number int64
	if len(refused.codes) > 0 {
		number = refused.codes[0]
	}
	ofService := seen.status == http.StatusTooManyRequests || seen.status >= 500
	if known, ok := oauthError(refused.oauth); ok && !ofService {
		return known.Verdict, number
	}
	return byStatus(seen.status, fromEntra, isPage(seen)), number
}

// sharpen makes an answer more precise by what the operator knows itself: the time at both
// ends, and the end of the credential.
func (c *call) sharpen(v Verdict, number int64, seen exchange) Verdict {
	here, there := seen.receivedAt, serverTime(seen.header)
	if there.IsZero() {
		there = here
	}
	switch number {
	case codeAssertionTime, codeAssertionOutlived:
		if there.Sub(here).Abs() > tolerance {
			return clockWrong()
		}
	case codeKeyUnknown, codeCertificateForbidden:
		if !c.credentialEnds.IsZero() && there.After(c.credentialEnds) {
			return certificateExpired()
		}
	}
	return v
}

func isPage(seen exchange) bool {
	kind, _, err := mime.ParseMediaType(seen.header.Get("Content-Type"))
	return err == nil && (kind == "text/html" || kind == "application/xhtml+xml")
}

// causeOf is for the log: numbers, and the member error where it is one of those we know.
func causeOf(status int, refused refusal, number int64) error {
	parts := []string{fmt.Sprintf("HTTP %d", status)}
	if number != 0 {
		parts = append(parts, fmt.Sprintf("AADSTS%d", number))
	}
	if known, ok := oauthError(refused.oauth); ok {
		parts = append(parts, known.Seen)
	}
	return errors.New(strings.Join(parts, ", "))
}
