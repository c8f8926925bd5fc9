package tenant

import (
	"strings"
	"testing"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// fault makes a failure of a reason, with a sentence that can be recognised.
func fault(reason string) *token.Fault {
	return &token.Fault{Reason: reason, Message: "Sentence of " + reason + ".", Actor: token.ActorNobody}
}

// ended is a Secret whose token is gone.
func ended(state v1alpha1.SecretState) *holding {
	return &holding{facts: facts{Intact: true, State: state, TenantID: customerID, ClientID: partnerID}}
}

func granted() *metav1.Condition {
	return &metav1.Condition{Type: "ConsentGranted", Status: "True", Reason: "ConsentGranted", Message: "The customer's consent covers every required role."}
}

func withdrawn() *metav1.Condition {
	return &metav1.Condition{Type: "ConsentGranted", Status: "False", Reason: "ConsentWithdrawn", Message: "Consent was withdrawn."}
}

// text is a condition as people read it in the table of situations.
func (c condition) text() string { return string(c.status) + " " + c.reason }

func TestJudge_IsTheTableOfSituations(t *testing.T) {
	const (
		soon = 10 * time.Minute
		due  = 40 * time.Minute
		dead = 59 * time.Minute
	)
	edited := goodHolding()
	edited.Intact = false
	skewed := goodHolding()
	skewed.skew = "7m0s"
	lacking := goodHolding()
	lacking.Claims.Roles = []string{"Alert.Read.All"}
	for name, row := range map[string]struct {
		at                                time.Duration
		held                              *holding
		did                               verb
		fault                             *token.Fault
		known                             *metav1.Condition
		ready, consent, degraded, stalled string
	}{
		"all good":                                {soon, goodHolding(), keep, nil, nil, "True TokensReady", "True ConsentGranted", "False AsExpected", "False AsExpected"},
		"nothing was tried yet":                   {soon, nil, keep, nil, nil, "False Pending", "Unknown Pending", "False AsExpected", "False AsExpected"},
		"good, and the refresh fails":             {due, goodHolding(), keep, fault("EntraUnavailable"), granted(), "True TokensReady", "True ConsentGranted", "True RefreshFailing", "False AsExpected"},
		"good, refresh fails, consent unknown":    {due, goodHolding(), keep, fault("EntraUnavailable"), nil, "True TokensReady", "True ConsentGranted", "True RefreshFailing", "False AsExpected"},
		"consent withdrawn, the token runs":       {due, goodHolding(), mint, fault("ConsentRequired"), granted(), "True TokensReady", "False ConsentWithdrawn", "True RefreshFailing", "False AsExpected"},
		"withdrawn, then Entra is unavailable":    {due, goodHolding(), mint, fault("EntraUnavailable"), withdrawn(), "True TokensReady", "False ConsentWithdrawn", "True RefreshFailing", "False AsExpected"},
		"never consented":                         {soon, nil, mint, fault("ConsentRequired"), nil, "False ConsentRequired", "False ConsentRequired", "False AsExpected", "False AsExpected"},
		"roles missing":                           {soon, nil, mint, fault("RolesMissing"), nil, "False RolesMissing", "False RolesMissing", "False AsExpected", "False AsExpected"},
		"roles missing since the spec wants more": {soon, lacking, mint, fault("RolesMissing"), granted(), "False RolesMissing", "False RolesMissing", "False AsExpected", "False AsExpected"},
		"API not provisioned":                     {soon, nil, mint, fault("ResourceNotProvisioned"), nil, "False ResourceNotProvisioned", "Unknown ResourceNotProvisioned", "False AsExpected", "False AsExpected"},
		"disabled by the tenant":                  {soon, nil, mint, fault("DisabledByTenant"), nil, "False DisabledByTenant", "False DisabledByTenant", "False AsExpected", "False AsExpected"},
		"blocked by policy":                       {soon, nil, mint, fault("BlockedByPolicy"), nil, "False BlockedByPolicy", "False BlockedByPolicy", "False AsExpected", "False AsExpected"},
		"Entra unavailable, nothing held":         {soon, nil, mint, fault("EntraUnavailable"), nil, "False EntraUnavailable", "Unknown EntraUnavailable", "False AsExpected", "False AsExpected"},
		"credential refused, nothing held":        {soon, nil, mint, fault("CredentialRefused"), nil, "False CredentialRefused", "Unknown CredentialRefused", "False AsExpected", "False AsExpected"},
		"credential refused, the token runs":      {due, goodHolding(), mint, fault("CredentialRefused"), granted(), "True TokensReady", "True ConsentGranted", "True RefreshFailing", "False AsExpected"},
		"expired":                                 {dead, ended("Expired"), keep, fault("EntraUnavailable"), granted(), "False TokenExpired", "True ConsentGranted", "False AsExpected", "False AsExpected"},
		"expired after consent was withdrawn":     {dead, ended("Expired"), keep, fault("ConsentRequired"), withdrawn(), "False TokenExpired", "False ConsentWithdrawn", "False AsExpected", "False AsExpected"},
		"expired, the next attempt comes at once": {dead, ended("Expired"), empty, nil, granted(), "False TokenExpired", "True ConsentGranted", "False AsExpected", "False AsExpected"},
		"removed at its end":                      {dead, nil, remove, nil, granted(), "False TokenExpired", "True ConsentGranted", "False AsExpected", "False AsExpected"},
		"kept and marked":                         {dead, ended("Expired"), mark, fault("EntraUnavailable"), granted(), "False TokenExpired", "True ConsentGranted", "False AsExpected", "False AsExpected"},
		"dead a moment before it is emptied":      {dead, goodHolding(), keep, fault("EntraUnavailable"), granted(), "False EntraUnavailable", "Unknown EntraUnavailable", "False AsExpected", "False AsExpected"},
		"suspended, the token runs":               {soon, goodHolding(), keep, fault("Suspended"), granted(), "True TokensReady", "True ConsentGranted", "False AsExpected", "False AsExpected"},
		"suspended, the token should be renewed":  {due, goodHolding(), keep, fault("Suspended"), granted(), "True TokensReady", "True ConsentGranted", "True RefreshFailing", "False AsExpected"},
		"suspended and expired":                   {dead, ended("Suspended"), keep, fault("Suspended"), granted(), "False Suspended", "True ConsentGranted", "False AsExpected", "False AsExpected"},
		"suspended before the first token":        {soon, nil, keep, fault("Suspended"), nil, "False Suspended", "Unknown Suspended", "False AsExpected", "False AsExpected"},
		"app gone, the token runs":                {soon, goodHolding(), keep, fault("AppNotFound"), granted(), "True TokensReady", "True ConsentGranted", "True RefreshFailing", "True AppNotFound"},
		"no app":                                  {soon, nil, keep, fault("AppNotFound"), nil, "False AppNotFound", "Unknown AppNotFound", "False AsExpected", "True AppNotFound"},
		"no grant":                                {soon, nil, keep, fault("AccessDenied"), nil, "False AccessDenied", "Unknown AccessDenied", "False AsExpected", "True AccessDenied"},
		"the grant was revoked":                   {soon, ended("AccessRevoked"), keep, fault("AccessDenied"), granted(), "False AccessDenied", "Unknown AccessDenied", "False AsExpected", "True AccessDenied"},
		"Secret of someone else":                  {soon, nil, mint, fault("SecretConflict"), nil, "False SecretConflict", "Unknown SecretConflict", "False AsExpected", "True SecretConflict"},
		"a foreign Secret after an end":           {dead, nil, remove, fault("SecretConflict"), granted(), "False SecretConflict", "True ConsentGranted", "False AsExpected", "True SecretConflict"},
		"edited, and Entra unavailable":           {soon, edited, mint, fault("EntraUnavailable"), granted(), "False EntraUnavailable", "Unknown EntraUnavailable", "False AsExpected", "False AsExpected"},
		"the clocks disagree":                     {soon, skewed, keep, nil, nil, "True TokensReady", "True ConsentGranted", "True ClockSkew", "False AsExpected"},
		"the clocks disagree and refresh fails":   {due, skewed, keep, fault("EntraUnavailable"), granted(), "True TokensReady", "True ConsentGranted", "True RefreshFailing", "False AsExpected"},
		"good, but roles exceed the grant now":    {due, goodHolding(), mint, fault("RolesExceeded"), granted(), "True TokensReady", "True ConsentGranted", "True RefreshFailing", "True RolesExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := goodSlot()
			s.held = row.held
			v := result{slot: s, held: row.held, did: row.did, fault: row.fault}.judge(goodSight(), after(row.at), row.known)
			for kind, c := range map[string]struct {
				got  condition
				want string
			}{"Ready": {v.ready, row.ready}, "ConsentGranted": {v.consent, row.consent}, "Degraded": {v.degraded, row.degraded}, "Stalled": {v.stalled, row.stalled}} {
				if c.got.text() != c.want {
					t.Errorf("%s is %q, want %q", kind, c.got.text(), c.want)
				}
				if c.got.message == "" {
					t.Errorf("%s has no message", kind)
				}
			}
		})
	}
}

