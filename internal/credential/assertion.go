package credential

// FromAssertions is a credential that proves the application's identity with assertions of
// somebody else. presents is what Entra ID sees of that one: versions differ by it.
func FromAssertions(name, clientID, presents string, assert Asserter) Credential {
	return Credential{
		Name:        name,
		Fingerprint: fingerprint(clientID, presents),
		Presents:    presents,
		Assert:      assert,
	}
}
