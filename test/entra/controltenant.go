package entra

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// controlApps registers one app.
func (e *Emulator) controlApps(r *http.Request) (any, error) {
	var a AppConfig
	if err := read(r, &a); err != nil {
		return nil, err
	}
	return nil, e.Configure(Config{Apps: []AppConfig{a}})
}

// controlApp changes an app: add-secret, remove-secret, add-permission, disable, enable.
func (e *Emulator) controlApp(r *http.Request) (any, error) {
	var in order
	if err := read(r, &in); err != nil {
		return nil, err
	}
	clientID, err := e.theApp(r.PathValue("app"))
	if err != nil {
		return nil, err
	}
	switch action := r.PathValue("action"); action {
	case "add-secret":
		e.AddSecret(clientID, in.Value, in.Expires)
	case "remove-secret":
		e.RemoveSecret(clientID, in.Value)
	case "add-permission":
		e.AddPermission(clientID, in.Resource, in.Roles...)
	case "disable", "enable":
		e.DisableApp(clientID, action == "disable")
	default:
		return nil, unknown{"action " + action}
	}
	return nil, nil
}

// controlTenants makes tenants: a list, or a series that the answer names by its first and last.
func (e *Emulator) controlTenants(r *http.Request) (any, error) {
	var in struct {
		SeriesConfig
		Tenants []TenantConfig `json:"tenants"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := e.Configure(Config{Tenants: in.Tenants, Series: []SeriesConfig{in.SeriesConfig}}); err != nil {
		return nil, err
	}
	if in.Count == 0 {
		return nil, nil
	}
	return map[string]string{"first": TenantID(in.Prefix, 0), "last": TenantID(in.Prefix, in.Count-1)}, nil
}

// controlTenant does one thing to one tenant, or to all of them.
func (e *Emulator) controlTenant(r *http.Request) (any, error) {
	var in order
	if err := read(r, &in); err != nil {
		return nil, err
	}
	id, action := strings.ToLower(r.PathValue("id")), r.PathValue("action")
	ids := []string{id}
	if id == everyTenant {
		id, ids = "", e.tenantIDs()
	} else if !slices.Contains(e.tenantIDs(), id) {
		return nil, unknown{"tenant " + id}
	}
	switch action {
	case "fault":
		e.Inject(id, in.Fault, in.Times)
		return nil, nil
	case "clear":
		e.Clear(id)
		return nil, nil
	case "lifetime":
		if in.Lifetime == "" {
			return nil, fmt.Errorf("lifetime is needed, such as 90s")
		}
		return nil, e.configureLifetime(id, in.Lifetime)
	}
	return nil, e.decideIn(ids, action, in)
}

// decideIn does what an administrator of each tenant could do.
func (e *Emulator) decideIn(ids []string, action string, in order) error {
	needsApp := action != "provision" && action != "unprovision"
	clientID, err := e.theApp(in.ClientID)
	if err != nil && needsApp {
		return err
	}
	if in.Resource == "" && (!needsApp || action == "grant") {
		return fmt.Errorf("resource is needed")
	}
	for _, id := range ids {
		switch action {
		case "consent":
			e.Consent(id, clientID)
		case "withdraw":
			e.Withdraw(id, clientID)
		case "grant":
			e.Grant(id, clientID, in.Resource, in.Roles...)
		case "disable", "enable":
			e.DisablePrincipal(id, clientID, action == "disable")
		case "provision":
			e.Provision(id, in.Resource)
		case "unprovision":
			e.Unprovision(id, in.Resource)
		default:
			return unknown{"action " + action}
		}
	}
	return nil
}

// tenantIDs are sorted, for pages.
func (e *Emulator) tenantIDs() []string {
	e.directory.mu.RLock()
	defer e.directory.mu.RUnlock()
	return slices.Sorted(maps.Keys(e.directory.tenants))
}

// tenantState is what people want to know of a tenant.
type tenantState struct {
	ID            string         `json:"id"`
	Lifetime      string         `json:"lifetime"`
	Unprovisioned []string       `json:"unprovisioned,omitempty"`
	Apps          []consentState `json:"apps"`
	Faults        []Kind         `json:"faults,omitempty"` // kinds of request that go wrong
}

// consentState is one app in one tenant.
type consentState struct {
	ClientID string              `json:"clientID"`
	Name     string              `json:"name,omitempty"`
	State    string              `json:"state"` // none, partial, full or disabled
	Roles    map[string][]string `json:"roles,omitempty"`
	Missing  []string            `json:"missing,omitempty"` // roles that the registration requires and the tenant did not grant
}

func (e *Emulator) controlTenantState(r *http.Request) (any, error) {
	state, ok := e.tenantState(strings.ToLower(r.PathValue("id")))
	if !ok {
		return nil, unknown{"tenant " + r.PathValue("id")}
	}
	return state, nil
}

func (e *Emulator) tenantState(id string) (tenantState, bool) {
	faults := e.faults.list(id)
	d := e.directory
	d.mu.RLock()
	defer d.mu.RUnlock()
	t := d.tenants[id]
	if t == nil {
		return tenantState{}, false
	}
	s := tenantState{
		ID: id, Lifetime: d.lifetimeOf(t).String(), Faults: faults,
		Unprovisioned: slices.Sorted(maps.Keys(t.unprovisioned)), Apps: []consentState{},
	}
	for _, clientID := range slices.Sorted(maps.Keys(d.apps)) {
		s.Apps = append(s.Apps, consentOf(d.apps[clientID], t.principals[clientID]))
	}
	return s, true
}

func consentOf(app *registration, p *principal) consentState {
	s := consentState{ClientID: app.ClientID, Name: app.DisplayName, State: "none"}
	if p == nil {
		return s
	}
	s.Roles, s.State = maps.Clone(p.roles), "full"
	for _, resource := range slices.Sorted(maps.Keys(app.Permissions)) {
		for _, role := range app.Permissions[resource] {
			if !slices.Contains(p.roles[resource], role) {
				s.Missing = append(s.Missing, role)
				s.State = "partial"
			}
		}
	}
	if p.disabled || app.disabled {
		s.State = "disabled"
	}
	return s
}
