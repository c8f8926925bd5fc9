// Package entra asks Microsoft Entra ID for tokens: MSAL behind one method, and a table
// that turns whatever comes back into a token or a fault.
//
// MSAL sees good answers only. Every other answer is read, classified and dropped before
// MSAL could put parts of it into an error; what leaves this package is a fault with a
// fixed sentence. Requests go to the one login host and the two paths that the call is
// about, never along a redirect.
//
// The answers of Entra ID are data, see Catalogue. Microsoft asks clients to react to the
// member error and not to the numbers, which may change: an unknown number falls back on
// error and on the HTTP status, and nothing is ever final.
//
// Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes,
// v2-oauth2-client-creds-grant-flow.
//
//go:generate go run ../../hack/catalogue -o ../../docs/errors.md
package entra
