// Package consent writes the letter that a customer's administrator can be sent.
//
// It is pure: the same question gives the same text.
package consent
