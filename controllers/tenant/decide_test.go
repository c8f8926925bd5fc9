package tenant

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/secretview"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	customerID = "11111111-1111-1111-1111-111111111111"
	strangerID = "22222222-2222-2222-2222-222222222222"
	partnerID  = "00000000-0000-0000-0000-00000000000a"
	formerID   = "00000000-0000-0000-0000-00000000000b"
	xdrURI     = "https://api.security.microsoft.com"
	graphURI   = "https://graph.microsoft.com"
)

// noon is when the tokens of these tables are issued. They live for an hour, are due
// between 12:24 and 12:30 and count as dead from 12:59.
func noon() time.Time { return time.Date(2026, time.November, 2, 12, 0, 0, 0, time.UTC) }

func after(d time.Duration) time.Time { return noon().Add(d) }

// someTenant wants one DefenderXDR token named xdr.
func someTenant() *v1alpha1.DefenderTenant {
	return &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "contoso", UID: "uid-of-contoso", Generation: 1, ResourceVersion: "100"},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: customerID, App: "partner"},
	}
}

func someApp() *v1alpha1.DefenderApp {
	return &v1alpha1.DefenderApp{
		ObjectMeta: metav1.ObjectMeta{Name: "partner", UID: "uid-of-partner", Generation: 1},
		Spec:       v1alpha1.DefenderAppSpec{ClientID: partnerID},
	}
}

// goodHolding is a Secret with a token that fits goodSlot in every respect.
func goodHolding() *holding {
	return &holding{
		facts: facts{
			Claims: &token.Claims{
				TenantID: customerID, Audience: xdrURI, ClientID: partnerID, Roles: []string{"Incident.Read.All"}, ID: "uti-1",
				AppOnly: true, IssuedAt: after(-5 * time.Minute), ExpiresAt: after(time.Hour),
			},
			HasToken: true, Intact: true, State: v1alpha1.StateValid,
			TenantID: customerID, ClientID: partnerID, Resource: xdrURI, APIURL: xdrURI,
		},
		secret: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "contoso-xdr", ResourceVersion: "90"}},
		life:   token.Life{IssuedAt: noon(), ExpiresAt: after(time.Hour)},
	}
}

// goodSlot is allowed, and holds what it wants.
func goodSlot() slot {
	return slot{
		spec: v1alpha1.TokenSpec{
			Name: "xdr", API: v1alpha1.APIDefenderXDR, SecretName: "contoso-xdr", RequiredRoles: []string{"Incident.Read.All"},
			RefreshAfterPercent: 50, OnExpiry: v1alpha1.ExpiryClear,
		},
		secretName: "contoso-xdr",
		identity:   "uid-of-contoso/xdr",
		target:     cloud.Target{API: v1alpha1.APIDefenderXDR, Resource: xdrURI, Audiences: []string{xdrURI}, APIURL: xdrURI},
		want: token.Want{
			TenantID: customerID, ClientID: partnerID, Resource: xdrURI, Audiences: []string{xdrURI},
			RequiredRoles: []string{"Incident.Read.All"}, RoleCeilings: [][]string{nil}, RefreshPercent: 50,
		},
		permitted: true,
		held:      goodHolding(),
	}
}

func goodSight() *observed {
	return &observed{tenant: someTenant(), app: someApp(), slots: []slot{goodSlot()}}
}

// failing is a pace in the middle of a series of failures; the next attempt is at 12:40.
func failing() pace {
	return pace{attempts: 3, since: after(25 * time.Minute), next: after(40 * time.Minute), fault: unavailable()}
}

func unavailable() *token.Fault {
	return &token.Fault{Reason: "EntraUnavailable", Message: "Entra ID cannot be reached.", Actor: token.ActorNobody, Cure: token.ByRetry}
}

func denied() *token.Fault {
	return &token.Fault{Reason: "AccessDenied", Message: "No grant.", Actor: token.ActorPlatform, Cure: token.ByWatch}
}

