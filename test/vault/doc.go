// Package vault emulates Azure Key Vault's REST API over HTTPS, as far as signing in with what is kept there
// needs it: a certificate is read, its key signs, a secret is read. Keys never leave it.
//
// It is faithful where clients look: it wants a token of the emulated Entra ID for vaults of the right tenant and
// challenges whoever has none, it knows who may do what, keeps all versions of an object, and answers with error
// bodies in Key Vault's shape.
//
//	v, err := vault.Start(vault.Options{Entra: e, TenantID: home})
//	defer v.Close()
//	cert := v.MakeCertificate("partner", time.Now().Add(time.Hour))
//	v.Allow(clientID, vault.Read, vault.Sign)
//	v.Fail(http.StatusServiceUnavailable, 2) // the next two requests
//
// It shares the trust root of the emulated Entra ID. All methods may be called from several goroutines.
package vault
