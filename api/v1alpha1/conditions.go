package v1alpha1

// The conditions of a DefenderTenant. All but APIRetiring are always present.
const (
	// ConditionReady is True while every required Secret holds a token that works: a
	// workload can use it now. It summarises the others. On a DefenderApp it is True
	// while at least one credential can be used.
	ConditionReady = "Ready"
	// ConditionConsentGranted is True while the customer's consent covers every required
	// role, Unknown while that cannot be told.
	ConditionConsentGranted = "ConsentGranted"
	// ConditionDegraded is True while tokens still work but their renewal does not
	// (negative polarity: False is good).
	ConditionDegraded = "Degraded"
	// ConditionStalled is True while somebody must edit something in the cluster
	// (negative polarity; the condition that kstatus reads as failed). Waiting for a
	// customer's consent is not that.
	ConditionStalled = "Stalled"
	// ConditionAPIRetiring is True from 180 days before an API in use ends, and absent
	// otherwise (negative polarity).
	ConditionAPIRetiring = "APIRetiring"
)

// The further conditions of a DefenderApp.
const (
	// ConditionCredentialAccepted is True while Entra ID accepts a credential of the
	// application, Unknown until one was used.
	ConditionCredentialAccepted = "CredentialAccepted"
	// ConditionEntraReachable is True while the login host of the application answers, False
	// while the operator holds requests back because it does not, or because it asked for fewer;
	// Unknown until it was asked.
	ConditionEntraReachable = "EntraReachable"
	// ConditionCredentialExpiring is True from 30 days before a credential ends (negative polarity).
	ConditionCredentialExpiring = "CredentialExpiring"
	// ConditionTenantsShared is True while DefenderTenants in more than one namespace want the same
	// customer, and absent otherwise (negative polarity). No DefenderTenant tells of it.
	ConditionTenantsShared = "TenantsShared"
)

// Reasons that say all is well, or that it is about to be.
const (
	// ReasonTokensReady: every required token works.
	ReasonTokensReady = "TokensReady"
	// ReasonConsentGranted: the customer's consent covers every required role.
	ReasonConsentGranted = "ConsentGranted"
	// ReasonPending: not known yet; the first attempt is under way.
	ReasonPending = "Pending"
	// ReasonAsExpected: nothing to report, for conditions of negative polarity.
	ReasonAsExpected = "AsExpected"
	// ReasonCredentialAccepted: Entra ID accepts the credential.
	ReasonCredentialAccepted = "CredentialAccepted"
	// ReasonCredentialReady: a credential of the application can be used.
	ReasonCredentialReady = "CredentialReady"
)

// Reasons that a customer's administrator can mend. They are found by asking Entra ID
// again and need no change in the cluster.
const (
	// ReasonConsentRequired: nobody of the customer has consented yet.
	ReasonConsentRequired = "ConsentRequired"
	// ReasonConsentWithdrawn: consent was there and is gone.
	ReasonConsentWithdrawn = "ConsentWithdrawn"
	// ReasonRolesMissing: the token lacks roles that the spec requires.
	ReasonRolesMissing = "RolesMissing"
	// ReasonResourceNotProvisioned: the customer's tenant has no such API, most often for
	// want of a licence.
	ReasonResourceNotProvisioned = "ResourceNotProvisioned"
	// ReasonDisabledByTenant: an administrator of the customer disabled the application.
	ReasonDisabledByTenant = "DisabledByTenant"
	// ReasonBlockedByPolicy: a policy of the customer blocks the application.
	ReasonBlockedByPolicy = "BlockedByPolicy"
)

// Reasons that mend themselves, or are mended outside the cluster; the operator tries again.
const (
	// ReasonEntraUnavailable: Entra ID cannot be reached or answers with an error of its own.
	ReasonEntraUnavailable = "EntraUnavailable"
	// ReasonEntraReachable: the login host answers.
	ReasonEntraReachable = "EntraReachable"
	// ReasonVaultUnavailable: Azure Key Vault cannot be reached or answers with an error of its own.
	ReasonVaultUnavailable = "VaultUnavailable"
	// ReasonThrottled: Entra ID asks for fewer requests.
	ReasonThrottled = "Throttled"
	// ReasonRefreshFailing: the token still works, but its renewal fails or is overdue.
	ReasonRefreshFailing = "RefreshFailing"
	// ReasonTokenExpired: the token ended without a successor.
	ReasonTokenExpired = "TokenExpired"
	// ReasonTokenRejected: Entra ID's answer did not pass the checks before publishing.
	ReasonTokenRejected = "TokenRejected"
	// ReasonTokenOpaque: the token is no JWT, so that nothing about it can be checked.
	ReasonTokenOpaque = "TokenOpaque"
	// ReasonAnswerInvalid: the answer from the login host is not what Entra ID sends.
	ReasonAnswerInvalid = "AnswerInvalid"
	// ReasonProxyRefused: a proxy between the operator and Entra ID refuses.
	ReasonProxyRefused = "ProxyRefused"
	// ReasonTLSUntrusted: the certificate of the login host is not trusted.
	ReasonTLSUntrusted = "TLSUntrusted"
	// ReasonClockSkew: the clocks of the operator and of Entra ID disagree.
	ReasonClockSkew = "ClockSkew"
	// ReasonWriteFailed: the API server refused or did not answer a write.
	ReasonWriteFailed = "WriteFailed"
	// ReasonOverBudget: this customer made more attempts than its share; the next one waits.
	ReasonOverBudget = "OverBudget"
)

