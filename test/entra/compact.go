package entra

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// compact is a JWT taken apart and not yet verified.
type compact struct {
	header    map[string]any
	claims    map[string]any
	signed    string // what the signature covers
	signature []byte
}

func openCompact(token string) (compact, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return compact{}, errors.New("three parts are needed")
	}
	c := compact{signed: parts[0] + "." + parts[1]}
	for i, into := range []*map[string]any{&c.header, &c.claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return compact{}, err
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber() // times must not become floating point
		if err := decoder.Decode(into); err != nil {
			return compact{}, err
		}
	}
	var err error
	c.signature, err = base64.RawURLEncoding.DecodeString(parts[2])
	return c, err
}

// text is a claim that must be a string; anything else is empty.
func (c compact) text(claim string) string { return textOf(c.claims[claim]) }

// textOf is a JSON value that must be a string; anything else is empty.
func textOf(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	return ""
}

// seconds is a time claim; ok is false if it is missing or no number.
func (c compact) seconds(claim string) (seconds int64, ok bool) {
	n, ok := c.claims[claim].(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return int64(f), err == nil
}

// names is a claim that is a list of strings, such as roles.
func (c compact) names(claim string) []string {
	list, ok := c.claims[claim].([]any)
	if !ok {
		return nil
	}
	var names []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			names = append(names, s)
		}
	}
	return names
}

// hasAudience takes aud as a string or as a list, as JWT allows both.
func (c compact) hasAudience(accept func(string) bool) bool {
	return accept(c.text("aud")) || slices.ContainsFunc(c.names("aud"), accept)
}
