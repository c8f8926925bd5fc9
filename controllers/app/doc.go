// Package app reports on every DefenderApp: whether its credentials can be used, what
// Entra ID said of them, and when they end. It asks Entra ID for nothing itself.
package app
