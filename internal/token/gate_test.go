package token_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

// received is when the answers of these tests come: iat is back-dated by 300 seconds.
func received() time.Time { return issuedAt().Add(300 * time.Second) }

func want() token.Want {
	return token.Want{
		TenantID: tenantID, ClientID: clientID, Resource: resource,
		Audiences:     []string{resource, "8ee8fdad-f234-4243-8f3b-15c294843740"},
		RequiredRoles: []string{"Incident.Read.All"},
	}
}

// answer holds a token with these claims that lives for an hour from now.
func answer(tb testing.TB, changes map[string]any) token.Issued {
	tb.Helper()
	return token.Issued{
		Token: jwt(tb, claims(changes)), Lifetime: time.Hour, ReceivedAt: received(),
		ServerTime: received(), TraceID: "33333333-3333-3333-3333-333333333333",
	}
}

func gate() token.Gate { return token.Gate{MinLifetime: 5 * time.Minute} }

func TestGate_AdmitsWhatWasAskedFor(t *testing.T) {
	for name, test := range map[string]struct {
		changes map[string]any
		want    func(*token.Want)
	}{
		"a token as it was asked for": {},
		"an audience with a trailing slash, where none was asked for": {
			changes: map[string]any{"aud": "https://api.security.microsoft.com/"},
		},
		"an audience without the trailing slash that was asked for": {
			want: func(w *token.Want) { w.Audiences = []string{"https://api.security.microsoft.com/"} },
		},
		"an audience that is the ID of the API": {
			changes: map[string]any{"aud": "8ee8fdad-f234-4243-8f3b-15c294843740"},
		},
		"an application named azp":       {changes: map[string]any{"appid": nil, "azp": clientID}},
		"identities in upper case":       {changes: map[string]any{"tid": strings.ToUpper(tenantID), "appid": strings.ToUpper(clientID)}},
		"any role where none is named":   {want: func(w *token.Want) { w.RequiredRoles = nil }},
		"a ceiling of exactly its roles": {want: ceilings([]string{"Incident.Read.All", "AdvancedHunting.Read.All"})},
		"a ceiling of more than its roles": {
			want: ceilings([]string{"Alert.Read.All", "Incident.Read.All", "AdvancedHunting.Read.All"}),
		},
		"one ceiling of several that holds all":   {want: ceilings([]string{"Incident.Read.All"}, []string{"Incident.Read.All", "AdvancedHunting.Read.All"})},
		"a grant without a ceiling among several": {want: ceilings([]string{"Incident.Read.All"}, nil)},
		"an empty scp": {changes: map[string]any{"scp": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			w := want()
			if test.want != nil {
				test.want(&w)
			}
			got, fault := gate().Check(w, answer(t, test.changes))
			if fault != nil {
				t.Fatal(fault)
			}
			if got.Claims.TenantID != tenantID || got.Claims.ClientID != clientID || got.Skew != 0 {
				t.Errorf("got %+v", got)
			}
			if got.Life.IssuedAt != received() || got.Life.ExpiresAt != received().Add(time.Hour) {
				t.Errorf("life %+v", got.Life)
			}
		})
	}
}

func ceilings(all ...[]string) func(*token.Want) {
	return func(w *token.Want) { w.RoleCeilings = all }
}

