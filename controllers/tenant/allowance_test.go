package tenant

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// grantOf makes a grant from a line: app, namespaces, tenants, APIs, maxRoles.
func grantOf(app, namespaces, tenants, apis, maxRoles string) v1alpha1.DefenderGrant {
	return v1alpha1.DefenderGrant{Spec: v1alpha1.DefenderGrantSpec{
		App: app, Namespaces: strings.Fields(namespaces), TenantIDs: strings.Fields(tenants), APIs: strings.Fields(apis), MaxRoles: strings.Fields(maxRoles),
	}}
}

func TestInvariant4_AGrantAllowsExactlyWhatItNames(t *testing.T) {
	home := someApp()
	home.Spec.HomeTenantID = customerID
	for name, row := range map[string]struct {
		grants []v1alpha1.DefenderGrant
		app    *v1alpha1.DefenderApp
		want   bool
	}{
		"without a grant nobody may":            {nil, someApp(), false},
		"namespace, tenant and API are named":   {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "")}, someApp(), true},
		"the API is named by its URI":           {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, xdrURI, "")}, someApp(), true},
		"the star names the tenant":             {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", "*", "DefenderXDR", "")}, someApp(), true},
		"another namespace is named":            {[]v1alpha1.DefenderGrant{grantOf("partner", "noc", customerID, "DefenderXDR", "")}, someApp(), false},
		"a namespace that starts the same":      {[]v1alpha1.DefenderGrant{grantOf("partner", "soc-2 so", customerID, "DefenderXDR", "")}, someApp(), false},
		"the star names no namespace":           {[]v1alpha1.DefenderGrant{grantOf("partner", "*", customerID, "DefenderXDR", "")}, someApp(), false},
		"another tenant is named":               {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", strangerID, "DefenderXDR", "")}, someApp(), false},
		"another API is named":                  {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "MicrosoftGraph", "")}, someApp(), false},
		"a URI that starts the same":            {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, xdrURI+"/api", "")}, someApp(), false},
		"a URI with a slash is another one":     {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, xdrURI+"/", "")}, someApp(), false},
		"another app is named":                  {[]v1alpha1.DefenderGrant{grantOf("other", "soc", customerID, "DefenderXDR", "")}, someApp(), false},
		"no grant names all three together":     {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", strangerID, "DefenderXDR", ""), grantOf("partner", "noc", customerID, "DefenderXDR", ""), grantOf("partner", "soc", customerID, "MicrosoftGraph", "")}, someApp(), false},
		"one of several names it":               {[]v1alpha1.DefenderGrant{grantOf("partner", "noc", strangerID, "MicrosoftGraph", ""), grantOf("partner", "noc soc", strangerID+" "+customerID, "MicrosoftGraph DefenderXDR", "")}, someApp(), true},
		"the star does not name the home":       {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", "*", "DefenderXDR", "")}, home, false},
		"the home tenant is named by its ID":    {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "")}, home, true},
		"the star beside the home's ID":         {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", "*", "DefenderXDR", ""), grantOf("partner", "soc", customerID, "DefenderXDR", "")}, home, true},
		"another tenant's ID beside a home":     {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", strangerID, "DefenderXDR", "")}, home, false},
		"a preset that has no such resource":    {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderForEndpoint", "")}, someApp(), false},
		"an entry that is neither":              {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "*", "")}, someApp(), false},
		"a limit of roles still allows to ask":  {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "Alert.Read.All")}, someApp(), true},
		"the government's XDR is the same API?": {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "https://api-gov.security.microsoft.us", "")}, someApp(), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAllowance(someTenant(), row.app, row.grants, nil)
			if got := len(a.ceilings(xdrURI)) > 0; got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestInvariant4_NoResourceIsNeverAllowed(t *testing.T) {
	a := newAllowance(someTenant(), someApp(), []v1alpha1.DefenderGrant{grantOf("partner", "soc", "*", "DefenderXDR MicrosoftGraph DefenderForEndpoint", "")}, nil)
	if got := a.ceilings(""); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}

