// Package app reports on every DefenderApp: whether its credentials can be used, what
// Entra ID said of them, and when they end. It asks Entra ID for a token only to prove a
// credential: one that is new, doubted, refused before, or unused for a day.
package app
