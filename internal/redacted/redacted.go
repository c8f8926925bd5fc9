// Package redacted holds values that must never be shown.
package redacted

import "log/slog"

// placeholder is what every kind of output shows.
const placeholder = "[redacted]"

// String is a secret value. It prints as a placeholder whatever verb or encoder is
// used; only Reveal gives the value.
type String struct{ value string }

// New hides a value.
func New(value string) String { return String{value: value} }

// Reveal gives the value, for the one place that has to send or store it.
func (s String) Reveal() string { return s.value }

// IsEmpty tells whether there is a value at all.
func (s String) IsEmpty() bool { return s.value == "" }

// String covers the verbs %s and %v.
func (String) String() string { return placeholder }

// GoString covers the verb %#v.
func (String) GoString() string { return placeholder }

// MarshalText covers encoders, JSON among them.
func (String) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// LogValue covers structured loggers.
func (String) LogValue() slog.Value { return slog.StringValue(placeholder) }
