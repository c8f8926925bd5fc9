package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

// question is one request to a vault: who asks, where, for what, and with which right.
type question struct {
	Access
	at                cloud.Vault
	vault, kind, name string
	role              string
	token             redacted.String
}

func (q question) place() place {
	return place{url: q.at.URL, kind: q.kind, name: q.name, tenant: q.HomeTenantID, clientID: q.ClientID}
}

func (q question) pass() pass {
	return pass{resource: q.at.Resource, tenant: q.HomeTenantID, clientID: q.ClientID, fingerprint: q.Credential.Fingerprint}
}

// errUnauthorized is the cause when a vault refuses the token itself.
var errUnauthorized = errors.New("HTTP 401")

type questionKey struct{}

func withQuestion(ctx context.Context, q question) context.Context {
	return context.WithValue(ctx, questionKey{}, q)
}

func questionOf(ctx context.Context) (question, bool) {
	q, ok := ctx.Value(questionKey{}).(question)
	return q, ok
}

// object names what is asked for.
func (q question) object() string { return q.kind + " " + q.name }

// passing is a flaw that may be gone a moment later.
func (q question) passing(cause error, format string, args ...any) *credential.Defect {
	return &credential.Defect{Text: fmt.Sprintf(format, args...), Reason: v1alpha1.ReasonVaultUnavailable, Passing: true, Cause: cause}
}

// unusable is a flaw of the object itself.
func (q question) unusable(format string, args ...any) *credential.Defect {
	return &credential.Defect{Text: fmt.Sprintf("%s in vault %s ", q.object(), q.vault) + fmt.Sprintf(format, args...), Reason: v1alpha1.ReasonCredentialUnusable}
}

// gone is for an object that somebody took away.
func (q question) gone(format string, args ...any) *credential.Defect {
	return &credential.Defect{Text: fmt.Sprintf(format, args...), Reason: v1alpha1.ReasonCredentialUnusable, Gone: true}
}

func (q question) disabled() *credential.Defect {
	return q.gone("%s in vault %s is disabled: enable it, or name another", q.object(), q.vault)
}

// refused is for a vault that does not let the application do it.
func (q question) refused(format string, args ...any) *credential.Defect {
	return &credential.Defect{Text: fmt.Sprintf(format, args...), Reason: v1alpha1.ReasonVaultRefused}
}

// defect makes sure that nothing but a flaw of our own leaves: the SDK's errors can repeat
// what a vault said.
func (q question) defect(err error) error {
	if flaw, ok := errors.AsType[*credential.Defect](err); ok {
		return flaw
	}
	return q.stranger(0)
}

// unreachable is for a request without an answer.
func (q question) unreachable(err error) *credential.Defect {
	fault, ok := errors.AsType[*token.Fault](err)
	if ok && fault.Reason != v1alpha1.ReasonEntraUnavailable { // a proxy, or TLS: it names the mending step
		return &credential.Defect{Text: strings.TrimSuffix(fault.Message, "."), Reason: fault.Reason, Passing: fault.Cure == token.ByRetry, Cause: fault.Cause}
	}
	cause := err
	if ok {
		cause = fault.Cause
	}
	return q.passing(cause, "vault %s cannot be reached at %s, or does not answer in time: check vaultName, network policies, DNS and proxy", q.vault, q.at.Host())
}

// stranger is for answers that no vault gives.
func (q question) stranger(status int) *credential.Defect {
	return q.passing(fmt.Errorf("HTTP %d", status), "what answers at %s is not Azure Key Vault: look for a proxy that answers in its place", q.at.Host())
}

// refusal puts an answer other than 200 into a sentence. code and inner are the vault's words
// for it, and no more than compared.
func (q question) refusal(status int, code, inner string) *credential.Defect {
	switch {
	case status == http.StatusTooManyRequests:
		return q.passing(fmt.Errorf("HTTP %d", status), "vault %s asks for fewer requests", q.vault)
	case status >= http.StatusInternalServerError:
		return q.passing(fmt.Errorf("HTTP %d", status), "vault %s answers with an error of its own (HTTP %d)", q.vault, status)
	case code == "":
		return q.stranger(status)
	case status == http.StatusUnauthorized:
		flaw := q.refused("vault %s does not accept a token of tenant %s for application %s: spec.homeTenantID must be the tenant that the vault belongs to", q.vault, q.HomeTenantID, q.ClientID)
		flaw.Cause = errUnauthorized
		return flaw
	case status == http.StatusNotFound:
		return q.gone("vault %s has no %s: create it, or correct the name", q.vault, q.object())
	case status != http.StatusForbidden:
		return q.unusable("cannot be used, the vault answers HTTP %d: look it up in the vault's log", status)
	case strings.HasSuffix(inner, "Disabled"):
		return q.disabled()
	case inner == "ForbiddenByFirewall", inner == "ForbiddenByConnection":
		return q.refused("the firewall of vault %s keeps the operator out: allow its address there, or reach the vault by a private endpoint", q.vault)
	default:
		return q.refused("vault %s does not let application %s use %s: give the application the role %s on it", q.vault, q.ClientID, q.object(), q.role)
	}
}