// Reasons that concern the application and its credentials. The platform team mends them.
const (
	// ReasonAppNotFound: the DefenderApp does not exist.
	ReasonAppNotFound = "AppNotFound"
	// ReasonCredentialRefused: Entra ID refuses the credential.
	ReasonCredentialRefused = "CredentialRefused"
	// ReasonFederationMismatch: no federated credential of the application fits the operator's
	// service-account token.
	ReasonFederationMismatch = "FederationMismatch"
	// ReasonCertificateExpired: Entra ID refuses the certificate, whose own end has passed.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonCredentialUnusable: no credential can be used: what it is kept in is missing, empty or malformed.
	ReasonCredentialUnusable = "CredentialUnusable"
	// ReasonVaultRefused: Azure Key Vault does not let the operator use what the DefenderApp names.
	ReasonVaultRefused = "VaultRefused"
	// ReasonCredentialOnTrial: a new version of the credential waits for Entra ID's opinion,
	// while the one before it is in use.
	ReasonCredentialOnTrial = "CredentialOnTrial"
	// ReasonCredentialExpiring: a credential ends soon.
	ReasonCredentialExpiring = "CredentialExpiring"
	// ReasonAppDisabled: Microsoft or the platform team disabled the application.
	ReasonAppDisabled = "AppDisabled"
	// ReasonAppMisconfigured: the application registration does not fit.
	ReasonAppMisconfigured = "AppMisconfigured"
	// ReasonSuspended: requests are suspended, on the DefenderTenant or its DefenderApp.
	ReasonSuspended = "Suspended"
)

// Reasons that need an edit in the cluster.
const (
	// ReasonNoSecretRight: the operator lacks a right to the Secrets of the namespace; the message
	// has the RoleBinding that gives it.
	ReasonNoSecretRight = "NoSecretRight"
	// ReasonAccessDenied: no DefenderGrant allows what the DefenderTenant asks for.
	ReasonAccessDenied = "AccessDenied"
	// ReasonSecretConflict: the Secret's name is taken by somebody else's Secret.
	ReasonSecretConflict = "SecretConflict"
	// ReasonTenantNotFound: Entra ID knows no such tenant in this cloud.
	ReasonTenantNotFound = "TenantNotFound"
	// ReasonWrongCloud: the tenant belongs to another cloud.
	ReasonWrongCloud = "WrongCloud"
	// ReasonRegionNotSupported: the API has no host for the region in this cloud.
	ReasonRegionNotSupported = "RegionNotSupported"
	// ReasonResourceInvalid: the resource is no https URI.
	ReasonResourceInvalid = "ResourceInvalid"
	// ReasonRoleMisspelled: a required role does not exist in the API, but one of nearly the same name does.
	ReasonRoleMisspelled = "RoleMisspelled"
	// ReasonRolesExceeded: the token carries roles beyond maxRoles of the DefenderGrant.
	ReasonRolesExceeded = "RolesExceeded"
)

// Reasons of the condition TenantsShared.
const (
	// ReasonSeveralNamespaces: DefenderTenants in several namespaces want the same customer.
	ReasonSeveralNamespaces = "SeveralNamespaces"
)

// Reasons of the condition APIRetiring.
const (
	// ReasonRetirementAnnounced: Microsoft announced the end of an API in use.
	ReasonRetirementAnnounced = "RetirementAnnounced"
)

// Reasons of events that no condition has. All other events carry the reason of the
// condition that changed.
const (
	// EventAccessRevoked: a Secret was emptied because no DefenderGrant allows its token any more.
	EventAccessRevoked = "AccessRevoked"
	// EventSecretRepaired: a Secret that somebody else had changed holds a new token.
	EventSecretRepaired = "SecretRepaired"
	// EventRefreshRecovered: tokens are renewed again.
	EventRefreshRecovered = "RefreshRecovered"
)
