package entra

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Config describes apps and tenants in bulk, for a file or a control request.
type Config struct {
	Lifetime string         `json:"lifetime,omitempty"` // of all tokens, such as 90s
	Codes    Codes          `json:"codes,omitzero"`
	Apps     []AppConfig    `json:"apps,omitempty"`
	Tenants  []TenantConfig `json:"tenants,omitempty"`
	Series   []SeriesConfig `json:"series,omitempty"`
}

// AppConfig is an App with its credentials.
type AppConfig struct {
	App
	Secrets      []SecretConfig     `json:"secrets,omitempty"`
	Certificates []string           `json:"certificates,omitempty"` // PEM
	Federations  []FederationConfig `json:"federations,omitempty"`
	Disabled     bool               `json:"disabled,omitempty"`
}

// SecretConfig is a client secret.
type SecretConfig struct {
	Value   string    `json:"value"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

// FederationConfig is a Federation with its keys as PEM (PUBLIC KEY).
type FederationConfig struct {
	Issuer     string   `json:"issuer"`
	Subject    string   `json:"subject"`
	Audience   string   `json:"audience,omitempty"`
	PublicKeys []string `json:"publicKeys"`
}

// TenantConfig is a tenant and what was decided in it. Apps are named by client ID.
type TenantConfig struct {
	ID            string        `json:"id"`
	Consented     []string      `json:"consented,omitempty"`
	Grants        []GrantConfig `json:"grants,omitempty"`
	Unprovisioned []string      `json:"unprovisioned,omitempty"` // resources
	Disabled      []string      `json:"disabled,omitempty"`      // apps
	Lifetime      string        `json:"lifetime,omitempty"`
}

// GrantConfig sets exact roles, see Grant.
type GrantConfig struct {
	ClientID string   `json:"clientID"`
	Resource string   `json:"resource"`
	Roles    []string `json:"roles,omitempty"`
}

// SeriesConfig makes Count tenants at once; TenantID computes their identifiers, from 0.
type SeriesConfig struct {
	Count     int      `json:"count"`
	Prefix    string   `json:"prefix,omitempty"`
	Consented []string `json:"consented,omitempty"`
}

// Configure applies a description in order: lifetime and codes, apps, tenants, series. It stops at the first part that
// is not valid; what came before stays.
func (e *Emulator) Configure(c Config) error {
	if err := e.configureLifetime("", c.Lifetime); err != nil {
		return err
	}
	e.Answer(c.Codes)
	for _, a := range c.Apps {
		if err := e.configureApp(a); err != nil {
			return fmt.Errorf("app %q: %w", a.ClientID, err)
		}
	}
	for _, t := range c.Tenants {
		if err := e.configureTenant(t); err != nil {
			return fmt.Errorf("tenant %q: %w", t.ID, err)
		}
	}
	for _, s := range c.Series {
		for i := range s.Count {
			id := TenantID(s.Prefix, i)
			e.AddTenant(id)
			for _, clientID := range s.Consented {
				e.Consent(id, clientID)
			}
		}
	}
	return nil
}

func (e *Emulator) configureApp(a AppConfig) error {
	if a.ClientID == "" {
		return errors.New("clientID is missing")
	}
	e.RegisterApp(a.App)
	e.DisableApp(a.ClientID, a.Disabled)
	for _, s := range a.Secrets {
		e.AddSecret(a.ClientID, s.Value, s.Expires)
	}
	for _, text := range a.Certificates {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return errors.New("a certificate is no PEM")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("parse certificate: %w", err)
		}
		e.AddCertificate(a.ClientID, cert)
	}
	for _, f := range a.Federations {
		keys, err := publicKeys(f.PublicKeys)
		if err != nil {
			return err
		}
		e.AddFederation(a.ClientID, Federation{Issuer: f.Issuer, Subject: f.Subject, Audience: f.Audience, Keys: keys})
	}
	return nil
}

func publicKeys(texts []string) ([]*rsa.PublicKey, error) {
	var keys []*rsa.PublicKey
	for _, text := range texts {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, errors.New("a public key is no PEM")
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse public key: %w", err)
		}
		key, ok := parsed.(*rsa.PublicKey)
		if !ok {
			return nil, errors.New("a public key is not RSA")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (e *Emulator) configureTenant(t TenantConfig) error {
	if t.ID == "" {
		return errors.New("id is missing")
	}
	e.AddTenant(t.ID)
	for _, clientID := range t.Consented {
		e.Consent(t.ID, clientID)
	}
	for _, g := range t.Grants {
		e.Grant(t.ID, g.ClientID, g.Resource, g.Roles...)
	}
	for _, resource := range t.Unprovisioned {
		e.Unprovision(t.ID, resource)
	}
	for _, clientID := range t.Disabled {
		e.DisablePrincipal(t.ID, clientID, true)
	}
	return e.configureLifetime(t.ID, t.Lifetime)
}

// configureLifetime leaves things as they are when the text is empty.
func (e *Emulator) configureLifetime(tenantID, text string) error {
	if text == "" {
		return nil
	}
	lifetime, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	if lifetime < time.Second {
		return fmt.Errorf("a lifetime is at least one second: %s", text)
	}
	e.SetLifetime(tenantID, lifetime)
	return nil
}