func TestGate_RefusesWhatWasNotAskedFor(t *testing.T) {
	const rejected, missing, exceeded = "TokenRejected", "RolesMissing", "RolesExceeded"
	for name, test := range map[string]struct {
		changes map[string]any
		want    func(*token.Want)
		reason  string
		says    string
	}{
		"another tenant":         {map[string]any{"tid": "99999999-9999-9999-9999-999999999999"}, nil, rejected, "another tenant"},
		"no tenant":              {map[string]any{"tid": nil}, nil, rejected, "another tenant"},
		"a tenant by its domain": {map[string]any{"tid": "contoso.onmicrosoft.com"}, nil, rejected, "another tenant"},
		"no tenant, and none was asked for": {
			map[string]any{"tid": nil}, func(w *token.Want) { w.TenantID = "" }, rejected, "another tenant",
		},
		"another application": {map[string]any{"appid": "99999999-9999-9999-9999-999999999999"}, nil, rejected, "another application"},
		"no application":      {map[string]any{"appid": nil}, nil, rejected, "another application"},
		"another application named azp": {
			map[string]any{"appid": nil, "azp": "99999999-9999-9999-9999-999999999999"}, nil, rejected, "another application",
		},
		"another appid, though azp fits": {
			map[string]any{"appid": "99999999-9999-9999-9999-999999999999", "azp": clientID}, nil, rejected, "another application",
		},
		"no application, and none was asked for": {
			map[string]any{"appid": nil}, func(w *token.Want) { w.ClientID = "" }, rejected, "another application",
		},
		"another audience":                   {map[string]any{"aud": "https://graph.microsoft.com"}, nil, rejected, "another API"},
		"no audience":                        {map[string]any{"aud": nil}, nil, rejected, "another API"},
		"an audience that is a slash":        {map[string]any{"aud": "/"}, func(w *token.Want) { w.Audiences = []string{resource, "x"} }, rejected, "another API"},
		"no audience, though a slash is one": {map[string]any{"aud": nil}, func(w *token.Want) { w.Audiences = []string{"/"} }, rejected, "another API"},
		"an audience with a path":            {map[string]any{"aud": "https://api.security.microsoft.com/mtp"}, nil, rejected, "another API"},
		"an audience with two slashes behind": {
			map[string]any{"aud": "https://api.security.microsoft.com//"}, nil, rejected, "another API",
		},
		"an audience in upper case":          {map[string]any{"aud": "HTTPS://API.SECURITY.MICROSOFT.COM"}, nil, rejected, "another API"},
		"any audience where none is allowed": {nil, func(w *token.Want) { w.Audiences = nil }, rejected, "another API"},
		"idtyp user":                         {map[string]any{"idtyp": "user"}, nil, rejected, "speaks for a user"},
		"an idtyp that nobody knows":         {map[string]any{"idtyp": "device"}, nil, rejected, "speaks for a user"},
		"scopes":                             {map[string]any{"scp": "Incident.Read", "idtyp": nil}, nil, rejected, "speaks for a user"},
		"scopes beside roles":                {map[string]any{"scp": "Incident.Read"}, nil, rejected, "speaks for a user"},
		"a required role is missing":         {map[string]any{"roles": []string{"Alert.Read.All"}}, nil, missing, "lacks Incident.Read.All."},
		"a required role in lower case":      {map[string]any{"roles": []string{"incident.read.all"}}, nil, missing, "lacks Incident.Read.All."},
		"several required roles are missing": {
			nil, func(w *token.Want) { w.RequiredRoles = []string{"B", "Incident.Read.All", "A"} }, missing, "lacks B, A. An administrator of tenant " + tenantID,
		},
		"no role though one is required": {map[string]any{"roles": nil}, nil, missing, "lacks Incident.Read.All."},
		"no role though none is named": {
			map[string]any{"roles": nil}, func(w *token.Want) { w.RequiredRoles = nil }, missing, "carries no application role",
		},
		"an empty list of roles": {
			map[string]any{"roles": []string{}}, func(w *token.Want) { w.RequiredRoles = nil }, missing, "carries no application role",
		},
		"a role beyond the ceiling": {nil, ceilings([]string{"Incident.Read.All"}), exceeded, "(AdvancedHunting.Read.All)"},
		"roles that only two ceilings together hold": {
			nil, ceilings([]string{"Incident.Read.All"}, []string{"AdvancedHunting.Read.All"}), exceeded, "(AdvancedHunting.Read.All)",
		},
		"of several ceilings the most generous one speaks": {
			map[string]any{"roles": []string{"A", "B", "C", "Incident.Read.All"}},
			ceilings([]string{"Incident.Read.All"}, []string{"A", "B", "Incident.Read.All"}, []string{"A", "Incident.Read.All"}), exceeded, "(C)",
		},
		"a missing role is told before one too many": {
			map[string]any{"roles": []string{"Alert.Read.All"}}, ceilings([]string{"Incident.Read.All"}), missing, "lacks Incident.Read.All.",
		},
		"another tenant is told before missing roles": {
			map[string]any{"tid": "99999999-9999-9999-9999-999999999999", "roles": nil}, nil, rejected, "another tenant",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := want()
			if test.want != nil {
				test.want(&w)
			}
			assertRefused(t, gate(), w, answer(t, test.changes), test.reason, test.says)
		})
	}
}

func assertRefused(t *testing.T, g token.Gate, w token.Want, a token.Issued, reason, says string) {
	t.Helper()
	_ = refused(t, g, w, a, reason, says) // the fault is an error that was wanted
}

