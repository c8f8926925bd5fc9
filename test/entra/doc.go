// Package entra emulates Microsoft Entra ID and the Defender APIs behind it: what a service sees that
// gets app-only tokens for many customer tenants. Tests use the package, people use cmd/entra-emulator.
//
// It speaks HTTPS with a trust root of its own and is faithful where clients look: discovery, both token
// endpoints, client secrets and client assertions that are really verified, AADSTS error bodies, consent
// pages that redirect as Entra does, signed tokens, and APIs that accept exactly those tokens.
//
//	e, err := entra.Start(entra.Options{Now: clock.Now, Marker: "canary-4711"})
//	defer e.Close()
//	e.RegisterApp(entra.App{
//		ClientID:     clientID,
//		DisplayName:  "Partner",
//		Permissions:  map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}},
//		RedirectURIs: []string{"https://operator.example/consent"},
//	})
//	e.AddSecret(clientID, "s3cret", clock.Now().Add(time.Hour))
//	e.AddTenant(tenantID)           // exists, has not consented: AADSTS7000229
//	e.Consent(tenantID, clientID)   // an administrator accepts: tokens carry the roles
//	e.Inject(tenantID, entra.Fault{Code: 90055, RetryAfter: "60"}, 2)
//
// A client reaches it at URL with CAPEM as trust root, or with HTTPClient, which also answers under the real
// host names (login.microsoftonline.com, api.security.microsoft.com, …).
//
// State belongs to tenants and apps (RegisterApp, AddSecret, Consent, Grant, Unprovision, …); a tenant or app
// that is named for the first time is created. Faults (Inject, Clear, Down) concern the wire and the answers.
// The ledger (Requests, Tokens, CountRequests, Await) remembers what was asked and issued, never a secret.
//
// All methods of Emulator may be called from several goroutines.
package entra