func TestDecide_DoesOneThingAboutAToken(t *testing.T) {
	const (
		soon = 10 * time.Minute // nothing is due
		due  = 31 * time.Minute
		dead = 59 * time.Minute
	)
	type change = func(seen *observed, s *slot)
	gone := func(_ *observed, s *slot) { s.held = nil }
	suspend := func(seen *observed, _ *slot) { seen.tenant.Spec.Suspend = true }
	refuse := func(_ *observed, s *slot) { s.refusal = denied() }
	ask := func(seen *observed, _ *slot) { seen.asked = request{tenant: "now"} }
	fail := func(_ *observed, s *slot) { s.pace = failing() }
	donate := func(_ *observed, s *slot) { s.held, s.donor = nil, goodHolding() }
	forbid := func(_ *observed, s *slot) { s.permitted, s.refusal = false, denied() }
	edit := func(_ *observed, s *slot) { s.held.Intact = false }
	unparsable := func(_ *observed, s *slot) { s.held.Intact, s.held.Claims = false, nil }
	leave := func(seen *observed, _ *slot) { at := metav1.NewTime(noon()); seen.tenant.DeletionTimestamp = &at }
	drained := func(state v1alpha1.SecretState) change {
		return func(_ *observed, s *slot) { s.held.HasToken, s.held.Claims, s.held.State = false, nil, state }
	}
	marked := func(_ *observed, s *slot) { s.held.State = v1alpha1.StateExpired }
	lack := func(verbs ...string) change {
		return func(seen *observed, _ *slot) {
			seen.lack = &secretview.Lack{Verbs: verbs, Fault: &token.Fault{Reason: v1alpha1.ReasonNoSecretRight}}
		}
	}
	lock := func(_ *observed, s *slot) { yes := true; s.held.secret.Immutable = &yes }
	policy := func(p v1alpha1.ExpiryPolicy) change { return func(_ *observed, s *slot) { s.spec.OnExpiry = p } }

	for name, row := range map[string]struct {
		at      time.Duration
		changes []change
		want    step   // without the fault
		fault   string // its reason
	}{
		"a good token is kept in silence":                                {at: soon, want: step{do: keep}},
		"without a Secret a token is minted":                             {at: soon, changes: []change{gone}, want: step{do: mint, why: "SecretMissing"}},
		"a token is renewed when it is due":                              {at: due, want: step{do: mint, why: "Due"}},
		"a token issued a moment ahead of our clock is kept":             {at: -5 * time.Minute, want: step{do: keep}},
		"a token issued before the clock was set back is replaced":       {at: -2 * time.Hour, want: step{do: mint, why: "ClockSetBack"}},
		"an edited Secret is minted anew":                                {at: soon, changes: []change{edit}, want: step{do: mint, why: "SecretEdited"}},
		"an emptied Secret is filled again":                              {at: soon, changes: []change{drained("Expired")}, want: step{do: mint, why: "SecretEmptied"}},
		"a kept token that ended is replaced":                            {at: dead, changes: []change{policy("Keep"), marked}, want: step{do: mint, why: "SecretEmptied"}},
		"a token that no longer fits is replaced":                        {at: soon, changes: []change{func(_ *observed, s *slot) { s.target.APIURL = "https://api-eu.security.microsoft.com" }}, want: step{do: mint, why: "SpecChanged"}},
		"a requested refresh mints although nothing is due":              {at: soon, changes: []change{ask}, want: step{do: mint, why: "RefreshRequested"}},
		"a refresh requested on the app counts too":                      {at: soon, changes: []change{func(seen *observed, _ *slot) { seen.asked.app = "all" }}, want: step{do: mint, why: "RefreshRequested"}},
		"a handled request is no request":                                {at: soon, changes: []change{ask, func(seen *observed, _ *slot) { seen.done = seen.asked }}, want: step{do: keep}},
		"a refusal keeps what is held and says why":                      {at: due, changes: []change{refuse}, want: step{do: keep}, fault: "AccessDenied"},
		"a refusal of a missing token mints nothing":                     {at: soon, changes: []change{gone, refuse}, want: step{do: keep}, fault: "AccessDenied"},
		"a refusal speaks before a suspension":                           {at: due, changes: []change{refuse, suspend}, want: step{do: keep}, fault: "AccessDenied"},
		"a suspension stops the renewal":                                 {at: due, changes: []change{suspend}, want: step{do: keep}, fault: "Suspended"},
		"a suspended app stops the renewal":                              {at: due, changes: []change{func(seen *observed, _ *slot) { seen.app.Spec.Suspend = true }}, want: step{do: keep}, fault: "Suspended"},
		"a suspension stops a requested refresh":                         {at: soon, changes: []change{suspend, ask}, want: step{do: keep}, fault: "Suspended"},
		"a token under a former name is moved":                           {at: soon, changes: []change{donate}, want: step{do: move, why: "SecretMissing"}},
		"a token is moved before a requested refresh":                    {at: soon, changes: []change{donate, ask}, want: step{do: move, why: "RefreshRequested"}},
		"a token is moved although its renewal is refused":               {at: soon, changes: []change{donate, refuse}, want: step{do: move, why: "SecretMissing"}},
		"a token is moved while requests are suspended":                  {at: soon, changes: []change{donate, suspend}, want: step{do: move, why: "SecretMissing"}},
		"a tenant that is being deleted gets no token":                   {at: soon, changes: []change{gone, leave}, want: step{do: keep}},
		"a tenant that is being deleted keeps no dead token":             {at: dead, changes: []change{leave}, want: step{do: empty, state: "Expired"}},
		"a failure waits for its time":                                   {at: due, changes: []change{fail}, want: step{do: keep}, fault: "EntraUnavailable"},
		"after its time a failure is tried again":                        {at: 40 * time.Minute, changes: []change{fail}, want: step{do: mint, why: "Due"}, fault: "EntraUnavailable"},
		"a requested refresh does not wait for a failure's time":         {at: due, changes: []change{fail, ask}, want: step{do: mint, why: "RefreshRequested"}, fault: "EntraUnavailable"},
		"a token that no grant allows is emptied":                        {at: soon, changes: []change{forbid}, want: step{do: empty, state: "AccessRevoked"}, fault: "AccessDenied"},
		"a token that no grant allows is emptied while suspended":        {at: soon, changes: []change{forbid, suspend}, want: step{do: empty, state: "AccessRevoked"}, fault: "AccessDenied"},
		"a token that no grant allows is emptied whatever onExpiry":      {at: soon, changes: []change{forbid, policy("Keep")}, want: step{do: empty, state: "AccessRevoked"}, fault: "AccessDenied"},
		"a token that no grant allows is emptied before a refresh":       {at: due, changes: []change{forbid, ask}, want: step{do: empty, state: "AccessRevoked"}, fault: "AccessDenied"},
		"an edited Secret that no grant allows is emptied":               {at: soon, changes: []change{forbid, edit}, want: step{do: empty, state: "AccessRevoked"}, fault: "AccessDenied"},
		"an expired Secret that no grant allows says so":                 {at: dead, changes: []change{forbid, drained("Expired")}, want: step{do: empty, state: "AccessRevoked"}, fault: "AccessDenied"},
		"a revoked Secret is emptied once":                               {at: soon, changes: []change{forbid, drained("AccessRevoked")}, want: step{do: keep}, fault: "AccessDenied"},
		"a revoked Secret that got a token by hand is emptied again":     {at: soon, changes: []change{forbid, func(_ *observed, s *slot) { s.held.State, s.held.Intact = "AccessRevoked", false }}, want: step{do: empty, state: "AccessRevoked"}, fault: "AccessDenied"},
		"a revoked Secret is filled once a grant allows it":              {at: soon, changes: []change{drained("AccessRevoked")}, want: step{do: mint, why: "SecretEmptied"}},
		"a dead token is emptied":                                        {at: dead, want: step{do: empty, state: "Expired"}},
		"a dead token is emptied under a policy that is not set":         {at: dead, changes: []change{policy("")}, want: step{do: empty, state: "Expired"}},
		"a dead token is emptied while attempts fail":                    {at: dead, changes: []change{fail}, want: step{do: empty, state: "Expired"}, fault: "EntraUnavailable"},
		"a dead token is emptied before a requested refresh":             {at: dead, changes: []change{ask}, want: step{do: empty, state: "Expired"}},
		"a dead token is emptied although its renewal is refused":        {at: dead, changes: []change{refuse}, want: step{do: empty, state: "Expired"}},
		"a dead token of a suspended tenant says so":                     {at: dead, changes: []change{suspend}, want: step{do: empty, state: "Suspended"}},
		"a dead token is marked where it shall be kept":                  {at: dead, changes: []change{policy("Keep")}, want: step{do: mark, state: "Expired"}},
		"a dead token of a suspended tenant is marked so":                {at: dead, changes: []change{policy("Keep"), suspend}, want: step{do: mark, state: "Suspended"}},
		"a dead token is removed with its Secret where that is wanted":   {at: dead, changes: []change{policy("Delete")}, want: step{do: remove}},
		"a dead token in an edited Secret is emptied":                    {at: time.Hour, changes: []change{edit, fail}, want: step{do: empty, state: "Expired"}, fault: "EntraUnavailable"},
		"a dead token in an edited Secret is not kept":                   {at: time.Hour, changes: []change{edit, policy("Keep")}, want: step{do: empty, state: "Expired"}},
		"a dead token in an edited Secret is removed":                    {at: time.Hour, changes: []change{edit, policy("Delete")}, want: step{do: remove}},
		"what somebody else wrote in place of a token is minted over":    {at: 2 * time.Hour, changes: []change{unparsable}, want: step{do: mint, why: "SecretEdited"}},
		"an emptied Secret does not end a second time":                   {at: dead, changes: []change{drained("Expired"), suspend}, want: step{do: keep}, fault: "Suspended"},
		"a token whose app is gone runs on":                              {at: due, changes: []change{func(seen *observed, s *slot) { seen.app, s.refusal = nil, appNotFound(seen.tenant) }}, want: step{do: keep}, fault: "AppNotFound"},
		"a held token is renewed without the rights to make or delete":   {at: due, changes: []change{lack("get", "create", "delete")}, want: step{do: mint, why: "Due"}},
		"a held token is not renewed without the right to update":        {at: due, changes: []change{lack("update")}, want: step{do: keep}, fault: "NoSecretRight"},
		"a held token is not renewed where nobody may watch":             {at: due, changes: []change{lack("watch")}, want: step{do: keep}, fault: "NoSecretRight"},
		"an immutable Secret is not renewed without the right to delete": {at: due, changes: []change{lack("delete"), lock}, want: step{do: keep}, fault: "NoSecretRight"},
		"a first token needs no right to update or delete":               {at: soon, changes: []change{gone, lack("update", "delete")}, want: step{do: mint, why: "SecretMissing"}},
		"a first token needs the right to get":                           {at: soon, changes: []change{gone, lack("get")}, want: step{do: keep}, fault: "NoSecretRight"},
		"a first token needs the right to create":                        {at: soon, changes: []change{gone, lack("create")}, want: step{do: keep}, fault: "NoSecretRight"},
		"a first token needs the right to list":                          {at: soon, changes: []change{gone, lack("list")}, want: step{do: keep}, fault: "NoSecretRight"},
		"a dead token is emptied where nobody may look":                  {at: dead, changes: []change{lack("list", "watch")}, want: step{do: empty, state: "Expired"}},
		"a dead token is emptied where its Secret may not be deleted":    {at: dead, changes: []change{policy("Delete"), lack("delete")}, want: step{do: empty, state: "Expired"}},
		"a token of a former app stays until one of the new app passes":  {at: soon, changes: []change{fail, func(_ *observed, s *slot) { s.want.ClientID = formerID }}, want: step{do: keep}, fault: "EntraUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := goodSight()
			for _, change := range row.changes {
				change(seen, &seen.slots[0])
			}
			got := decide(seen, after(row.at))[0]
			reason := ""
			if got.fault != nil {
				reason = got.fault.Reason
			}
			if got.do != row.want.do || got.why != row.want.why || got.state != row.want.state || reason != row.fault {
				t.Errorf("got %s %s %s with fault %q, want %s %s %s with fault %q",
					got.do, got.why, got.state, reason, row.want.do, row.want.why, row.want.state, row.fault)
			}
		})
	}
}