// refused is the fault of a token that the gate must not admit.
func refused(t *testing.T, g token.Gate, w token.Want, a token.Issued, reason, says string) *token.Fault {
	t.Helper()
	got, fault := g.Check(w, a)
	if fault == nil {
		t.Fatalf("admitted: %+v", got)
	}
	if fault.Reason != reason || !strings.Contains(fault.Message, says) {
		t.Errorf("got %v, want %s: …%s…", fault, reason, says)
	}
	if fault.TraceID != "33333333-3333-3333-3333-333333333333" {
		t.Errorf("trace ID %q", fault.TraceID)
	}
	if got.Claims.TenantID != "" || !got.Life.ExpiresAt.IsZero() {
		t.Errorf("something was admitted all the same: %+v", got)
	}
	return fault
}

func TestGate_SaysWhoMustAct(t *testing.T) {
	for name, test := range map[string]struct {
		changes map[string]any
		limit   []string
		actor   token.Actor
		cure    token.Cure
	}{
		"a wrong token is asked for again":            {map[string]any{"tid": "x"}, nil, "nobody", token.ByRetry},
		"missing roles are the customer's":            {map[string]any{"roles": nil}, nil, "customer administrator", token.ByPoll},
		"roles beyond the ceiling are the platform's": {nil, []string{"Incident.Read.All"}, "platform team", token.ByPoll},
	} {
		t.Run(name, func(t *testing.T) {
			w := want()
			if test.limit != nil {
				w.RoleCeilings = [][]string{test.limit}
			}
			_, fault := gate().Check(w, answer(t, test.changes))
			if fault == nil || fault.Actor != test.actor || fault.Cure != test.cure {
				t.Errorf("got %+v", fault)
			}
		})
	}
}

func TestGate_ListsRolesBesideTheMessage(t *testing.T) {
	w := want()
	w.RequiredRoles = []string{"Z.Read.All", "Incident.Read.All"}
	_, fault := gate().Check(w, answer(t, nil))
	if fault == nil || !slices.Equal(fault.MissingRoles, []string{"Z.Read.All"}) ||
		!slices.Equal(fault.GrantedRoles, []string{"AdvancedHunting.Read.All", "Incident.Read.All"}) {
		t.Errorf("got %+v", fault)
	}
}

// What one customer has to consent to, many customers cannot all have forgotten.
func TestGate_SaysWhatMissingRolesMeanInManyCustomers(t *testing.T) {
	const (
		without = "The tokens of several tenants carry no application role. The platform team must check that the registration of application " +
			clientID + " asks for application permissions of " + resource + ", then ask the customers to consent again."
		lacking = "The tokens of several tenants lack A.Read.All, Z.Read.All. The platform team must check that the registration of application " +
			clientID + " asks for these application permissions of " + resource + ", then ask the customers to consent again."
	)
	of := func(tenant string, changes map[string]any, required ...string) *token.Fault {
		w := want()
		w.TenantID, w.RequiredRoles = tenant, required
		changes["tid"] = tenant
		_, fault := gate().Check(w, answer(t, changes))
		if fault == nil || fault.InMany == nil {
			t.Fatalf("tenant %s: %+v", tenant, fault)
		}
		return fault.InMany
	}
	const other = "44444444-4444-4444-4444-444444444444"
	for name, row := range map[string]struct {
		many *token.Fault
		says string
	}{
		"no role and none required": {of(tenantID, map[string]any{"roles": nil}), without},
		"of another customer":       {of(other, map[string]any{"roles": nil}), without},
		"two roles":                 {of(tenantID, map[string]any{}, "Z.Read.All", "A.Read.All", "Incident.Read.All"), lacking},
		"in another order":          {of(other, map[string]any{}, "A.Read.All", "Z.Read.All"), lacking},
	} {
		t.Run(name, func(t *testing.T) {
			if row.many.Message != row.says {
				t.Errorf("got  %s\nwant %s", row.many.Message, row.says)
			}
			if row.many.Reason != "AppMisconfigured" || row.many.Actor != "platform team" || row.many.Cure != token.ByPoll || row.many.Scope != token.ScopeApp {
				t.Errorf("%+v", row.many)
			}
		})
	}
	if _, fault := gate().Check(want(), answer(t, map[string]any{"tid": "x"})); fault.InMany != nil {
		t.Errorf("a token of another tenant is nobody's to mend: %+v", fault.InMany)
	}
}

