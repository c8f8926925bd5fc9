package tenant

import (
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

func TestPollInterval_IsDenseAtFirstAndSparseLater(t *testing.T) {
	for name, row := range map[string]struct {
		elapsed  time.Duration
		attempts int
		want     time.Duration
	}{
		"after the first attempt":     {0, 1, 15 * time.Second},
		"after the second":            {15 * time.Second, 2, 30 * time.Second},
		"after the third":             {45 * time.Second, 3, time.Minute},
		"after the fourth":            {2 * time.Minute, 4, 2 * time.Minute},
		"no longer than two minutes":  {10 * time.Minute, 50, 2 * time.Minute},
		"just before a quarter":       {15*time.Minute - 1, 9, 2 * time.Minute},
		"from a quarter of an hour":   {15 * time.Minute, 9, 5 * time.Minute},
		"just before an hour":         {time.Hour - 1, 9, 5 * time.Minute},
		"from an hour":                {time.Hour, 30, 15 * time.Minute},
		"just before six hours":       {6*time.Hour - 1, 30, 15 * time.Minute},
		"from six hours":              {6 * time.Hour, 60, time.Hour},
		"after a year":                {8760 * time.Hour, 1 << 30, time.Hour},
		"when the clock was set back": {-time.Hour, 3, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pollInterval(row.elapsed, row.attempts); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestDoubled_NeverOverflows(t *testing.T) {
	for attempts, want := range map[int]time.Duration{
		-1: 5 * time.Second, 0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 4: 40 * time.Second, 5: time.Minute, 1 << 40: time.Minute,
	} {
		if got := doubled(5*time.Second, attempts, time.Minute); got != want {
			t.Errorf("%d attempts: %v, want %v", attempts, got, want)
		}
	}
}

func TestDelay_FollowsTheCure(t *testing.T) {
	const far = 7 * time.Hour
	retry := unavailable()
	poll := &token.Fault{Reason: "ConsentRequired", Cure: token.ByPoll}
	named := &token.Fault{Reason: "Throttled", Cure: token.ByRetry, After: 90 * time.Second}
	for name, row := range map[string]struct {
		fault    *token.Fault
		held     *holding
		attempts int
		elapsed  time.Duration
		want     time.Duration // before the spread of up to a tenth
	}{
		"the first retry comes after five seconds": {retry, nil, 1, 0, 5 * time.Second},
		"retries double": {retry, nil, 3, 0, 20 * time.Second},
		"without a token retries come every minute at last":       {retry, nil, 99, far, time.Minute},
		"while a token runs out retries come every half minute":   {retry, goodHolding(), 99, far, 30 * time.Second},
		"an emptied Secret holds no token":                        {retry, &holding{facts: facts{State: v1alpha1.StateExpired}}, 99, far, time.Minute},
		"a kept dead token does not hurry":                        {retry, &holding{facts: facts{HasToken: true, State: v1alpha1.StateExpired}}, 99, far, time.Minute},
		"polls start dense":                                       {poll, nil, 1, 0, 15 * time.Second},
		"polls come every hour at last":                           {poll, nil, 99, far, time.Hour},
		"while a token runs out polls come every half minute too": {poll, goodHolding(), 99, far, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := goodSlot()
			got := delay(result{slot: s, held: row.held, fault: row.fault}, pace{attempts: row.attempts, since: after(time.Hour).Add(-row.elapsed)}, after(time.Hour))
			if got > row.want || got < row.want*9/10 {
				t.Errorf("got %v, want up to a tenth less than %v", got, row.want)
			}
		})
	}
	t.Run("what the other side names is kept to the moment", func(t *testing.T) {
		got := delay(result{slot: goodSlot(), held: goodHolding(), fault: named}, pace{attempts: 9}, noon())
		if got != 90*time.Second {
			t.Errorf("got %v, want 1m30s", got)
		}
	})
}

func TestWait_ChoosesTheSoonestMoment(t *testing.T) {
	now := after(10 * time.Minute)
	seen := goodSight()
	due := seen.refreshAt(seen.slots[0], goodHolding()).Sub(now)
	const toDeath = 49 * time.Minute
	const never = time.Duration(0)
	short := goodHolding()
	short.life = token.Life{IssuedAt: noon(), ExpiresAt: after(20 * time.Minute)}
	drained := &holding{facts: facts{Intact: true, State: v1alpha1.StateExpired}}
	revoked := &holding{facts: facts{Intact: true, State: v1alpha1.StateAccessRevoked}}
	edited, unreadable := goodHolding(), goodHolding()
	edited.Intact, unreadable.Intact, unreadable.Claims = false, false, nil
	kept := goodHolding()
	kept.State = v1alpha1.StateExpired

	for name, row := range map[string]struct {
		results []result
		want    time.Duration
	}{
		"nothing is wanted":                                          {nil, never},
		"a good token is looked at when it is due":                   {[]result{{did: keep, held: goodHolding()}}, due},
		"the token that is due first decides":                        {[]result{{did: keep, held: goodHolding()}, {did: mint, held: short}}, time.Millisecond},
		"a failure is tried again at its time":                       {[]result{{did: mint, held: goodHolding(), fault: unavailable(), next: after(11 * time.Minute)}}, time.Minute},
		"a dying token is looked at although its failure waits long": {[]result{{did: mint, held: goodHolding(), fault: unavailable(), next: after(3 * time.Hour)}}, toDeath},
		"a failure without a token waits for its time":               {[]result{{did: mint, fault: unavailable(), next: after(11 * time.Minute)}}, time.Minute},
		"what an edit mends is not looked at again":                  {[]result{{did: keep, fault: denied()}}, never},
		"what an edit mends is looked at when the token ends":        {[]result{{did: keep, held: goodHolding(), fault: denied()}}, toDeath},
		"a suspended tenant is looked at when its token ends":        {[]result{{did: keep, held: goodHolding(), fault: &token.Fault{Reason: "Suspended", Cure: token.ByWatch}}}, toDeath},
		"a suspended tenant without a token is left alone":           {[]result{{did: keep, fault: &token.Fault{Reason: "Suspended", Cure: token.ByWatch}}}, never},
		"a token that was emptied is replaced at once":               {[]result{{did: empty, held: drained}}, time.Millisecond},
		"a token that was removed is replaced at once":               {[]result{{did: remove}}, time.Millisecond},
		"a token that was marked is replaced at once":                {[]result{{did: mark, held: kept}}, time.Millisecond},
		"a revoked token is left alone after one more look":          {[]result{{did: empty, held: revoked, fault: denied()}}, time.Millisecond},
		"a revoked Secret is left alone":                             {[]result{{did: keep, held: revoked, fault: denied()}}, never},
		"an edited Secret of a suspended tenant ends with its token": {[]result{{did: keep, held: edited, fault: &token.Fault{Reason: "Suspended", Cure: token.ByWatch}}}, 50 * time.Minute},
		"what cannot be read has no end":                             {[]result{{did: keep, held: unreadable, fault: &token.Fault{Reason: "Suspended", Cure: token.ByWatch}}}, never},
		"a moment that has passed is now, not never":                 {[]result{{did: mint, fault: unavailable(), next: noon()}}, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range row.results {
				row.results[i].slot = goodSlot()
			}
			got := wait(outcome{seen: seen, results: row.results}, now)
			if got.RequeueAfter != row.want {
				t.Errorf("got %v, want %v", got.RequeueAfter, row.want)
			}
			if got.RequeueAfter > 0 && got.Priority == nil {
				t.Error("no class for the next pass")
			}
		})
	}
}
