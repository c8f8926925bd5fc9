package simulate

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	// requestRate is the operator's default for a login host.
	requestRate = 50
	// deadline is that of the operator's HTTP client.
	deadline = 10 * time.Second
	// patience is how long the operator's client waits for its own limiter.
	patience = 10 * time.Minute
	// defaultLifetime is within the 60 to 90 minutes that Entra ID gives.
	defaultLifetime = time.Hour
)

// entra is Entra ID in memory, with what internal/entra does before and after a request: the limiter, the tenant's
// configuration on first contact, the deadline and the faults.
type entra struct {
	clocks    *clocks
	operators func() time.Time
	conductor *conductor
	chance    chance
	scenario  scenario
	fleet     *fleet
	ledger    *ledger
	limiter   *rate.Limiter
	// discovering is told of each request for a configuration, for which nobody took a turn.
	discovering func()

	mu    sync.Mutex
	asked []int    // requests by tenant
	known []string // by tenant: the credential whose first contact is over
}

// Acquire is token.Source for the reconciler.
func (e *entra) Acquire(ctx context.Context, want token.Request) (token.Issued, error) {
	tenant, ok := e.fleet.byID[want.TenantID]
	if !ok {
		return token.Issued{}, errUnknown
	}
	if e.known[tenant] != want.Credential.Fingerprint {
		if _, err := e.exchange(ctx, tenant, want, configuration); err != nil {
			return token.Issued{}, err
		}
		e.known[tenant] = want.Credential.Fingerprint
	}
	return e.exchange(ctx, tenant, want, tokenRequest)
}

// exchange is one request: its turn at the limiter, the way there, and what comes back.
func (e *entra) exchange(ctx context.Context, tenant int, want token.Request, kind requestKind) (token.Issued, error) {
	if err := e.pace(ctx, tenant); err != nil {
		return token.Issued{}, err
	}
	if kind == configuration {
		e.discovering()
	}
	e.mu.Lock()
	e.asked[tenant]++
	nth := e.asked[tenant]
	e.mu.Unlock()
	asked := inquiry{tenant: tenant, nth: nth, kind: kind, at: e.clocks.elapsed(), secret: want.Credential.Secret.Reveal()}
	answer := e.scenario.answer(e.chance, asked)
	entry := entry{at: asked.at, tenant: tenant, nth: nth, kind: kind, outcome: answer.outcome, after: min(answer.after, deadline)}
	var issued token.Issued
	if answer.outcome == granted && kind == tokenRequest || answer.outcome == misdirected {
		issued = e.mint(want, &entry, answer)
	}
	e.ledger.note(entry)
	if err := e.wait(ctx, tenant, entry.after); err != nil {
		return token.Issued{}, err
	}
	if answer.after > deadline {
		return token.Issued{}, unreachable(context.DeadlineExceeded)
	}
	if fault := answer.fault(); fault != nil {
		return token.Issued{}, fault
	}
	issued.ReceivedAt, issued.ServerTime = e.operators(), e.clocks.world().Truncate(time.Second)
	return issued, nil
}

// pace waits for the limiter of the operator's client.
func (e *entra) pace(ctx context.Context, tenant int) error {
	place := e.limiter.Reserve()
	if place.Delay() > patience {
		place.Cancel()
		return &token.Fault{Reason: v1alpha1.ReasonThrottled, Message: "The operator's own limit left no turn in time.", Actor: token.ActorNobody, Cure: token.ByRetry}
	}
	if place.Delay() == 0 {
		return nil
	}
	return e.wait(ctx, tenant, place.Delay())
}

// wait lets time pass and then takes its turn among those whose wait ends at the same instant.
func (e *entra) wait(ctx context.Context, tenant int, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		e.conductor.await(turnOfAnswer, int64(tenant))
		return nil
	case <-ctx.Done():
		return unreachable(ctx.Err())
	}
}

// mint makes a token that says what the publish gate reads. Nobody signs it.
func (e *entra) mint(want token.Request, entry *entry, a answer) token.Issued {
	now := e.clocks.world()
	tenantID := want.TenantID
	if a.outcome == misdirected {
		tenantID = e.fleet.tenants[(entry.tenant+1)%len(e.fleet.tenants)].id
	}
	entry.ends = e.clocks.elapsed() + a.lifetime
	entry.id = fmt.Sprintf("%05d-%06d", entry.tenant, entry.nth)
	payload := fmt.Sprintf(`{"tid":%q,"aud":%q,"appid":%q,"idtyp":"app","uti":%q,"roles":["Incident.Read.All"],"iat":%d,"nbf":%d,"exp":%d}`,
		tenantID, want.Resource, want.ClientID, entry.id, now.Unix(), now.Unix(), now.Add(a.lifetime).Unix())
	encode := base64.RawURLEncoding.EncodeToString
	return token.Issued{
		Token:    redacted.New("eyJhbGciOiJub25lIn0." + encode([]byte(payload)) + ".c2lnbmF0dXJl"),
		Lifetime: a.lifetime,
	}
}

// answer is what Entra ID does with a request.
type answer struct {
	outcome  outcome
	after    time.Duration
	lifetime time.Duration
}

var (
	errRefused   = errors.New("connection refused")
	errThrottled = errors.New("HTTP 429")
	errSecret    = errors.New("HTTP 401, AADSTS7000222")
)

// fault is what internal/entra makes of the answer.
func (a answer) fault() *token.Fault {
	switch a.outcome {
	case down:
		return unreachable(errRefused)
	case throttled:
		return &token.Fault{
			Reason: v1alpha1.ReasonThrottled, Message: "Entra ID asks for fewer requests. The operator waits and tries again.",
			Actor: token.ActorNobody, Cure: token.ByRetry, Scope: token.ScopeHost, After: time.Minute, Cause: errThrottled,
		}
	case refused:
		return &token.Fault{
			Reason: v1alpha1.ReasonCredentialRefused, Message: "The client secret of the application has expired. The platform team must make a new one and store its value.",
			Actor: token.ActorPlatform, Cure: token.ByPoll, Scope: token.ScopeCredential, Code: 7000222, Cause: errSecret,
		}
	default:
		return nil
	}
}

func unreachable(cause error) *token.Fault {
	return &token.Fault{
		Reason: v1alpha1.ReasonEntraUnavailable, Message: "The login host cannot be reached, or does not answer in time. The operator tries again.",
		Actor: token.ActorNobody, Cure: token.ByRetry, Scope: token.ScopeHost, Cause: cause,
	}
}