// The API takes messages of up to 1024 characters: a longer one would stop the status.
func TestGate_MessagesStayShortWhateverTheRoles(t *testing.T) {
	var many []string
	for i := range 128 {
		many = append(many, fmt.Sprintf("%064d", i))
	}
	w := want()
	w.RequiredRoles = many[:32]
	fault := refused(t, gate(), w, answer(t, nil), "RolesMissing", " and 23 more. An administrator")
	if len(fault.Message) > 1024 || len(fault.InMany.Message) > 1024 || len(fault.MissingRoles) != 32 {
		t.Errorf("%d characters, %d roles", len(fault.Message), len(fault.MissingRoles))
	}
	w = want()
	w.RequiredRoles, w.RoleCeilings = nil, [][]string{{"Incident.Read.All"}}
	fault = refused(t, gate(), w, answer(t, map[string]any{"roles": many}), "RolesExceeded", " and 119 more)")
	if len(fault.Message) > 1024 || len(fault.GrantedRoles) != 128 {
		t.Errorf("%d characters, %d roles", len(fault.Message), len(fault.GrantedRoles))
	}
}

func TestGate_RefusesWhatCannotBeRead(t *testing.T) {
	good := jwt(t, claims(nil)).Reveal()
	for name, test := range map[string]struct {
		raw    redacted.String
		reason string
	}{
		"no token at all":                     {redacted.String{}, "TokenOpaque"},
		"a token that is no JWT":              {redacted.New("EwBgA8l6BAAUO9chh8cJscQLmU"), "TokenOpaque"},
		"characters outside a JWT's alphabet": {redacted.New(good + "';id"), "TokenOpaque"},
		"a line break":                        {redacted.New(good + "\n"), "TokenOpaque"},
		"a JWT with unreadable claims":        {compact("nonsense"), "TokenRejected"},
		"more than 16 KiB":                    {redacted.New(good + strings.Repeat("A", 16384)), "TokenRejected"},
	} {
		t.Run(name, func(t *testing.T) {
			a := answer(t, nil)
			a.Token = test.raw
			fault := refused(t, gate(), want(), a, test.reason, "it was not published")
			if !errors.Is(fault, token.ErrOpaque) && !errors.Is(fault, token.ErrMalformed) {
				t.Errorf("cause %v", fault.Cause)
			}
		})
	}
}

