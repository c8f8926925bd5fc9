package entra

import (
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// Verdict is what an answer means for the people concerned. Message is a fixed sentence
// with the placeholders {tenant}, {client}, {resource}, {host}, {issuer} and
// {presents}, a sentence of its own where there is something to compare.
type Verdict struct {
	Reason  string
	Actor   token.Actor
	Cure    token.Cure
	Message string
	// Scope is how far the failure may reach.
	Scope token.Scope
	// After is the least wait before the next attempt when the answer names none.
	After time.Duration
	// Unsent is set where no request was sent.
	Unsent bool
	// InMany is what the same answer means when many customers of the application get it, or
	// nil. It names no tenant.
	InMany *Verdict
}

func customer(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorCustomer, Cure: token.ByPoll, Message: message}
}

func platform(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorPlatform, Cure: token.ByPoll, Message: message}
}

func author(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorAuthor, Cure: token.ByPoll, Message: message}
}

func wait(reason, message string) Verdict {
	return Verdict{Reason: reason, Actor: token.ActorNobody, Cure: token.ByRetry, Message: message}
}

// of tells how far a verdict reaches.
func (v Verdict) of(scope token.Scope) Verdict {
	v.Scope = scope
	return v
}

// inMany tells what a verdict on one customer means when many customers get it: then the
// application is the matter.
func (v Verdict) inMany(reason, message string) Verdict {
	v.InMany = new(platform(reason, message).of(token.ScopeApp))
	return v
}

// unaskable is a request that must not be sent.
func unaskable() Verdict {
	v := author(v1alpha1.ReasonTenantNotFound,
		"The tenant or the application is not given by a GUID, or the resource is no URI, so that no request was sent. The author of the DefenderTenant must correct it.")
	v.Cure, v.Unsent = token.ByWatch, true
	return v
}
