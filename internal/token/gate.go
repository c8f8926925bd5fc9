package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/redacted"
)

const (
	// MaxLifetime is the longest life a token may have: Entra ID issues none above a day,
	// and an answer that claims more is wrong.
	MaxLifetime = 25 * time.Hour
	// DefaultMinLifetime is the shortest life that is worth publishing.
	DefaultMinLifetime = 5 * time.Minute
	// maxDisagreement is how far the claim exp and the lifetime in the response may be
	// apart, and how far Entra ID back-dates the claim iat.
	maxDisagreement = 5 * time.Minute
	// maxListed bounds the names of roles in a message, in bytes.
	maxListed = 600
)

// Want is what a token must be to be published.
type Want struct {
	// TenantID is the customer.
	TenantID string
	// ClientID is the application.
	ClientID string
	// Resource is the URI of the API, without a trailing /.default.
	Resource string
	// Audiences are the values of aud that stand for the resource.
	Audiences []string
	// RequiredRoles must all be present; empty: any role at all.
	RequiredRoles []string
	// RoleCeilings are the maxRoles of the grants that allow the token. One of them must
	// hold all its roles; an empty one holds any.
	RoleCeilings [][]string
	// RefreshPercent is when the token will be due.
	RefreshPercent int32
}

// Issued is an answer of Entra ID: a token and what the response says of it.
type Issued struct {
	// Token is the access token.
	Token redacted.String
	// Lifetime is expires_in of the response.
	Lifetime time.Duration
	// ReceivedAt is when the response came, by the operator's clock.
	ReceivedAt time.Time
	// ServerTime is the Date header of the response, zero if it had none.
	ServerTime time.Time
	// TraceID is the request ID of the response.
	TraceID string
}

// Admitted is a token that passed the gate.
type Admitted struct {
	// Claims are what the token says.
	Claims Claims
	// Life is when it works, by the operator's clock.
	Life Life
	// Skew is how far the operator's clock is behind Entra ID's, zero unless it matters.
	Skew time.Duration
}

// Gate is the last check before a token is published.
type Gate struct {
	// MinLifetime is the shortest life that is published.
	MinLifetime time.Duration
}

// Check admits a token or says why not. A token passes only if it is app-only and of
// the tenant, the audience, the application, the roles and the life that were asked for.
func (g Gate) Check(want Want, issued Issued) (Admitted, *Fault) {
	claims, err := Parse(issued.Token)
	if err != nil {
		return Admitted{}, unreadable(err, issued.TraceID)
	}
	if fault := want.checkIdentity(claims); fault != nil {
		fault.TraceID = issued.TraceID
		return Admitted{}, fault
	}
	if fault := want.checkRoles(claims); fault != nil {
		fault.TraceID = issued.TraceID
		return Admitted{}, fault
	}
	life, skew, fault := g.checkLife(want, claims, issued)
	if fault != nil {
		fault.TraceID = issued.TraceID
		return Admitted{}, fault
	}
	return Admitted{Claims: claims, Life: life, Skew: skew}, nil
}

func unreadable(err error, traceID string) *Fault {
	reason, text := v1alpha1.ReasonTokenRejected, "Entra ID sent a token whose claims cannot be read; it was not published. The operator tries again."
	if errors.Is(err, ErrOpaque) {
		reason, text = v1alpha1.ReasonTokenOpaque, "Entra ID sent a token that is no JWT, so its tenant and roles cannot be checked; it was not published. The operator tries again."
	}
	return &Fault{Reason: reason, Message: text, Actor: ActorNobody, Cure: ByRetry, TraceID: traceID, Cause: err}
}