func TestGate_ChecksTheLife(t *testing.T) {
	// life is a token that the response gives so long, with a claim exp that agrees.
	life := func(d time.Duration) func(*testing.T) token.Issued {
		return func(t *testing.T) token.Issued {
			t.Helper()
			a := answer(t, map[string]any{"exp": received().Add(d).Unix()})
			a.Lifetime = d
			return a
		}
	}
	// apart is a token of an hour whose claim exp is off by so much.
	apart := func(d time.Duration, server func(*token.Issued)) func(*testing.T) token.Issued {
		return func(t *testing.T) token.Issued {
			t.Helper()
			a := answer(t, map[string]any{"iat": issuedAt().Add(d).Unix(), "exp": received().Add(time.Hour + d).Unix()})
			if server != nil {
				server(&a)
			}
			return a
		}
	}
	date := func(d time.Duration) func(*token.Issued) {
		return func(a *token.Issued) { a.ServerTime = received().Add(d) }
	}
	none := func(a *token.Issued) { a.ServerTime = time.Time{} }
	// cached is a token that was issued some time ago.
	cached := func(left time.Duration) func(*testing.T) token.Issued {
		return func(t *testing.T) token.Issued {
			t.Helper()
			a := answer(t, map[string]any{"iat": received().Add(left - 3900*time.Second).Unix(), "exp": received().Add(left).Unix()})
			a.Lifetime = left
			return a
		}
	}
	for name, test := range map[string]struct {
		answer  func(*testing.T) token.Issued
		percent int32
		says    string        // empty: admitted
		ends    time.Duration // after the answer
		skew    time.Duration
	}{
		"an hour":                         {answer: life(time.Hour), ends: time.Hour},
		"five minutes are enough":         {answer: life(5 * time.Minute), ends: 5 * time.Minute},
		"less than five minutes are not":  {answer: life(5*time.Minute - time.Second), says: "too short"},
		"nothing left":                    {answer: life(0), says: "too short"},
		"ended already":                   {answer: life(-time.Hour), says: "too short"},
		"25 hours are possible":           {answer: life(25 * time.Hour), ends: 25 * time.Hour},
		"more than 25 hours are not":      {answer: life(25*time.Hour + time.Second), says: "too long"},
		"a year is not":                   {answer: life(365 * 24 * time.Hour), says: "too long"},
		"a claim 5 minutes later":         {answer: apart(5*time.Minute, date(0)), ends: time.Hour},
		"a claim 5 minutes earlier":       {answer: apart(-5*time.Minute, date(0)), ends: 55 * time.Minute},
		"a claim far later, no Date":      {answer: apart(5*time.Minute+time.Second, none), says: "disagree"},
		"a claim far earlier, no Date":    {answer: apart(-5*time.Minute-time.Second, none), says: "disagree"},
		"a claim far later, same clock":   {answer: apart(30*time.Minute, date(0)), says: "disagree"},
		"a claim far earlier, same clock": {answer: apart(-30*time.Minute, date(0)), says: "disagree"},
		"our clock is behind: our own count ends the token": {
			answer: apart(30*time.Minute, date(30*time.Minute)), ends: time.Hour, skew: 30 * time.Minute,
		},
		"our clock is ahead: the claim ends the token": {
			answer: apart(-30*time.Minute, date(-30*time.Minute)), ends: 30 * time.Minute, skew: -30 * time.Minute,
		},
		"our clock is days behind": {
			answer: apart(72*time.Hour, date(72*time.Hour)), ends: time.Hour, skew: 72 * time.Hour,
		},
		"our clock is so far ahead that nothing is left": {answer: apart(-2*time.Hour, date(-2*time.Hour)), says: "too short"},
		"a Date that explains but 5 minutes of it": {
			answer: apart(30*time.Minute, date(25*time.Minute)), ends: time.Hour, skew: 25 * time.Minute,
		},
		"a Date that explains too little":       {answer: apart(30*time.Minute, date(24*time.Minute)), says: "disagree"},
		"a Date on the wrong side":              {answer: apart(30*time.Minute, date(-30*time.Minute)), says: "disagree"},
		"a Date that is off while both agree":   {answer: apart(0, date(time.Hour)), ends: time.Hour},
		"fresh, with iat back-dated":            {answer: cached(time.Hour), ends: time.Hour},
		"from a cache, 6 minutes left":          {answer: cached(6 * time.Minute), says: "most of its life is over"},
		"from a cache, exactly half left":       {answer: cached(30 * time.Minute), ends: 30 * time.Minute},
		"from a cache, less than half left":     {answer: cached(30*time.Minute - time.Second), says: "most of its life is over"},
		"due at 80 %, 12 minutes left":          {answer: cached(12 * time.Minute), percent: 80, ends: 12 * time.Minute},
		"due at 80 %, less left":                {answer: cached(12*time.Minute - time.Second), percent: 80, says: "most of its life is over"},
		"due at 35 %, 39 minutes left":          {answer: cached(39 * time.Minute), percent: 35, ends: 39 * time.Minute},
		"due at 35 %, less left":                {answer: cached(39*time.Minute - time.Second), percent: 35, says: "most of its life is over"},
		"zero percent means fifty":              {answer: cached(30*time.Minute - time.Second), percent: 50, says: "most of its life is over"},
		"a fraction of a second does not count": {answer: withFractions, ends: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := want()
			w.RefreshPercent = test.percent
			if test.says != "" {
				assertRefused(t, gate(), w, test.answer(t), "TokenRejected", test.says)
				return
			}
			got, fault := gate().Check(w, test.answer(t))
			if fault != nil {
				t.Fatal(fault)
			}
			if ends := got.Life.ExpiresAt.Sub(received()); ends != test.ends || !got.Life.IssuedAt.Equal(received()) {
				t.Errorf("lives from %v, ends after %v, want %v", got.Life.IssuedAt, ends, test.ends)
			}
			if got.Skew != test.skew {
				t.Errorf("skew %v, want %v", got.Skew, test.skew)
			}
		})
	}
}

func withFractions(t *testing.T) token.Issued {
	t.Helper()
	a := answer(t, nil)
	a.ReceivedAt = a.ReceivedAt.Add(900 * time.Millisecond).In(time.FixedZone("", 3600))
	a.Lifetime += 900 * time.Millisecond
	return a
}