func TestJudge_SaysWhoMustDoWhat(t *testing.T) {
	judge := func(held *holding, f *token.Fault, at time.Duration) verdict {
		s := goodSlot()
		s.held = held
		return result{slot: s, held: held, did: keep, fault: f}.judge(goodSight(), after(at), granted())
	}
	for name, row := range map[string]struct{ got, want string }{
		"a failing refresh gives its cause":  {judge(goodHolding(), fault("EntraUnavailable"), 40*time.Minute).degraded.message, "The token works, but it cannot be renewed. Sentence of EntraUnavailable."},
		"an expired token gives its cause":   {judge(ended("Expired"), fault("EntraUnavailable"), time.Hour).ready.message, "The token ended without a successor. Sentence of EntraUnavailable."},
		"a stalled object gives its cause":   {judge(nil, fault("AccessDenied"), 0).stalled.message, "Sentence of AccessDenied."},
		"an unknown consent gives its cause": {judge(nil, fault("EntraUnavailable"), 0).consent.message, "Whether the customer consented cannot be told. Sentence of EntraUnavailable."},
		"a withdrawn consent says so":        {judge(goodHolding(), fault("ConsentRequired"), 40*time.Minute).consent.message, "Consent was withdrawn. Sentence of ConsentRequired."},
	} {
		if row.got != row.want {
			t.Errorf("%s: %q, want %q", name, row.got, row.want)
		}
	}
}

