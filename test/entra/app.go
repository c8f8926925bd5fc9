package entra

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// App is an application registration as its owner describes it.
type App struct {
	ClientID     string              `json:"clientID"`
	DisplayName  string              `json:"displayName,omitempty"`
	HomeTenantID string              `json:"homeTenantID,omitempty"` // the provider's own tenant; it is created, with a service principal
	Permissions  map[string][]string `json:"permissions,omitempty"`  // resource URI to the app roles that the registration requires
	RedirectURIs []string            `json:"redirectURIs,omitempty"` // compared byte by byte, as Entra does
}

// registration is an App with its credentials.
type registration struct {
	App          // Permissions are kept under canonical resources, roles sorted
	secrets      []secret
	certificates []*x509.Certificate
	federations  []Federation
	disabled     bool
}

// secret is kept as a digest: nothing in the emulator can print what it does not have.
type secret struct {
	digest  [sha256.Size]byte
	expires time.Time
}

// RegisterApp adds or redefines an application. Credentials of an app that exists stay.
func (e *Emulator) RegisterApp(a App) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.app(a.ClientID)
	a.ClientID, a.HomeTenantID = r.ClientID, strings.ToLower(a.HomeTenantID)
	permissions := a.Permissions
	a.Permissions = map[string][]string{}
	a.RedirectURIs = slices.Clone(a.RedirectURIs)
	r.App = a
	for resource, roles := range permissions {
		d.require(r, resource, roles)
	}
	if a.HomeTenantID != "" {
		d.tenant(a.HomeTenantID).principal(a.ClientID)
	}
}

// AddSecret makes value a valid client secret until expires; the zero time means for ever.
func (e *Emulator) AddSecret(clientID, value string, expires time.Time) {
	e.editApp(clientID, func(r *registration) {
		r.secrets = append(r.secrets, secret{sha256.Sum256([]byte(value)), expires})
	})
}

// RemoveSecret makes value invalid: AADSTS7000215 from now on.
func (e *Emulator) RemoveSecret(clientID, value string) {
	digest := sha256.Sum256([]byte(value))
	e.editApp(clientID, func(r *registration) {
		r.secrets = slices.DeleteFunc(r.secrets, func(s secret) bool { return s.digest == digest })
	})
}

// AddCertificate registers a certificate with an RSA key, whose owner may sign client assertions.
func (e *Emulator) AddCertificate(clientID string, cert *x509.Certificate) {
	e.editApp(clientID, func(r *registration) { r.certificates = append(r.certificates, cert) })
}

// RemoveCertificate ends the use of a certificate: AADSTS700027 from now on.
func (e *Emulator) RemoveCertificate(clientID string, cert *x509.Certificate) {
	e.editApp(clientID, func(r *registration) {
		r.certificates = slices.DeleteFunc(r.certificates, cert.Equal)
	})
}

// AddPermission makes the registration require more roles. Tenants that consented before do not have them: they
// must consent again.
func (e *Emulator) AddPermission(clientID, resource string, roles ...string) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	d.require(d.app(clientID), resource, roles)
}

// DisableApp blocks or unblocks the application in all tenants (AADSTS7000112).
func (e *Emulator) DisableApp(clientID string, disabled bool) {
	e.editApp(clientID, func(r *registration) { r.disabled = disabled })
}

func (e *Emulator) editApp(clientID string, edit func(*registration)) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	edit(d.app(clientID))
}

// roleSet sorts roles and drops repetitions, so that claims and pages have one order.
func roleSet(roles []string) []string {
	set := slices.Clone(roles)
	slices.Sort(set)
	return slices.Compact(set)
}