// A token without iat could be of any age. The year must not matter.
func TestGate_ATokenWithoutAStartIsRefusedInAnyYear(t *testing.T) {
	for year := 1972; year < 2262; year++ {
		now := time.Date(year, time.May, 4, 10, 0, 0, 0, time.UTC)
		a := answer(t, map[string]any{"iat": nil, "nbf": nil, "exp": now.Add(time.Hour).Unix()})
		a.ReceivedAt, a.ServerTime = now, now
		for _, percent := range []int32{0, 35, 80} {
			w := want()
			w.RefreshPercent = percent
			if got, fault := gate().Check(w, a); fault == nil {
				t.Fatalf("admitted in %d at %d percent: %+v", year, percent, got)
			}
		}
	}
}

func TestGate_ShortLivesPassWhereTheyAreWanted(t *testing.T) {
	for _, seconds := range []int{2, 5, 10, 60, 299} {
		t.Run(fmt.Sprintf("%d seconds, back-dated by 300", seconds), func(t *testing.T) {
			life := time.Duration(seconds) * time.Second
			a := answer(t, map[string]any{"iat": received().Add(-300 * time.Second).Unix(), "exp": received().Add(life).Unix()})
			a.Lifetime = life
			got, fault := token.Gate{MinLifetime: 2 * time.Second}.Check(want(), a)
			if fault != nil {
				t.Fatal(fault)
			}
			if got.Life.Duration() != life {
				t.Errorf("lives %v", got.Life.Duration())
			}
			assertRefused(t, token.Gate{MinLifetime: life + time.Second}, want(), a, "TokenRejected", "too short")
		})
	}
}

func FuzzGate(f *testing.F) {
	at := received().Unix()
	f.Add(tenantID, resource, clientID, "app", "", "Incident.Read.All", at-300, at+3600, int64(3600), int64(0), int32(50))
	f.Add(tenantID, resource, clientID, "", "", "Incident.Read.All,X", at-300, at+7200, int64(3600), int64(3600), int32(80))
	f.Add("x", "/", "", "user", "y", "", int64(0), int64(1)<<62, int64(-1), int64(1)<<40, int32(-5))
	f.Add(tenantID, resource+"/", clientID, "app", "", "Incident.Read.All", int64(0), at+3600, int64(3600), int64(0), int32(0))
	f.Fuzz(func(t *testing.T, tid, aud, appid, idtyp, scp, roles string, iat, exp, lifetime, date int64, percent int32) {
		raw := jwt(t, map[string]any{
			"tid": tid, "aud": aud, "appid": appid, "idtyp": idtyp, "scp": scp, "roles": strings.Split(roles, ","), "iat": iat, "exp": exp,
		})
		w := want()
		w.RefreshPercent, w.RoleCeilings = percent, [][]string{{"Incident.Read.All"}, {"Incident.Read.All", "X"}}
		a := token.Issued{Token: raw, Lifetime: time.Duration(lifetime) * time.Second, ReceivedAt: received(), ServerTime: received().Add(time.Duration(date) * time.Second)}
		got, fault := gate().Check(w, a)
		if fault != nil {
			for part := range strings.SplitSeq(raw.Reveal(), ".") {
				if len(part) > 8 && strings.Contains(fault.Error()+fmt.Sprint(fault.Cause), part) {
					t.Fatalf("part of the token in %v", fault)
				}
			}
			if len(fault.Message) > 1024 || fault.Reason == "" {
				t.Fatalf("the API cannot hold %v", fault)
			}
			return
		}
		c := got.Claims
		if !strings.EqualFold(tid, tenantID) || !strings.EqualFold(appid, clientID) || strings.TrimSuffix(aud, "/") != resource && aud != w.Audiences[1] && aud != w.Audiences[1]+"/" {
			t.Fatalf("admitted for somebody else: %+v", c)
		}
		if scp != "" || idtyp != "" && idtyp != "app" || !slices.Contains(c.Roles, "Incident.Read.All") || len(c.RolesBeyond(w.RoleCeilings[1])) > 0 {
			t.Fatalf("admitted with wrong roles: %+v", c)
		}
		life := got.Life
		if life.Duration() < 5*time.Minute || life.Duration() > 25*time.Hour || life.ExpiresAt.After(c.ExpiresAt) || life.ExpiresAt.After(received().Add(a.Lifetime)) {
			t.Fatalf("admitted for too long: %+v of %+v", life, c)
		}
	})
}