func TestInvariant4_AHeldTokenStaysOnlyIfOneGrantAllowsAllOfIt(t *testing.T) {
	former := map[string]*v1alpha1.DefenderApp{"former": {ObjectMeta: metav1.ObjectMeta{Name: "former"}, Spec: v1alpha1.DefenderAppSpec{ClientID: formerID}}}
	issuedToFormer := func(h *holding) { h.ClientID = formerID }
	twoRoles := func(h *holding) { h.Claims.Roles = []string{"Alert.Read.All", "Incident.Read.All"} }
	for name, row := range map[string]struct {
		grants []v1alpha1.DefenderGrant
		change func(*holding)
		want   bool
	}{
		"any role is allowed":                       {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "")}, nil, true},
		"its role is allowed":                       {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "Incident.Read.All")}, nil, true},
		"its role is not allowed":                   {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "Alert.Read.All")}, nil, false},
		"two grants allow one role each":            {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "Alert.Read.All"), grantOf("partner", "soc", customerID, "DefenderXDR", "Incident.Read.All")}, twoRoles, false},
		"one grant allows both roles":               {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "Alert.Read.All"), grantOf("partner", "soc", customerID, "DefenderXDR", "Incident.Read.All Alert.Read.All")}, twoRoles, true},
		"its API is not named any more":             {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "MicrosoftGraph", "")}, nil, false},
		"its tenant is not named any more":          {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", strangerID, "DefenderXDR", "")}, nil, false},
		"no grant is left":                          {nil, nil, false},
		"it was issued to a former app with grant":  {[]v1alpha1.DefenderGrant{grantOf("former", "soc", customerID, "DefenderXDR", "")}, issuedToFormer, true},
		"it was issued to an app that lost a grant": {[]v1alpha1.DefenderGrant{grantOf("former", "noc", customerID, "DefenderXDR", "")}, issuedToFormer, false},
		"the new app's grant covers it as well":     {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "")}, issuedToFormer, true},
		"a grant of an app that did not issue it":   {[]v1alpha1.DefenderGrant{grantOf("former", "soc", customerID, "DefenderXDR", "")}, nil, false},
		"an emptied Secret holds no roles":          {[]v1alpha1.DefenderGrant{grantOf("partner", "soc", customerID, "DefenderXDR", "Alert.Read.All")}, func(h *holding) { h.Claims, h.HasToken = nil, false }, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := goodHolding()
			if row.change != nil {
				row.change(h)
			}
			if got := newAllowance(someTenant(), someApp(), row.grants, former).permitsHeld(h); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// lot draws from a few names, so that grants and wishes often meet.
type lot struct{ *rand.Rand }

func (l lot) one(names ...string) string { return names[l.IntN(len(names))] }

func (l lot) some(names ...string) []string {
	var chosen []string
	for _, name := range names {
		if l.IntN(2) == 0 {
			chosen = append(chosen, name)
		}
	}
	return chosen
}

var (
	lotNamespaces = []string{"soc", "noc", "soc-2"}
	lotTenants    = []string{customerID, strangerID, "33333333-3333-3333-3333-333333333333"}
	lotApps       = []string{"partner", "former", "other"}
	lotRoles      = []string{"Incident.Read.All", "Alert.Read.All", "Machine.Read.All"}
	lotResources  = []string{xdrURI, graphURI, "https://api-gov.security.microsoft.us", "https://vault.example"}
	lotAPIs       = []string{"DefenderXDR", "MicrosoftGraph", xdrURI, "https://vault.example"}
)

// clientIDs of lotApps, by name.
var lotClients = map[string]string{"partner": partnerID, "former": formerID, "other": "00000000-0000-0000-0000-00000000000c"}

func (l lot) grants() []v1alpha1.DefenderGrant {
	list := make([]v1alpha1.DefenderGrant, l.IntN(4))
	for i := range list {
		tenants := l.some(lotTenants...)
		if l.IntN(3) == 0 {
			tenants = []string{"*"}
		}
		list[i] = v1alpha1.DefenderGrant{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("grant-%d", i)},
			Spec: v1alpha1.DefenderGrantSpec{
				App: l.one(lotApps...), Namespaces: l.some(lotNamespaces...), TenantIDs: tenants, APIs: l.some(lotAPIs...),
			},
		}
		if l.IntN(2) == 0 {
			list[i].Spec.MaxRoles = l.some(lotRoles...)
		}
	}
	return list
}

// question is whether a namespace may have a token, in the words of the design and not of the code.
type question struct {
	namespace, tenant, app, resource string
	home                             map[string]string // by app
}

// allowedBy answers it for one grant.
func (q question) allowedBy(grant v1alpha1.DefenderGrantSpec) bool {
	if grant.App != q.app {
		return false
	}
	inNamespace, forTenant, forAPI := false, false, false
	for _, n := range grant.Namespaces {
		inNamespace = inNamespace || n == q.namespace
	}
	for _, id := range grant.TenantIDs {
		forTenant = forTenant || id == q.tenant || id == "*" && q.home[q.app] != q.tenant
	}
	presets := map[string][]string{
		"DefenderXDR":    {"https://api.security.microsoft.com", "https://api-gov.security.microsoft.us"},
		"MicrosoftGraph": {"https://graph.microsoft.com", "https://graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn"},
	}
	for _, api := range grant.APIs {
		forAPI = forAPI || api == q.resource
		for _, uri := range presets[api] {
			forAPI = forAPI || uri == q.resource
		}
	}
	return inNamespace && forTenant && forAPI
}

