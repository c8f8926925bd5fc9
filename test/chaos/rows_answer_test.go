package chaos

import (
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

// badAnswer is a row in which Entra ID answers one customer in a way that helps nobody: the token that
// is held stays, the failure is named, and the next good answer ends it.
func badAnswer(matrix, name string, fault entra.Fault, reason string, always bool) row {
	return row{
		matrix: matrix, name: name, always: always,
		budget: 4, // the request that fails, at most two retries, the one that succeeds
		play: func(sc *scene) {
			held := sc.token(0)
			sc.entra.Inject(sc.tenantIDs[0], fault, 0)
			sc.refresh(0)
			sc.fails(0, reason)
			if sc.token(0) != held {
				sc.t.Error("the token that was held is gone")
			}
			sc.entra.Clear(sc.tenantIDs[0])
		},
	}
}

// answerRows are about what the token endpoint sends.
func answerRows() []row {
	return []row{
		badAnswer("8", "HTML with status 200", entra.Fault{Body: "<html><title>" + canary + "</title></html>"}, "AnswerInvalid", true),
		badAnswer("10", "expires_in is missing", entra.Fault{ExpiresIn: entra.OmitExpiresIn}, "AnswerInvalid", true),
		badAnswer("11", "token of another tenant", entra.Fault{Claims: map[string]any{"tid": "99999999-9999-4999-8999-999999999999"}}, "TokenRejected", true),
		badAnswer("3", "no answer at all", entra.Fault{Hang: true}, "EntraUnavailable", false),
		badAnswer("4", "slow", entra.Fault{Delay: 30 * time.Second}, "EntraUnavailable", false),
	}
}
func customerRows() []row { return nil }
func objectRows() []row   { return nil }
func outageRows() []row   { return nil }
func networkRows() []row  { return nil }
func crowdRows() []row    { return nil }
