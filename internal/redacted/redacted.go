// Package redacted holds values that must never be shown.
package redacted

import (
	"fmt"
	"io"
	"log/slog"
)

// placeholder is what every kind of output shows.
const placeholder = "[redacted]"

// String is a secret value. It prints as a placeholder whatever verb or encoder is
// used; only Reveal gives the value. Two Strings of the same value are not ==.
type String struct {
	// value is behind a pointer because package fmt cannot call methods on what an
	// unexported field of another struct holds: it prints an address instead.
	value *string
}

// New hides a value.
func New(value string) String { return String{value: &value} }

// Reveal gives the value, for the one place that has to send or store it.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsEmpty tells whether there is a value at all.
func (s String) IsEmpty() bool { return s.Reveal() == "" }

// Format covers every verb of package fmt, also those that do not fit a string.
func (String) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, placeholder) // package fmt collects it in memory
}

// String covers whoever asks for a text without package fmt.
func (String) String() string { return placeholder }

// GoString covers whoever asks for Go syntax without package fmt.
func (String) GoString() string { return placeholder }

// MarshalText covers encoders, JSON among them.
func (String) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// LogValue covers structured loggers.
func (String) LogValue() slog.Value { return slog.StringValue(placeholder) }
