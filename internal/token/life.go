package token

import (
	"fmt"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// checkLife works out when the token starts and ends by the operator's clock. Where
// the claim and the response disagree, the earlier end counts.
func (g Gate) checkLife(want Want, c Claims, issued Issued) (Life, time.Duration, *Fault) {
	received := issued.ReceivedAt.UTC().Truncate(time.Second)
	byResponse := received.Add(issued.Lifetime.Truncate(time.Second))
	disagreement := c.ExpiresAt.Sub(byResponse)
	var skew time.Duration
	if disagreement.Abs() > maxDisagreement {
		skew = issued.skew()
		if (disagreement-skew).Abs() > maxDisagreement || skew == 0 {
			return Life{}, 0, rejected("its end and the lifetime in the answer disagree")
		}
	}
	life := Life{IssuedAt: received, ExpiresAt: earlier(c.ExpiresAt, byResponse)}
	if skew < 0 && life.Duration() < g.MinLifetime {
		// Our clock is so far ahead that by it the token has ended. What it holds for is known
		// all the same, and no token at all would be worse.
		life.ExpiresAt = byResponse
	}
	switch {
	case life.Duration() < g.MinLifetime:
		return Life{}, 0, rejected("its life is too short")
	case life.Duration() > MaxLifetime:
		return Life{}, 0, rejected("its life is too long")
	case want.alreadyDue(c, issued.Lifetime):
		return Life{}, 0, rejected("most of its life is over")
	}
	return life, skew, nil
}

// skew is how far the operator's clock is behind the sender's, by the Date header.
func (i Issued) skew() time.Duration {
	if i.ServerTime.IsZero() {
		return 0
	}
	return i.ServerTime.Sub(i.ReceivedAt)
}

// alreadyDue tells whether the token would have to be replaced on arrival, as one from
// somebody's cache would. Both times are Entra ID's own; its back-dating of iat is allowed for.
func (w Want) alreadyDue(c Claims, remaining time.Duration) bool {
	percent := w.RefreshPercent
	if percent == 0 {
		percent = DefaultRefreshPercent
	}
	whole := c.ExpiresAt.Sub(c.IssuedAt) - maxDisagreement
	return remaining < whole/100*time.Duration(100-percent) // in this order nothing overflows
}

func rejected(why string) *Fault {
	return &Fault{
		Reason: v1alpha1.ReasonTokenRejected, Actor: ActorNobody, Cure: ByRetry,
		Message: fmt.Sprintf("Entra ID sent a token that cannot be used (%s); it was not published. The operator tries again.", why),
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