func TestDecide_ChangesAtTheVeryMoment(t *testing.T) {
	seen := goodSight()
	due := seen.refreshAt(seen.slots[0], seen.slots[0].held)
	if due.Before(after(24*time.Minute)) || due.After(after(30*time.Minute)) {
		t.Fatalf("an hour's token is due at %v, want between 12:24 and 12:30", due)
	}
	for name, row := range map[string]struct {
		at   time.Time
		want verb
	}{
		"kept a moment before it is due":      {due.Add(-1), keep},
		"renewed when it is due":              {due, mint},
		"renewed a moment before its end":     {after(59 * time.Minute).Add(-1), mint},
		"emptied when it counts as dead":      {after(59 * time.Minute), empty},
		"emptied long after":                  {after(1000 * time.Hour), empty},
		"renewed when the clock was set back": {after(-10 * time.Hour), mint},
		"kept at the moment it was issued":    {noon(), keep},
		"renewed between due and its death":   {after(45 * time.Minute), mint},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decide(seen, row.at)[0]; got.do != row.want {
				t.Errorf("got %s, want %s", got.do, row.want)
			}
		})
	}
}

func TestDecide_JudgesEachTokenAlone(t *testing.T) {
	seen := goodSight()
	missing, forbidden, refused := goodSlot(), goodSlot(), goodSlot()
	missing.held = nil
	forbidden.permitted, forbidden.refusal = false, denied()
	refused.refusal = denied()
	seen.slots = append(seen.slots, missing, forbidden, refused)
	for i, want := range []verb{keep, mint, empty, keep} {
		if got := decide(seen, after(time.Minute))[i]; got.do != want {
			t.Errorf("token %d: got %s, want %s", i, got.do, want)
		}
	}
}

