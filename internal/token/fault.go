package token

import (
	"errors"
	"time"
)

// Actor is who must act before a failure ends.
type Actor string

// The actors.
const (
	// ActorNobody: the failure ends by itself.
	ActorNobody Actor = "nobody"
	// ActorCustomer is an administrator of the customer's tenant.
	ActorCustomer Actor = "customer administrator"
	// ActorPlatform is the team that owns the application registration and the operator.
	ActorPlatform Actor = "platform team"
	// ActorAuthor is whoever writes the DefenderTenant.
	ActorAuthor Actor = "author of the DefenderTenant"
)

// Cure is how the end of a failure is noticed.
type Cure int

// The cures.
const (
	// ByRetry: nobody acts; the same request is tried again, with backoff.
	ByRetry Cure = iota
	// ByPoll: somebody acts where no watch of ours looks, in Entra ID or on a foreign Secret.
	ByPoll
	// ByWatch: an edit in the cluster that a watch of ours will see.
	ByWatch
)

// Scope is how far a failure may reach: whose health it speaks of if others meet it too.
type Scope int

// The scopes.
const (
	// ScopeTenant: it concerns this customer alone.
	ScopeTenant Scope = iota
	// ScopeHost: the login host, or the way to it.
	ScopeHost
	// ScopeCredential: the credential that was used.
	ScopeCredential
	// ScopeApp: the application registration.
	ScopeApp
)

// Fault is the one type of failure. Its reason and message are stable and fit for
// conditions, events and alerts; they never hold text from outside.
type Fault struct {
	// Reason is one of the reasons of the API package.
	Reason string
	// Message is a sentence that names the object, the actor and the next step.
	Message string
	// Actor is who must act.
	Actor Actor
	// Cure is how the end will be noticed.
	Cure Cure
	// Scope is how far it may reach.
	Scope Scope
	// After is the least time to wait before the next attempt, zero if the other side named none.
	After time.Duration
	// Unsent is set when no request was sent: the failure says nothing about the login host.
	Unsent bool
	// Shared is set for those who did not meet the failure themselves but wait for its end: it
	// is told once, on the DefenderApp.
	Shared bool
	// Code is the number of the AADSTS error, zero if there was none.
	Code int64
	// TraceID is Entra ID's trace ID of the answer, for a support request.
	TraceID string
	// MissingRoles and GrantedRoles are set when roles are the matter.
	MissingRoles, GrantedRoles []string
	// InMany is what this failure means when many customers of one application meet it: that the
	// platform team must act, and how. It is nil where numbers change nothing, and where Scope
	// says as much already. It names no customer, so that two failures are the same one if
	// Reason and Message of their InMany are. Faults share it: nobody may change it.
	InMany *Fault
	// Cause is for the log. It must already be free of secrets.
	Cause error
}

// Error gives the stable part of the fault.
func (f *Fault) Error() string { return f.Reason + ": " + f.Message }

// Unwrap gives the cause, so that wrapping keeps its meaning.
func (f *Fault) Unwrap() error { return f.Cause }

// AsFault finds the Fault in a chain of errors. Any other error becomes a failure of
// unknown kind that is tried again: nothing unknown is ever terminal.
func AsFault(err error, reason, message string) *Fault {
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault
	}
	return &Fault{Reason: reason, Message: message, Actor: ActorNobody, Cure: ByRetry, Cause: err}
}