// TestInvariant4_TenThousandCasesAgreeWithTheDesign compares the code with a second,
// naive reading of the rule: a namespace gets tokens only for the tenant IDs and APIs that
// a DefenderGrant names.
func TestInvariant4_TenThousandCasesAgreeWithTheDesign(t *testing.T) {
	l := lot{rand.New(rand.NewPCG(4, 2026))}
	asked, kept := 0, 0
	for i := range 10_000 {
		grants := l.grants()
		q := question{
			namespace: l.one(lotNamespaces...), tenant: l.one(lotTenants...), app: l.one(lotApps...), resource: l.one(lotResources...),
			home: map[string]string{},
		}
		tenant := someTenant()
		tenant.Namespace, tenant.Spec.TenantID, tenant.Spec.App = q.namespace, q.tenant, q.app
		apps := map[string]*v1alpha1.DefenderApp{}
		for _, name := range lotApps {
			if l.IntN(3) == 0 {
				q.home[name] = l.one(lotTenants...)
			}
			apps[name] = &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.DefenderAppSpec{ClientID: lotClients[name], HomeTenantID: q.home[name]}}
		}
		allow := newAllowance(tenant, apps[q.app], grants, apps)

		want := 0
		for _, grant := range grants {
			if q.allowedBy(grant.Spec) {
				want++
			}
		}
		if got := len(allow.ceilings(q.resource)); got != want {
			t.Fatalf("case %d: %d grants allow %+v, want %d: %+v", i, got, q, want, grants)
		}
		if want > 0 {
			asked++
		}

		held := goodHolding()
		issuer := l.one(lotApps...)
		held.ClientID, held.Resource, held.Claims.Roles = lotClients[issuer], q.resource, l.some(lotRoles...)
		stays := false
		for _, grant := range grants {
			for _, name := range []string{q.app, issuer} {
				asIssuer := q
				asIssuer.app = name
				fits := len(grant.Spec.MaxRoles) == 0
				if !fits {
					fits = !slices.ContainsFunc(held.Claims.Roles, func(r string) bool {
						return !strings.Contains(" "+strings.Join(grant.Spec.MaxRoles, " ")+" ", " "+r+" ")
					})
				}
				stays = stays || asIssuer.allowedBy(grant.Spec) && fits
			}
		}
		if got := allow.permitsHeld(held); got != stays {
			t.Fatalf("case %d: a token of %s with %v stays: %v, want %v: %+v, %+v", i, issuer, held.Claims.Roles, got, stays, q, grants)
		}
		if stays {
			kept++
		}
	}
	if asked < 500 || asked > 9500 || kept < 500 || kept > 9500 {
		t.Errorf("the cases are lopsided: %d may ask, %d may keep", asked, kept)
	}
}

// TestInvariant4_WhatIsPublishedMayStay: were it otherwise, a token would be emptied in the
// pass after its publication, for ever.
func TestInvariant4_WhatIsPublishedMayStay(t *testing.T) {
	l := lot{rand.New(rand.NewPCG(5, 2026))}
	gate := token.Gate{MinLifetime: time.Minute}
	published := 0
	for i := range 10_000 {
		seen := goodSight()
		grants := l.grants()
		allow := newAllowance(seen.tenant, seen.app, grants, nil)
		s := seen.newSlot(v1alpha1.TokenSpec{Name: "xdr", API: "DefenderXDR", RefreshAfterPercent: 50}, allow, nil, &remembered{})
		fresh := goodHolding()
		fresh.Claims.Roles = l.some(lotRoles...)
		if s.refusal != nil || !gateAdmits(gate, s.want, fresh.Claims) {
			continue
		}
		published++
		if again := seen.newSlot(s.spec, allow, fresh, &remembered{}); !again.permitted {
			t.Fatalf("case %d: a token with %v is published and revoked: %+v", i, fresh.Claims.Roles, grants)
		}
	}
	if published < 200 {
		t.Errorf("only %d tokens were published", published)
	}
}

// gateAdmits asks the gate about the roles of a token that is good otherwise.
func gateAdmits(gate token.Gate, want token.Want, claims *token.Claims) bool {
	_, fault := gate.Check(want, token.Issued{Token: jwtWith(claims.Roles), Lifetime: time.Hour, ReceivedAt: noon(), ServerTime: noon()})
	return fault == nil
}
