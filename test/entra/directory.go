package entra

import (
	"maps"
	"strings"
	"sync"
	"time"
)

// Codes chooses between answers that Entra has given at different times. Zero leaves a choice as it is.
type Codes struct {
	// MissingPrincipal is the AADSTS code for a tenant without the app's service principal: 7000229 (default) or 700016.
	MissingPrincipal int `json:"missingPrincipal,omitempty"`
	// Unprovisioned is the AADSTS code for a tenant without the resource: 500011 (default) or 650052.
	Unprovisioned int `json:"unprovisioned,omitempty"`
}

// directory is all that Entra knows. Keys are lower case.
type directory struct {
	mu       sync.RWMutex
	apps     map[string]*registration
	tenants  map[string]*tenant
	named    map[string]bool // resources that some registration names
	lifetime time.Duration
	codes    Codes
}

// tenant is one customer's directory. Its maps are made when needed: ten thousand of them must stay cheap.
type tenant struct {
	id            string
	principals    map[string]*principal // by client ID
	unprovisioned map[string]bool       // by canonical resource
	lifetime      time.Duration         // 0: that of the directory
}

// principal is the app's service principal in one tenant, with the roles that an administrator granted.
type principal struct {
	roles    map[string][]string // by canonical resource, sorted
	disabled bool
}

func newDirectory(lifetime time.Duration) *directory {
	return &directory{
		apps:     map[string]*registration{},
		tenants:  map[string]*tenant{},
		named:    map[string]bool{},
		lifetime: lifetime,
		codes:    Codes{MissingPrincipal: codeMissingPrincipal, Unprovisioned: codeResourceNotFound},
	}
}

// app finds or makes a registration; it needs mu.
func (d *directory) app(clientID string) *registration {
	key := strings.ToLower(clientID)
	r := d.apps[key]
	if r == nil {
		r = &registration{App: App{ClientID: key, Permissions: map[string][]string{}}}
		d.apps[key] = r
	}
	return r
}

// require needs mu.
func (d *directory) require(r *registration, resource string, roles []string) {
	key := canonicalResource(resource)
	d.named[key] = true
	r.Permissions[key] = roleSet(append(r.Permissions[key], roles...))
}

// tenant finds or makes a tenant; it needs mu.
func (d *directory) tenant(id string) *tenant {
	key := strings.ToLower(id)
	t := d.tenants[key]
	if t == nil {
		t = &tenant{id: key}
		d.tenants[key] = t
	}
	return t
}

// has tells whether the tenant could issue a token for the resource; it needs mu.
func (d *directory) has(t *tenant, resource string) bool {
	return (builtIn(resource) || d.named[resource]) && !t.unprovisioned[resource]
}

// lifetimeOf needs mu.
func (d *directory) lifetimeOf(t *tenant) time.Duration {
	if t.lifetime != 0 {
		return t.lifetime
	}
	return d.lifetime
}

// principal finds or makes the service principal of an app.
func (t *tenant) principal(clientID string) *principal {
	key := strings.ToLower(clientID)
	if t.principals == nil {
		t.principals = map[string]*principal{}
	}
	p := t.principals[key]
	if p == nil {
		p = &principal{roles: map[string][]string{}}
		t.principals[key] = p
	}
	return p
}

// accept grants what the registration requires, no more and no less, as a new consent does.
func (t *tenant) accept(r *registration) {
	p := t.principal(r.ClientID)
	p.roles = maps.Clone(r.Permissions)
}
