package entra

import (
	"fmt"
	"strings"
	"time"
)

const prefixDigits = 8

// TenantID is the identifier of the i-th tenant of a series, with up to eight hexadecimal digits as its prefix.
// Load tests and the control API's bulk creation share it.
func TenantID(prefix string, i int) string {
	zeros := strings.Repeat("0", max(0, prefixDigits-len(prefix)))
	return fmt.Sprintf("%s%s-0000-4000-8000-%012d", zeros, strings.ToLower(prefix), i)
}

// AddTenant makes a tenant exist. It has every resource and no service principal of any app.
func (e *Emulator) AddTenant(id string) { e.editTenant(id, func(*tenant) {}) }

// RemoveTenant makes a tenant unknown: AADSTS90002 from now on.
func (e *Emulator) RemoveTenant(id string) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.tenants, strings.ToLower(id))
}

// Consent lets an administrator of the tenant accept all permissions that the registration requires now.
func (e *Emulator) Consent(tenantID, clientID string) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tenant(tenantID).accept(d.app(clientID))
}

// Withdraw deletes the app's service principal, and all that was granted to it. Tokens issued before stay good.
func (e *Emulator) Withdraw(tenantID, clientID string) {
	e.editTenant(tenantID, func(t *tenant) { delete(t.principals, strings.ToLower(clientID)) })
}

// Grant sets exactly these roles for the resource and makes the service principal if there is none. Without roles
// tokens are issued that have no roles claim.
func (e *Emulator) Grant(tenantID, clientID, resource string, roles ...string) {
	e.editTenant(tenantID, func(t *tenant) {
		t.principal(clientID).roles[canonicalResource(resource)] = roleSet(roles)
	})
}

// DisablePrincipal blocks or unblocks the app in one tenant (AADSTS7000112); without a service principal it makes one.
func (e *Emulator) DisablePrincipal(tenantID, clientID string, disabled bool) {
	e.editTenant(tenantID, func(t *tenant) { t.principal(clientID).disabled = disabled })
}

// Unprovision takes the resource away from the tenant, as if it had not subscribed to it: AADSTS500011, or 650052 if
// Answer says so.
func (e *Emulator) Unprovision(tenantID, resource string) {
	e.editTenant(tenantID, func(t *tenant) {
		if t.unprovisioned == nil {
			t.unprovisioned = map[string]bool{}
		}
		t.unprovisioned[canonicalResource(resource)] = true
	})
}

// Provision undoes Unprovision.
func (e *Emulator) Provision(tenantID, resource string) {
	e.editTenant(tenantID, func(t *tenant) { delete(t.unprovisioned, canonicalResource(resource)) })
}

// SetLifetime sets how long new tokens of the tenant are good, in whole seconds from now on. With no tenant it
// applies to all, also to those that had a lifetime of their own.
func (e *Emulator) SetLifetime(tenantID string, lifetime time.Duration) {
	if tenantID != "" {
		e.editTenant(tenantID, func(t *tenant) { t.lifetime = lifetime })
		return
	}
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lifetime = lifetime
	for _, t := range d.tenants {
		t.lifetime = 0
	}
}

// Answer chooses the codes for situations that Entra has named differently over time.
func (e *Emulator) Answer(c Codes) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.MissingPrincipal != 0 {
		d.codes.MissingPrincipal = c.MissingPrincipal
	}
	if c.Unprovisioned != 0 {
		d.codes.Unprovisioned = c.Unprovisioned
	}
}

func (e *Emulator) editTenant(id string, edit func(*tenant)) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	edit(d.tenant(id))
}
