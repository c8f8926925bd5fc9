package entra

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/defender-tenant/operator/internal/redacted"
)

const (
	// maxLifetime keeps arithmetic safe; what a token may live is decided elsewhere.
	maxLifetime = 30 * 24 * time.Hour
	// maxCodes is how many entries of error_codes are looked at. Entra ID sends one.
	maxCodes = 8

	minRetryAfter = time.Second
	maxRetryAfter = 5 * time.Minute
)

// members reads a JSON object one member at a time: a member of a wrong type must not hide
// the others. It is nil for anything else.
func members(body []byte) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return nil
	}
	return object
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// issued is a good token answer.
type issued struct {
	token    redacted.String
	lifetime time.Duration
}

// parseToken is strict: whatever is not plainly a token to be used as "Bearer" is refused.
func parseToken(seen exchange) (issued, bool) {
	if seen.failure != nil || seen.status != http.StatusOK {
		return issued{}, false
	}
	object := members(seen.body)
	if text(object["error"]) != "" || !strings.EqualFold(text(object["token_type"]), "Bearer") {
		return issued{}, false
	}
	value := text(object["access_token"])
	lifetime, ok := seconds(object["expires_in"])
	if !ok || !visible(value) {
		return issued{}, false
	}
	return issued{redacted.New(value), lifetime}, true
}

// visible tells whether a token can stand in a header.
func visible(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// seconds reads a number, or a string with one: the v1.0 endpoint writes it so.
func seconds(raw json.RawMessage) (time.Duration, bool) {
	number := string(bytes.TrimSpace(raw))
	if s := text(raw); s != "" {
		number = s
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > int64(maxLifetime/time.Second) {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}

// parseConfiguration finds the token endpoint in a tenant's configuration.
func parseConfiguration(seen exchange) (*url.URL, bool) {
	if seen.failure != nil || seen.status != http.StatusOK {
		return nil, false
	}
	object := members(seen.body)
	if text(object["error"]) != "" || text(object["issuer"]) == "" || text(object["authorization_endpoint"]) == "" {
		return nil, false
	}
	endpoint, err := url.Parse(text(object["token_endpoint"]))
	return endpoint, err == nil && endpoint.Host != ""
}

// refusal is what Entra ID says when it refuses.
type refusal struct {
	oauth   string
	codes   []int64
	traceID string
}

// parseRefusal reads Entra ID's error answer. It is not ok for the answer of anybody else.
func parseRefusal(body []byte) (refusal, bool) {
	object := members(body)
	r := refusal{oauth: text(object["error"]), traceID: safeID(text(object["trace_id"]))}
	if r.oauth == "" {
		return refusal{}, false
	}
	var codes []json.RawMessage
	if json.Unmarshal(object["error_codes"], &codes) != nil {
		return r, true
	}
	for _, raw := range codes[:min(len(codes), maxCodes)] {
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 32); err == nil && n > 0 {
			r.codes = append(r.codes, n)
		}
	}
	return r, true
}

// safeID lets nothing through but a GUID: it is shown to people and put into objects.
func safeID(id string) string {
	if !guid.MatchString(id) {
		return ""
	}
	return id
}

// traceID is what Microsoft's support asks for.
func traceID(seen exchange) string {
	if refused, ok := parseRefusal(seen.body); ok && refused.traceID != "" {
		return refused.traceID
	}
	return safeID(seen.header.Get("X-Ms-Request-Id"))
}

// serverTime is zero if the answer has no date.
func serverTime(header http.Header) time.Time {
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// retryAfter reads the header of that name, in seconds or as a date by the server's clock.
// It is zero if there is none to be understood.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil { // more digits than a wait can have
			return maxRetryAfter
		}
		return min(max(time.Duration(n)*time.Second, minRetryAfter), maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if server := serverTime(header); !server.IsZero() {
		now = server
	}
	return min(max(at.Sub(now), minRetryAfter), maxRetryAfter)
}
