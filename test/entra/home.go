package entra

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const homePageSize = 50

// namedFault is a fault that a person can choose on the home page.
type namedFault struct {
	Name  string
	Fault Fault
}

func namedFaults() []namedFault {
	return []namedFault{
		{"throttled (AADSTS90055, Retry-After 60)", Fault{Code: 90055, RetryAfter: "60"}},
		{"unavailable (AADSTS90033)", Fault{Code: codeServiceUnavailable}},
		{"wrong secret (AADSTS7000215)", Fault{Code: codeWrongSecret}},
		{"expired secret (AADSTS7000222)", Fault{Code: codeExpiredSecret}},
		{"Conditional Access (AADSTS53003)", Fault{Code: 53003}},
		{"HTML error page (502)", Fault{Status: http.StatusBadGateway, Body: "<html><body>Bad gateway</body></html>"}},
		{"no answer", Fault{Hang: true}},
		{"slow (5 s)", Fault{Delay: 5 * time.Second}},
		{"connection reset", Fault{Reset: true}},
		{"cut body", Fault{Truncate: 100}},
		{"token without roles", Fault{Claims: map[string]any{"roles": nil}}},
		{"token of another tenant", Fault{Claims: map[string]any{"tid": TenantID("bad", 0)}}},
		{"token of a person", Fault{Claims: map[string]any{"idtyp": "user", "scp": "Incident.Read", "roles": nil}}},
		{"token that is no JWT", Fault{Opaque: true}},
		{"clock one hour ahead", Fault{Skew: time.Hour}},
	}
}

// homeView is what the home page shows.
type homeView struct {
	Base, Query string
	Stats       stats
	Apps        []homeApp
	Tenants     []tenantState
	Found       int
	Previous    int // page number, from 1; 0 for none
	Next        int
	Faults      []namedFault
}

type homeApp struct {
	App
	Links []string // to consent, for any tenant
}

func (e *Emulator) home(w http.ResponseWriter, r *http.Request) {
	query := strings.ToLower(r.URL.Query().Get("q"))
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || page < 1 {
		page = 1
	}
	view := homeView{Base: "https://" + r.Host, Query: query, Stats: e.stats(), Faults: namedFaults()}
	view.Apps = e.homeApps(view.Base)
	ids := slices.DeleteFunc(e.tenantIDs(), func(id string) bool { return !strings.Contains(id, query) })
	view.Found = len(ids)
	from := min((page-1)*homePageSize, len(ids))
	to := min(from+homePageSize, len(ids))
	if from > 0 {
		view.Previous = page - 1
	}
	if to < len(ids) {
		view.Next = page + 1
	}
	for _, id := range ids[from:to] {
		if state, ok := e.tenantState(id); ok {
			view.Tenants = append(view.Tenants, state)
		}
	}
	a := e.page(http.StatusOK, "home.html", view)
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (e *Emulator) homeApps(base string) []homeApp {
	e.directory.mu.RLock()
	defer e.directory.mu.RUnlock()
	var apps []homeApp
	for _, r := range e.directory.apps {
		q := url.Values{"client_id": {r.ClientID}}
		v1 := base + "/common/adminconsent?" + q.Encode()
		seed := base + "/common/oauth2/authorize?prompt=consent&response_type=code&sso_reload=true&" + q.Encode()
		q.Set("scope", DefenderXDR+defaultScope)
		apps = append(apps, homeApp{r.copy(), []string{base + "/organizations/v2.0/adminconsent?" + q.Encode(), v1, seed}})
	}
	slices.SortFunc(apps, func(a, b homeApp) int { return strings.Compare(a.ClientID, b.ClientID) })
	return apps
}

// homeAction carries out one button and shows the page again. A page of another site must not press it.
func (e *Emulator) homeAction(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
	tenantID, clientID := strings.TrimSpace(r.FormValue("tenant")), r.FormValue("app")
	if tenantID == "" {
		http.Error(w, "A tenant ID is needed.", http.StatusBadRequest)
		return
	}
	switch r.FormValue("action") {
	case "add":
		e.AddTenant(tenantID)
	case "remove":
		e.RemoveTenant(tenantID)
	case "consent":
		e.Consent(tenantID, clientID)
	case "withdraw":
		e.Withdraw(tenantID, clientID)
	case "clear":
		e.Clear(tenantID)
	case "fault":
		for _, f := range namedFaults() {
			if f.Name == r.FormValue("fault") {
				e.Inject(tenantID, f.Fault, 0)
			}
		}
	default:
		http.Error(w, "There is no such action.", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, "/?q="+url.QueryEscape(r.FormValue("q")), http.StatusSeeOther)
}
