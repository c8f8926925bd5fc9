package chaos

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
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

// oddAnswer is a row in which the answer is unusual and good.
func oddAnswer(matrix, name string, fault entra.Fault) row {
	return row{
		matrix: matrix, name: name, budget: 1,
		play: func(sc *scene) {
			held := sc.token(0)
			sc.entra.Inject(sc.tenantIDs[0], fault, 1)
			sc.refresh(0)
			sc.eventually("the token is published", func() bool { return sc.token(0) != held })
		},
	}
}

const stranger = "99999999-9999-4999-8999-999999999999"

// answerRows are about what the token endpoint sends to one customer.
func answerRows() []row {
	body := func(text string) entra.Fault { return entra.Fault{Body: text} }
	claim := func(name string, value any) entra.Fault { return entra.Fault{Claims: map[string]any{name: value}} }
	ends := func(in time.Duration) entra.Fault { return claim("exp", time.Now().Add(in).Unix()) }
	member := func(expiresIn string) entra.Fault { return entra.Fault{ExpiresIn: expiresIn} }
	return []row{
		badAnswer("3", "no answer", entra.Fault{Hang: true}, v1alpha1.ReasonEntraUnavailable, false),
		badAnswer("3", "connection reset", entra.Fault{Reset: true}, v1alpha1.ReasonEntraUnavailable, true),
		badAnswer("7", "status 500 with a page", entra.Fault{Status: 500, Body: "<html>" + canary}, v1alpha1.ReasonEntraUnavailable, false),
		badAnswer("7", "status 503 of Entra ID", entra.Fault{Code: 90033}, v1alpha1.ReasonEntraUnavailable, false),
		badAnswer("8", "HTML with status 200", body("<html><title>"+canary+"</title></html>"), v1alpha1.ReasonProxyRefused, false),
		badAnswer("8", "empty body", entra.Fault{Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/json"}}, v1alpha1.ReasonAnswerInvalid, false),
		badAnswer("8", "cut off after the headers", entra.Fault{Truncate: -1}, v1alpha1.ReasonEntraUnavailable, false),
		badAnswer("8", "cut off within the token", entra.Fault{Truncate: 300}, v1alpha1.ReasonEntraUnavailable, true),
		oddAnswer("8", "wrong content type", entra.Fault{Header: map[string]string{"Content-Type": "text/html"}}),
		badAnswer("8", "duplicate keys", body(`{"token_type":"Bearer","expires_in":89,"access_token":"`+canary+`1","access_token":"`+canary+`2"}`), v1alpha1.ReasonTokenOpaque, true),
		badAnswer("8", "NUL in the token", body(`{"token_type":"Bearer","expires_in":89,"access_token":"`+canary+`\u0000"}`), v1alpha1.ReasonAnswerInvalid, true),
		badAnswer("8", "NUL bytes", body("{\x00\x00\x00"), v1alpha1.ReasonAnswerInvalid, false),
		badAnswer("8", "JSON 50000 deep", body(`{"access_token":`+strings.Repeat("[", 50_000)), v1alpha1.ReasonAnswerInvalid, true),
		badAnswer("8", "redirect", entra.Fault{Location: "https://127.0.0.1:1/" + canary}, v1alpha1.ReasonAnswerInvalid, true),

		badAnswer("10", "expires_in is negative", member("-5"), v1alpha1.ReasonAnswerInvalid, false),
		badAnswer("10", "expires_in is zero", member("0"), v1alpha1.ReasonAnswerInvalid, false),
		badAnswer("10", "expires_in is too short", member("2"), v1alpha1.ReasonTokenRejected, false),
		badAnswer("10", "expires_in is no number", member(`"soon"`), v1alpha1.ReasonAnswerInvalid, false),
		badAnswer("10", "expires_in is missing", member(entra.OmitExpiresIn), v1alpha1.ReasonAnswerInvalid, true),
		badAnswer("10", "expires_in is three thousand years", member("100000000000"), v1alpha1.ReasonAnswerInvalid, false),
		badAnswer("10", "expires_in is longer than a day", member("90001"), v1alpha1.ReasonTokenRejected, false),
		oddAnswer("10", "expires_in is a string", member(`"89"`)),
		badAnswer("10", "exp is an hour later than expires_in", ends(time.Hour), v1alpha1.ReasonTokenRejected, true),
		badAnswer("10", "exp is past", ends(-time.Minute), v1alpha1.ReasonTokenRejected, false),
		badAnswer("10", "exp is missing", claim("exp", nil), v1alpha1.ReasonTokenRejected, false),

		badAnswer("11", "token of another tenant", claim("tid", stranger), v1alpha1.ReasonTokenRejected, true),
		badAnswer("11", "token of another application", claim("appid", stranger), v1alpha1.ReasonTokenRejected, true),
		badAnswer("11", "token for another API", claim("aud", entra.MicrosoftGraph), v1alpha1.ReasonTokenRejected, false),
		badAnswer("11", "token of a person", entra.Fault{Claims: map[string]any{"idtyp": "user", "scp": "user_impersonation"}}, v1alpha1.ReasonTokenRejected, false),
		badAnswer("11", "token without roles", claim("roles", nil), v1alpha1.ReasonRolesMissing, false),
		badAnswer("11", "token that is no JWT", entra.Fault{Opaque: true}, v1alpha1.ReasonTokenOpaque, true),
		wrongTenantNowAndThen(),
	}
}

// wrongTenantNowAndThen mixes tokens of another tenant among good ones.
func wrongTenantNowAndThen() row {
	return row{
		matrix: "11", name: "every third token is of another tenant", tenants: 12,
		budget: 16 + 4, // one each, one more for each of the four, and retries
		play: func(sc *scene) {
			first := map[int]string{}
			for i, id := range sc.tenantIDs {
				first[i] = sc.token(i)
				if i%3 == 0 {
					sc.entra.Inject(id, entra.Fault{Claims: map[string]any{"tid": stranger}}, 1)
				}
			}
			sc.refreshAll()
			sc.eventually("all have a new token", func() bool {
				maps.DeleteFunc(first, func(i int, token string) bool { return sc.token(i) != token })
				return len(first) == 0
			})
		},
	}
}