// checkIdentity compares everything that names somebody. A mismatch is never the
// customer's doing, so it is tried again and reported, never published.
func (w Want) checkIdentity(c Claims) *Fault {
	wrong := ""
	switch {
	case !c.AppOnly:
		wrong = "it speaks for a user, not for the application"
	case w.TenantID == "" || c.TenantID != w.TenantID:
		wrong = "it is for another tenant"
	case w.ClientID == "" || c.ClientID != w.ClientID:
		wrong = "it was issued to another application"
	case !w.HasAudience(c.Audience):
		wrong = "it is for another API"
	default:
		return nil
	}
	return &Fault{
		Reason: v1alpha1.ReasonTokenRejected, Actor: ActorNobody, Cure: ByRetry,
		Message: fmt.Sprintf("Entra ID sent a token that was not asked for (%s); it was not published. The operator tries again.", wrong),
	}
}

// HasAudience tells whether aud stands for the wanted resource. One trailing slash
// makes no difference: Entra ID echoes the URI as it was requested.
func (w Want) HasAudience(aud string) bool {
	return aud != "" && slices.ContainsFunc(w.Audiences, func(a string) bool {
		return strings.TrimSuffix(a, "/") == strings.TrimSuffix(aud, "/")
	})
}

// checkRoles is where consent is decided: Entra ID issues tokens without any role to
// applications that nobody consented to.
func (w Want) checkRoles(c Claims) *Fault {
	missing := c.MissingRoles(w.RequiredRoles)
	if len(missing) > 0 || len(c.Roles) == 0 {
		return &Fault{
			Reason: v1alpha1.ReasonRolesMissing, Actor: ActorCustomer, Cure: ByPoll,
			Message:      missingRolesMessage(w.TenantID, missing),
			MissingRoles: missing, GrantedRoles: c.Roles,
			InMany: w.missingInMany(missing),
		}
	}
	if beyond := w.beyondCeilings(c); len(beyond) > 0 {
		return &Fault{
			Reason: v1alpha1.ReasonRolesExceeded, Actor: ActorPlatform, Cure: ByPoll,
			Message: fmt.Sprintf("The token carries roles that maxRoles of the DefenderGrant does not allow (%s); it was not published. The platform team allows them there or takes them from the application.",
				listed(beyond)),
			GrantedRoles: c.Roles,
		}
	}
	return nil
}

func missingRolesMessage(tenantID string, missing []string) string {
	if len(missing) == 0 {
		return fmt.Sprintf("The token carries no application role. An administrator of tenant %s must open status.consentURL and accept, after the platform team added the permissions to the application.", tenantID)
	}
	return fmt.Sprintf("The token lacks %s. An administrator of tenant %s must open status.consentURL and accept, after the platform team added the permissions to the application.",
		listed(missing), tenantID)
}

// missingInMany speaks of the registration: what the very same roles are missing for in many
// customers is most likely not in it.
func (w Want) missingInMany(missing []string) *Fault {
	seen, wanted := "carry no application role", "application permissions"
	if len(missing) > 0 {
		seen, wanted = "lack "+listed(slices.Sorted(slices.Values(missing))), "these application permissions"
	}
	return &Fault{
		Reason: v1alpha1.ReasonAppMisconfigured, Actor: ActorPlatform, Cure: ByPoll, Scope: ScopeApp,
		Message: fmt.Sprintf("The tokens of several tenants %s. The platform team must check that the registration of application %s asks for %s of %s, then ask the customers to consent again.",
			seen, w.ClientID, wanted, w.Resource),
	}
}

// listed names roles, as many as a message has room for: the API bounds messages, and all
// roles are beside it in lists of their own.
func listed(roles []string) string {
	text := ""
	for i, role := range roles {
		if len(text)+len(role) > maxListed {
			return fmt.Sprintf("%s and %d more", text, len(roles)-i)
		}
		if i > 0 {
			text += ", "
		}
		text += role
	}
	return text
}

// beyondCeilings is empty if one grant holds all roles; otherwise the roles that the
// most generous grant does not hold.
func (w Want) beyondCeilings(c Claims) []string {
	var least []string
	for i, ceiling := range w.RoleCeilings {
		beyond := c.RolesBeyond(ceiling)
		if len(beyond) == 0 {
			return nil
		}
		if i == 0 || len(beyond) < len(least) {
			least = beyond
		}
	}
	return least
}