func TestStalls_MeansThatAnEditInTheClusterIsNeeded(t *testing.T) {
	for reason, want := range map[string]bool{
		"AppNotFound": true, "AccessDenied": true, "SecretConflict": true, "TenantNotFound": true, "WrongCloud": true, "RegionNotSupported": true,
		"ResourceInvalid": true, "RoleMisspelled": true, "RolesExceeded": true, "CredentialUnusable": true, "CredentialNotSupported": true,
		"ConsentRequired": false, "RolesMissing": false, "ResourceNotProvisioned": false, "DisabledByTenant": false, "EntraUnavailable": false,
		"Throttled": false, "CredentialRefused": false, "Suspended": false, "TokenExpired": false, "TokenRejected": false, "WriteFailed": false, "": false,
	} {
		if got := stalls(reason); got != want {
			t.Errorf("%q stalls: %v, want %v", reason, got, want)
		}
	}
}

func TestWorse_TheWorstRequiredTokenSpeaks(t *testing.T) {
	// From the one that speaks over all others to the one that speaks last.
	order := []condition{
		{status: "False", reason: "AccessDenied"},
		{status: "False", reason: "Suspended"},
		{status: "False", reason: "TokenExpired"},
		{status: "False", reason: "CredentialRefused"},
		{status: "False", reason: "VaultRefused"},
		{status: "False", reason: "ClockSkew"},
		{status: "False", reason: "AppDisabled"},
		{status: "False", reason: "AppMisconfigured"},
		{status: "False", reason: "TLSUntrusted"},
		{status: "False", reason: "ProxyRefused"},
		{status: "False", reason: "ConsentRequired"},
		{status: "False", reason: "ConsentWithdrawn"},
		{status: "False", reason: "DisabledByTenant"},
		{status: "False", reason: "BlockedByPolicy"},
		{status: "False", reason: "RolesMissing"},
		{status: "False", reason: "ResourceNotProvisioned"},
		{status: "False", reason: "EntraUnavailable"},
		{status: "Unknown", reason: "AccessDenied"},
		{status: "True", reason: "TokensReady"},
	}
	for i, a := range order {
		for j, b := range order {
			want := order[min(i, j)]
			if got := worse(a, b, metav1.ConditionTrue); got != want {
				t.Errorf("of %s and %s speaks %s", a.text(), b.text(), got.text())
			}
		}
	}
	t.Run("the first of two equals speaks", func(t *testing.T) {
		first, second := condition{"False", "AccessDenied", "first"}, condition{"False", "AppNotFound", "second"}
		if got := worse(first, second, metav1.ConditionTrue); got != first {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("for Degraded and Stalled True is bad", func(t *testing.T) {
		good, bad := condition{status: "False", reason: "AsExpected"}, condition{status: "True", reason: "RefreshFailing"}
		if worse(good, bad, metav1.ConditionFalse) != bad || worse(bad, good, metav1.ConditionFalse) != bad {
			t.Error("the good one speaks")
		}
	})
	t.Run("nothing said yet gives way", func(t *testing.T) {
		good := condition{status: "True", reason: "TokensReady"}
		if worse(condition{}, good, metav1.ConditionTrue) != good {
			t.Error("nothing speaks")
		}
	})
}

// several makes the outcome of a pass over tokens named a, b, c…
func several(results ...result) outcome {
	seen := goodSight()
	for i := range results {
		s := goodSlot()
		s.spec.Name = string(rune('a' + i))
		s.spec.Optional = results[i].slot.spec.Optional
		s.target.RetiresAt, s.target.Successor = results[i].slot.target.RetiresAt, results[i].slot.target.Successor
		s.held = results[i].held
		results[i].slot = s
	}
	return outcome{seen: seen, results: results}
}

func conditionsOf(out outcome, at time.Time) map[string]string {
	var list []metav1.Condition
	setConditions(&list, out.seen.tenant, out, at)
	got := map[string]string{}
	for _, c := range list {
		got[c.Type] = string(c.Status) + " " + c.Reason
	}
	return got
}

func TestSetConditions_FoldsTheTokens(t *testing.T) {
	optional := func(res result) result {
		res.slot.spec.Optional = true
		return res
	}
	good := func() result { return result{did: keep, held: goodHolding()} }
	for name, row := range map[string]struct {
		results []result
		want    [4]string // Ready, ConsentGranted, Degraded, Stalled
	}{
		"one good token":                 {[]result{good()}, [4]string{"True TokensReady", "True ConsentGranted", "False AsExpected", "False AsExpected"}},
		"two good tokens":                {[]result{good(), good()}, [4]string{"True TokensReady", "True ConsentGranted", "False AsExpected", "False AsExpected"}},
		"one of two lacks consent":       {[]result{good(), {did: mint, fault: fault("ConsentRequired")}}, [4]string{"False ConsentRequired", "False ConsentRequired", "False AsExpected", "False AsExpected"}},
		"whatever the order":             {[]result{{did: mint, fault: fault("ConsentRequired")}, good()}, [4]string{"False ConsentRequired", "False ConsentRequired", "False AsExpected", "False AsExpected"}},
		"an optional one lacks consent":  {[]result{good(), optional(result{did: mint, fault: fault("ConsentRequired")})}, [4]string{"True TokensReady", "True ConsentGranted", "False AsExpected", "False AsExpected"}},
		"an optional one is not allowed": {[]result{good(), optional(result{did: keep, fault: fault("AccessDenied")})}, [4]string{"True TokensReady", "True ConsentGranted", "False AsExpected", "True AccessDenied"}},
		"an optional one is not renewed": {[]result{good(), optional(result{did: mint, held: goodHolding(), fault: fault("EntraUnavailable")})}, [4]string{"True TokensReady", "True ConsentGranted", "True RefreshFailing", "False AsExpected"}},
		"all are optional and fail":      {[]result{optional(result{did: mint, fault: fault("ConsentRequired")})}, [4]string{"True TokensReady", "Unknown AsExpected", "False AsExpected", "False AsExpected"}},
		"there is no token at all":       {nil, [4]string{"True TokensReady", "Unknown AsExpected", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			got := conditionsOf(several(row.results...), after(10*time.Minute))
			for i, kind := range []string{"Ready", "ConsentGranted", "Degraded", "Stalled"} {
				if row.want[i] != "" && got[kind] != row.want[i] {
					t.Errorf("%s is %q, want %q", kind, got[kind], row.want[i])
				}
			}
		})
	}
}

func TestSetConditions_NamesTheTokenThatSpeaks(t *testing.T) {
	read := func(out outcome, kind string) string {
		var list []metav1.Condition
		setConditions(&list, out.seen.tenant, out, after(10*time.Minute))
		return find(list, kind).Message
	}
	failing := result{did: mint, fault: fault("ConsentRequired")}
	good := result{did: keep, held: goodHolding()}
	for name, row := range map[string]struct{ got, want string }{
		"of several, by name":           {read(several(good, failing), "Ready"), "Token b: Sentence of ConsentRequired."},
		"one alone, without":            {read(several(failing), "Ready"), "Sentence of ConsentRequired."},
		"good news are about all":       {read(several(good, good), "Ready"), "Every required Secret holds a token that works."},
		"good news of consent are, too": {read(several(good, good), "ConsentGranted"), "The customer's consent covers every required role."},
	} {
		if row.got != row.want {
			t.Errorf("%s: %q, want %q", name, row.got, row.want)
		}
	}
}

func TestSetConditions_TheSameTwiceChangesNothing(t *testing.T) {
	for name, results := range map[string][]result{
		"all good":          {{did: keep, held: goodHolding()}},
		"refresh failing":   {{did: keep, held: goodHolding(), fault: fault("EntraUnavailable")}, {did: keep, held: goodHolding()}},
		"consent withdrawn": {{did: keep, held: goodHolding(), fault: fault("ConsentRequired")}},
		"expired":           {{did: keep, held: ended("Expired"), fault: fault("ConsentRequired")}},
		"several fail":      {{did: keep, fault: fault("EntraUnavailable")}, {did: keep, held: goodHolding(), fault: fault("EntraUnavailable")}},
	} {
		t.Run(name, func(t *testing.T) {
			out := several(results...)
			var list []metav1.Condition
			setConditions(&list, out.seen.tenant, out, after(40*time.Minute))
			before := make([]metav1.Condition, len(list))
			copy(before, list)
			for minute := range 10 {
				setConditions(&list, out.seen.tenant, out, after(41*time.Minute+time.Duration(minute)*time.Minute))
				if !apiequality.Semantic.DeepEqual(before, list) {
					t.Fatalf("minute %d: %v\nbefore: %v", minute, list, before)
				}
			}
		})
	}
}

func TestSetConditions_SpeakOfTheGenerationSeen(t *testing.T) {
	out := several(result{did: keep, held: goodHolding()})
	out.seen.tenant.Generation = 7
	var list []metav1.Condition
	setConditions(&list, out.seen.tenant, out, after(90*time.Second+500*time.Millisecond))
	if len(list) != 4 {
		t.Errorf("%d conditions, want 4", len(list))
	}
	for _, c := range list {
		if c.ObservedGeneration != 7 || !c.LastTransitionTime.Time.Equal(after(90*time.Second)) {
			t.Errorf("%+v", c)
		}
	}
}

func TestRetirement_IsAnnouncedHalfAYearAhead(t *testing.T) {
	ends := time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC)
	retiring := result{did: keep, held: goodHolding()}
	retiring.slot.target.RetiresAt, retiring.slot.target.Successor = ends, "MicrosoftGraph"
	lasting := result{did: keep, held: goodHolding()}
	notice := time.Date(2026, time.August, 5, 0, 0, 0, 0, time.UTC) // 180 days before
	for name, row := range map[string]struct {
		results []result
		at      time.Time
		want    string
	}{
		"long before":               {[]result{retiring}, notice.Add(-1), ""},
		"from 180 days before":      {[]result{retiring}, notice, "True RetirementAnnounced"},
		"after the end":             {[]result{retiring}, ends.AddDate(1, 0, 0), "True RetirementAnnounced"},
		"one of two tokens":         {[]result{lasting, retiring}, notice, "True RetirementAnnounced"},
		"an API without an end":     {[]result{lasting}, ends, ""},
		"no token, no announcement": {nil, ends, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := conditionsOf(several(row.results...), row.at)["APIRetiring"]; got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
	t.Run("it goes with the last such token", func(t *testing.T) {
		var list []metav1.Condition
		with, without := several(retiring), several(lasting)
		setConditions(&list, with.seen.tenant, with, notice)
		if c := find(list, "APIRetiring"); c == nil || !strings.Contains(c.Message, "2027-02-01") || !strings.Contains(c.Message, "MicrosoftGraph") {
			t.Errorf("got %v", c)
		}
		setConditions(&list, without.seen.tenant, without, notice)
		if c := find(list, "APIRetiring"); c != nil {
			t.Errorf("got %v", c)
		}
	})
}

func TestSetConditions_WhatIsCarriedOverKeepsTheNameItHas(t *testing.T) {
	seen := goodSight()
	second := goodSlot()
	second.spec.Name, second.spec.Optional = "graph", true
	at := after(40 * time.Minute)
	out := func(reason string) outcome {
		return outcome{seen: seen, results: []result{
			{slot: goodSlot(), held: goodHolding(), fault: fault(reason)},
			{slot: second, held: goodHolding(), fault: fault(reason)},
		}}
	}
	var conditions []metav1.Condition
	setConditions(&conditions, seen.tenant, out("ConsentRequired"), at)
	first := find(conditions, "ConsentGranted").Message
	for range 3 {
		setConditions(&conditions, seen.tenant, out("EntraUnavailable"), at)
	}
	if last := find(conditions, "ConsentGranted").Message; last != first || strings.Count(last, "Token ") != 1 {
		t.Errorf("at first %q, after three more failures %q", first, last)
	}
}
