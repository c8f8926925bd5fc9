// Package tenant keeps the Secrets of every DefenderTenant filled with tokens that work.
//
// One pass reads top to bottom in reconciler.go: gather what is there, decide what to
// do (a pure function), act, report, and choose when to look again.
package tenant