func TestFits_TellsWhatANewTokenWouldGain(t *testing.T) {
	for name, row := range map[string]struct {
		change      func(s *slot, h *holding)
		works, fits bool
	}{
		"the token that is wanted": {func(*slot, *holding) {}, true, true},
		"formats in another order": {func(s *slot, h *holding) {
			s.spec.Formats, h.Formats = []v1alpha1.Format{"JSON", "Env"}, []v1alpha1.Format{"Env", "JSON"}
		}, true, true},
		"an audience with a slash at its end":        {func(_ *slot, h *holding) { h.Claims.Audience = xdrURI + "/" }, true, true},
		"more roles than required":                   {func(_ *slot, h *holding) { h.Claims.Roles = append(h.Claims.Roles, "Extra.Read.All") }, true, true},
		"no role required, one present":              {func(s *slot, _ *holding) { s.want.RequiredRoles = nil }, true, true},
		"a token of another application":             {func(_ *slot, h *holding) { h.ClientID = formerID }, true, false},
		"a token for another resource of that API":   {func(_ *slot, h *holding) { h.Resource = "https://security.microsoft.com/mtp" }, true, false},
		"an API host of another region":              {func(_ *slot, h *holding) { h.APIURL = "https://api-us.security.microsoft.com" }, true, false},
		"a format too few":                           {func(s *slot, _ *holding) { s.spec.Formats = []v1alpha1.Format{"JSON"} }, true, false},
		"a format too many":                          {func(_ *slot, h *holding) { h.Formats = []v1alpha1.Format{"Env"} }, true, false},
		"a Secret that somebody edited":              {func(_ *slot, h *holding) { h.Intact = false }, false, false},
		"no claims":                                  {func(_ *slot, h *holding) { h.Claims = nil }, false, false},
		"a Secret that says Expired":                 {func(_ *slot, h *holding) { h.State = v1alpha1.StateExpired }, false, false},
		"a Secret that says AccessRevoked":           {func(_ *slot, h *holding) { h.State = v1alpha1.StateAccessRevoked }, false, false},
		"a token of another tenant":                  {func(_ *slot, h *holding) { h.Claims.TenantID = strangerID }, false, false},
		"a token for another API":                    {func(_ *slot, h *holding) { h.Claims.Audience = graphURI }, false, false},
		"a token without an audience":                {func(_ *slot, h *holding) { h.Claims.Audience = "" }, false, false},
		"a token without roles where none is needed": {func(s *slot, h *holding) { s.want.RequiredRoles, h.Claims.Roles = nil, nil }, false, false},
		"a required role is missing":                 {func(s *slot, _ *holding) { s.want.RequiredRoles = []string{"Incident.Read.All", "Alert.Read.All"} }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := goodSlot(), goodHolding()
			row.change(&s, h)
			if got := s.works(h); got != row.works {
				t.Errorf("works: %v, want %v", got, row.works)
			}
			if got := s.fits(h); got != row.fits {
				t.Errorf("fits: %v, want %v", got, row.fits)
			}
		})
	}
}

func TestDecide_ARoleThatIsNoLongerAllowedRevokes(t *testing.T) {
	grant := v1alpha1.DefenderGrant{Spec: v1alpha1.DefenderGrantSpec{
		App: "partner", Namespaces: []string{"soc"}, TenantIDs: []string{customerID}, APIs: []string{"DefenderXDR"}, MaxRoles: []string{"Alert.Read.All"},
	}}
	seen := goodSight()
	allow := newAllowance(seen.tenant, seen.app, []v1alpha1.DefenderGrant{grant}, nil)
	spec := goodSlot().spec
	s := seen.newSlot(spec, allow, goodHolding(), &remembered{})
	if got, ends := seen.end(s, after(time.Minute)); !ends || got.do != empty || got.state != v1alpha1.StateAccessRevoked {
		t.Errorf("got %+v, %v", got, ends)
	}
}
