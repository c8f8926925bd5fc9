// Package vault uses what the platform team keeps in Azure Key Vault: a key that signs client
// assertions and never leaves the vault, or a client secret.
//
// A vault is reached with a token for vaults of the application's home tenant, obtained with
// another credential of the same application. The token goes to the one host that the cloud's
// table has for the vault's name. Challenges are not answered: a vault, or whoever sits in its
// place, has no say in which token is sent.
//
// The SDK sees good answers only. Every other answer is read, put into a sentence of our own
// and dropped: its log and its errors would repeat it.
//
// Sources: learn.microsoft.com/rest/api/keyvault, learn.microsoft.com/azure/key-vault/general/rbac-guide,
// learn.microsoft.com/entra/identity-platform/certificate-credentials.
package vault
