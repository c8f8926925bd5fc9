package v1alpha1

// The shape of a token Secret. Workloads may depend on all of it.
const (
	// SecretType is the type of every Secret the operator writes. A type cannot be
	// changed once the Secret exists.
	SecretType = Group + "/access-token"

	// ManagedByLabel and ManagedByValue mark every Secret the operator writes.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedByValue = "defender-tenant-operator"

	// ExpiresAtAnnotation is when the token ends (RFC 3339).
	ExpiresAtAnnotation = Group + "/expires-at"
	// RefreshAtAnnotation is when the token will be renewed (RFC 3339).
	RefreshAtAnnotation = Group + "/refresh-at"
	// IssuedAtAnnotation is when the token was obtained (RFC 3339). Its life is counted
	// from here, because Entra ID back-dates the claim iat by minutes.
	IssuedAtAnnotation = Group + "/issued-at"
	// DigestAnnotation is a digest of the data and the times above. Where it disagrees
	// with them, somebody else wrote the Secret.
	DigestAnnotation = Group + "/digest"
	// ClockSkewAnnotation is set when the clocks of the operator and of Entra ID
	// disagreed by more than five minutes when the token was issued.
	ClockSkewAnnotation = Group + "/clock-skew"
)

// CredentialExpiresAtAnnotation on a Secret with a client secret is when that one ends (RFC 3339,
// or a date alone). It counts if spec.credentials[].clientSecret.expiresAt is absent.
const CredentialExpiresAtAnnotation = Group + "/expires-at"

// RefreshRequestedAnnotation asks for new tokens now, on a DefenderTenant or, for all
// its tenants, on a DefenderApp. Any new value is a new request.
const RefreshRequestedAnnotation = Group + "/refresh-requested"

// The keys of a token Secret.
const (
	// KeyToken is the access token itself.
	KeyToken = "token"
	// KeyAuthorization is the whole value of an Authorization header: Bearer and the token.
	KeyAuthorization = "authorization"
	// KeyExpiresAt is when the token ends (RFC 3339).
	KeyExpiresAt = "expiresAt"
	// KeyTenantID is the customer's tenant.
	KeyTenantID = "tenantID"
	// KeyClientID is the application that the token was issued to.
	KeyClientID = "clientID"
	// KeyResource is the URI that the token was requested for.
	KeyResource = "resource"
	// KeyAPIURL is the base URL of the API, for the customer's region.
	KeyAPIURL = "apiURL"
	// KeyState is one of the Secret states.
	KeyState = "state"
	// KeyTokenJSON holds the token and its facts as JSON (format JSON).
	KeyTokenJSON = "token.json"
	// KeyTokenEnv holds the token and its facts as lines for a shell (format Env).
	KeyTokenEnv = "token.env"
)

// SecretState is the value of KeyState.
type SecretState string

// The states of a token Secret.
const (
	// StateValid means the token works.
	StateValid SecretState = "Valid"
	// StateExpired means the token ended and no successor could be had.
	StateExpired SecretState = "Expired"
	// StateAccessRevoked means that no DefenderGrant allows the token any more.
	StateAccessRevoked SecretState = "AccessRevoked"
	// StateSuspended means the token ended while requests were suspended.
	StateSuspended SecretState = "Suspended"
)
