package federation

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

const (
	// maxShown bounds each part of what people are shown.
	maxShown = 200
	// latest is the year 9999: a later date cannot be written as RFC 3339.
	latest = 253402300799
)

// claims are what Entra ID compares with the federated credential. They are no secret. The
// operator does not verify them: it is not the one whom the token must convince.
type claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	Expires  float64         `json:"exp"`
}

// parse reads the claims of a JWT.
func parse(token string) (claims, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, false
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims{}, false
	}
	var c claims
	err = json.Unmarshal(data, &c)
	return c, err == nil && c.Issuer != "" && c.Subject != "" && c.audience() != "" && c.Expires > 0 && c.Expires <= latest
}

func (c claims) expiresAt() time.Time { return time.Unix(int64(c.Expires), 0).UTC() }

// audience takes a string or a list, as JWT allows both.
func (c claims) audience() string {
	var one string
	if json.Unmarshal(c.Audience, &one) == nil {
		return one
	}
	var several []string
	if json.Unmarshal(c.Audience, &several) != nil {
		return ""
	}
	return strings.Join(several, " ")
}

// String is for people, who compare it with the registration letter by letter.
func (c claims) String() string {
	return "issuer " + shown(c.Issuer) + ", subject " + shown(c.Subject) + ", audience " + shown(c.audience())
}

// shown keeps whatever else stands in the file from breaking a line or a page.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), maxShown)]
}
