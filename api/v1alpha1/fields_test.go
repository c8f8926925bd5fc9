package v1alpha1_test

import (
	"fmt"
	"strings"
)

// field is one field of a kind: values that it takes, and values that it refuses with
// what the API server says of them.
//
//nolint:kubeapilinter // a row of a table, no part of the API
type field struct {
	path    string
	accepts []any
	refuses []refusal
}

//nolint:kubeapilinter // a row of a table, no part of the API
type refusal struct {
	value any
	says  string
}

const (
	tooLong  = "Too long"
	tooMany  = "Too many"
	pattern  = "should match"
	required = "Required value"
	unknown  = "Unsupported value"
	twice    = "Duplicate value"
	wrong    = "must be of type"
)

const (
	tenantIDForm = "tenantID must be the tenant's ID, a GUID in lower case (Entra admin center, Overview): no domain name, no common or organizations"
	oneOfTwo     = "exactly one of api and resource must be set"
	shared       = "two tokens cannot share a Secret: give each its own secretName"
	oneKind      = "exactly one of workloadIdentity, keyVault, certificate and clientSecret must be set"
	oneOfVault   = "exactly one of certificateName and secretName must be set"
	starAlone    = `"*" stands alone: it includes every tenant but the home tenant`
	unchanged    = "tenantID cannot be changed: create another DefenderTenant"
	tenantName   = "metadata.name must have at most 189 characters, so that <name>-<token> is a valid Secret name"
	appName      = "metadata.name must have at most 63 characters"
)

const guid = "33333333-3333-3333-3333-333333333333"

func letters(n int) string { return strings.Repeat("a", n) }

// list has n entries that differ.
func list(n int, format string) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

//nolint:kubeapilinter // JSON in a table, no part of the API
type object = map[string]any

func tokens(n int) []object {
	var all []object
	for i := range n {
		all = append(all, object{"name": fmt.Sprintf("t%d", i), "api": "DefenderXDR"})
	}
	return all
}

func tenantFields() []field {
	xdr := object{"name": "xdr", "api": "DefenderXDR"}
	return []field{
		{"metadata.name", []any{letters(189), "contoso.eu"}, []refusal{{letters(190), tenantName}}},
		{"spec", nil, []refusal{{absent{}, required}}},
		{"spec.tenantID", []any{guid, "abcdef01-2345-6789-abcd-ef0123456789"}, []refusal{
			{absent{}, required},
			{"", tenantIDForm},
			{"contoso.onmicrosoft.com", tenantIDForm},
			{"common", tenantIDForm},
			{"organizations", tenantIDForm},
			{"consumers", tenantIDForm},
			{"ABCDEF01-2345-6789-ABCD-EF0123456789", tenantIDForm},
			{guid + "/../common", tenantIDForm},
			{guid + "/", tenantIDForm},
			{"../" + guid, tenantIDForm},
			{guid + "\n", tenantIDForm},
			{guid + "?x", tenantIDForm},
			{" " + guid, tenantIDForm},
			{"{" + guid + "}", tenantIDForm},
			{strings.ReplaceAll(guid, "-", ""), tenantIDForm},
			{guid[1:], tenantIDForm},
			{"g3333333-3333-3333-3333-333333333333", tenantIDForm},
			{"*", tenantIDForm},
			{letters(65), tooLong},
			{1, wrong},
		}},
		appField(),
		{"spec.region", []any{absent{}, "Default", "US", "EU", "UK", "AU", "SWA", "INA", "AEA", "GCC", "GCCHigh", "DoD"}, []refusal{
			{"eu", unknown}, {"", unknown}, {"Mars", unknown},
		}},
		{"spec.suspend", []any{absent{}, true, false}, []refusal{{"true", wrong}}},
		{"spec.tokens", []any{absent{}, []object{}, tokens(8)}, []refusal{
			{tokens(9), tooMany},
			{[]object{xdr, xdr}, twice},
			{[]object{xdr, {"name": "other", "api": "MicrosoftGraph", "secretName": "contoso-xdr"}}, shared},
			{[]object{{"name": "other", "api": "MicrosoftGraph", "secretName": "contoso-xdr"}, xdr}, shared},
			{[]object{{"name": "a", "api": "DefenderXDR", "secretName": "s"}, {"name": "b", "api": "DefenderXDR", "secretName": "s"}}, shared},
			{[]object{xdr, {"name": "b", "api": "DefenderXDR", "secretName": "s"}, {"name": "c", "api": "DefenderXDR", "secretName": "s"}}, shared},
		}},
		{"spec.tokens", []any{ // Secrets of their own
			[]object{xdr, {"name": "other", "api": "DefenderXDR"}},
			[]object{{"name": "xdr", "api": "DefenderXDR", "secretName": "contoso-other"}, {"name": "other", "api": "DefenderXDR", "secretName": "contoso-xdr"}},
			[]object{{"name": "xdr", "api": "DefenderXDR", "secretName": "contoso-xdr"}, {"name": "other", "api": "DefenderXDR"}},
			[]object{{"name": letters(63), "api": "DefenderXDR"}},
		}, nil},
		{"spec.tokens[0].name", []any{"x", "0", "x-1", letters(63)}, []refusal{
			{absent{}, required},
			{"", "at least 1 chars long"},
			{letters(64), tooLong},
			{"XDR", pattern},
			{"-x", pattern},
			{"x-", pattern},
			{"x.y", pattern},
			{"x_y", pattern},
			{"x\n", pattern},
		}},
		{"spec.tokens[0].api", []any{"DefenderXDR", "DefenderForEndpoint", "MicrosoftGraph"}, []refusal{
			{absent{}, oneOfTwo}, {"Teams", unknown}, {"", unknown}, {"defenderxdr", unknown},
		}},
		{"spec.tokens[1].api", nil, []refusal{{"DefenderXDR", oneOfTwo}}},
		{"spec.tokens[0].resource", nil, []refusal{{"https://api.loganalytics.io", oneOfTwo}}},
		{"spec.tokens[1].resource", []any{"https://a.example", "https://a.example/", "https://a.example:8443/b?c=d#e", "api://" + guid, letters(256)}, []refusal{
			{absent{}, oneOfTwo},
			{"", "at least 1 chars long"},
			{letters(257), tooLong},
			{"https://a.example b", pattern},
			{"https://a.example\n", pattern},
			{"https://a.example\t", pattern},
			{`https://a.example"`, pattern},
			{"https://a.example'", pattern},
			{"https://a.example<", pattern},
			{"https://a.example>", pattern},
			{`https://a.example\`, pattern},
			{"https://a.example^", pattern},
			{"https://a.example{", pattern},
			{"https://a.example|", pattern},
			{"https://a.example}", pattern},
		}},
		rolesField("spec.tokens[0].requiredRoles", 32),
		roleField("spec.tokens[0].requiredRoles[0]"),
		{"spec.tokens[0].optional", []any{absent{}, true, false}, []refusal{{"yes", wrong}}},
		{"spec.tokens[0].secretName", []any{absent{}, "a", "a.b-c.0", letters(253)}, []refusal{
			{"", "at least 1 chars long"},
			{letters(254), tooLong},
			{"Contoso", pattern},
			{"-a", pattern},
			{"a-", pattern},
			{"a..b", pattern},
			{".a", pattern},
			{"a.", pattern},
			{"a.-b", pattern},
			{"a_b", pattern},
			{"kube-system/a", pattern},
			{"../a", pattern},
		}},
		{"spec.tokens[0].formats", []any{absent{}, []string{}, []string{"JSON"}, []string{"Env", "JSON"}}, []refusal{
			{[]string{"JSON", "JSON"}, twice}, {[]string{"JSON", "Env", "JSON"}, tooMany},
		}},
		{"spec.tokens[0].formats[0]", nil, []refusal{{"YAML", unknown}, {"json", unknown}, {"", unknown}}},
		{"spec.tokens[0].refreshAfterPercent", []any{absent{}, 35, 50, 80}, []refusal{
			{34, "greater than or equal to 35"},
			{0, "greater than or equal to 35"},
			{-50, "greater than or equal to 35"},
			{81, "less than or equal to 80"},
			{100, "less than or equal to 80"},
			{50.5, wrong},
			{"50", wrong},
		}},
		{"spec.tokens[0].onExpiry", []any{absent{}, "Clear", "Keep", "Delete"}, []refusal{{"Never", unknown}, {"clear", unknown}, {"", unknown}}},
	}
}

func appField() field {
	return field{"spec.app", []any{"a", "0", "partner.eu-1", letters(63)}, []refusal{
		{absent{}, required},
		{"", "at least 1 chars long"},
		{letters(64), tooLong},
		{"Partner", pattern},
		{"-a", pattern},
		{"a-", pattern},
		{"a_b", pattern},
		{"a/b", pattern},
		{"a\n", pattern},
	}}
}

func rolesField(path string, most int) field {
	return field{path, []any{absent{}, []string{}, list(most, "Role%d.Read.All")}, []refusal{
		{list(most+1, "Role%d.Read.All"), tooMany}, {[]string{"A", "A"}, twice},
	}}
}

func roleField(path string) field {
	return field{path, []any{"A", "0", "Ti.ReadWrite.All", "user_impersonation", "a-b", letters(128)}, []refusal{
		{"", "at least 1 chars long"},
		{letters(129), tooLong},
		{".A", pattern},
		{"A B", pattern},
		{"A,B", pattern},
		{"A\n", pattern},
		{"A'", pattern},
		{"*", pattern},
	}}
}

func grantFields() []field {
	return []field{
		{"spec", nil, []refusal{{absent{}, required}}},
		appField(),
		{"spec.namespaces", []any{[]string{"soc"}, list(64, "soc-%d")}, []refusal{
			{absent{}, required}, {[]string{}, "at least 1 items"}, {list(65, "soc-%d"), tooMany}, {[]string{"soc", "soc"}, twice},
		}},
		{"spec.namespaces[0]", []any{"s", "0", "soc-1", letters(63)}, []refusal{
			{"", "at least 1 chars long"},
			{letters(64), tooLong},
			{"SOC", pattern},
			{"*", pattern},
			{"soc-*", pattern},
			{"a.b", pattern},
			{"a_b", pattern},
			{"-a", pattern},
			{"a-", pattern},
			{"soc\n", pattern},
			{"soc/x", pattern},
		}},
		{"spec.tenantIDs", []any{[]string{guid}, []string{"*"}, list(256, "11111111-1111-1111-1111-%012d")}, []refusal{
			{absent{}, required},
			{[]string{}, "at least 1 items"},
			{list(257, "11111111-1111-1111-1111-%012d"), tooMany},
			{[]string{guid, guid}, twice},
			{[]string{"*", guid}, starAlone},
			{[]string{guid, "*"}, starAlone},
		}},
		{"spec.tenantIDs[0]", nil, []refusal{
			{"", "at least 1 chars long"},
			{guid + "0", tooLong},
			{"contoso.onmicrosoft.com", pattern},
			{"common", pattern},
			{"**", pattern},
			{"1*", pattern},
			{"ABCDEF01-2345-6789-ABCD-EF0123456789", pattern},
			{guid[1:], pattern},
		}},
		{"spec.apis", []any{[]string{"DefenderXDR", "DefenderForEndpoint", "MicrosoftGraph"}, list(16, "https://api%d.example")}, []refusal{
			{absent{}, required}, {[]string{}, "at least 1 items"}, {list(17, "https://api%d.example"), tooMany}, {[]string{"DefenderXDR", "DefenderXDR"}, twice},
		}},
		{"spec.apis[0]", []any{"MicrosoftGraph", "https://a.example/b?c=d", "https://" + letters(248)}, []refusal{
			{"", "at least 1 chars long"},
			{"https://" + letters(249), tooLong},
			{"Teams", pattern},
			{"*", pattern},
			{"defenderxdr", pattern},
			{"DefenderXDR ", pattern},
			{"http://a.example", pattern},
			{"api://" + guid, pattern},
			{"https://", pattern},
			{"https://a.example b", pattern},
			{"https://a.example\n", pattern},
			{`https://a.example"`, pattern},
			{"https://a.example<", pattern},
			{"https://a.example>", pattern},
			{`https://a.example\`, pattern},
			{"https://a.example^", pattern},
			{"https://a.example{", pattern},
			{"https://a.example|", pattern},
			{"https://a.example}", pattern},
		}},
		rolesField("spec.maxRoles", 64),
		roleField("spec.maxRoles[0]"),
	}
}

func appFields() []field {
	secret := func(name string) object {
		return object{"name": name, "clientSecret": object{"secretRef": object{"name": "partner"}}}
	}
	guids := func(path string) field {
		return field{path, []any{guid, "abcdef01-2345-6789-abcd-ef0123456789"}, []refusal{
			{"", "at least 36 chars long"},
			{guid[1:], "at least 36 chars long"},
			{guid + "0", tooLong},
			{"ABCDEF01-2345-6789-ABCD-EF0123456789", pattern},
			{"g3333333-3333-3333-3333-333333333333", pattern},
			{letters(36), pattern},
		}}
	}
	clientID, home := guids("spec.clientID"), guids("spec.homeTenantID")
	clientID.refuses = append(clientID.refuses, refusal{absent{}, required})
	home.accepts = append(home.accepts, absent{})
	certificate, key := secretField("spec.credentials[0].certificate.secretRef.name"), secretField("spec.credentials[1].clientSecret.secretRef.name")
	inVault := func(path string) field {
		return field{path, []any{"a", "A-0", "-", letters(127)}, []refusal{
			{absent{}, oneOfVault}, {"", "at least 1 chars long"}, {letters(128), tooLong}, {"a.b", pattern}, {"a_b", pattern}, {"a/b", pattern}, {"a\n", pattern},
		}}
	}
	return []field{
		{"metadata.name", []any{letters(63), "partner.eu"}, []refusal{{letters(64), appName}}},
		{"spec", nil, []refusal{{absent{}, required}}},
		clientID, home,
		{"spec.cloud", []any{absent{}, "Public", "USGovernment", "China"}, []refusal{{"Germany", unknown}, {"", unknown}, {"public", unknown}, {"https://login.example", unknown}}},
		{"spec.suspend", []any{absent{}, true, false}, []refusal{{"true", wrong}}},
		{"spec.credentials", []any{[]object{secret("a")}, []object{secret("a"), secret("b"), secret("c"), secret("d")}}, []refusal{
			{absent{}, required},
			{[]object{}, "at least 1 items"},
			{[]object{secret("a"), secret("b"), secret("c"), secret("d"), secret("e")}, tooMany},
			{[]object{secret("a"), secret("a")}, twice},
		}},
		{"spec.credentials[0].name", []any{"c", "0", "c-1", letters(63)}, []refusal{
			{absent{}, required}, {"", "at least 1 chars long"}, {letters(64), tooLong}, {"Secret", pattern}, {"-a", pattern}, {"a-", pattern}, {"a.b", pattern}, {"a_b", pattern},
		}},
		{"spec.credentials[0]", []any{object{"name": "federated", "workloadIdentity": object{}}}, []refusal{
			{object{"name": "none"}, oneKind},
			{object{"name": "two", "workloadIdentity": object{}, "certificate": object{"secretRef": object{"name": "a"}}}, oneKind},
			{object{"name": "two", "clientSecret": object{"secretRef": object{"name": "a"}}, "certificate": object{"secretRef": object{"name": "a"}}}, oneKind},
			{object{"name": "two", "workloadIdentity": object{}, "keyVault": object{"vaultName": "abc", "secretName": "a"}}, oneKind},
			{object{"name": "all", "workloadIdentity": object{}, "keyVault": object{"vaultName": "abc", "secretName": "a"}, "clientSecret": object{"secretRef": object{"name": "a"}}, "certificate": object{"secretRef": object{"name": "a"}}}, oneKind},
		}},
		{"spec.credentials[0].certificate.secretRef", nil, []refusal{{absent{}, required}}},
		certificate,
		{"spec.credentials[1].clientSecret.secretRef", nil, []refusal{{absent{}, required}}},
		key,
		{"spec.credentials[1].clientSecret.secretRef.key", []any{absent{}, "a", "A._-0", letters(253)}, []refusal{
			{"", "at least 1 chars long"}, {letters(254), tooLong}, {"a/b", pattern}, {"a b", pattern}, {"a\n", pattern},
		}},
		{"spec.credentials[1].clientSecret.expiresAt", []any{absent{}, "2027-03-01T00:00:00Z", "2027-03-01T00:00:00+02:00"}, []refusal{{"2027-03-01", wrong}, {"soon", wrong}}},
		{"spec.credentials[2].keyVault.vaultName", []any{"abc", "Contoso-1", letters(24)}, []refusal{
			{absent{}, required},
			{"ab", "at least 3 chars long"},
			{letters(25), tooLong},
			{"1abc", pattern},
			{"a--b", pattern},
			{"abc-", pattern},
			{"-abc", pattern},
			{"abc.example", pattern},
			{"a/b/c", pattern},
		}},
		inVault("spec.credentials[2].keyVault.certificateName"),
		inVault("spec.credentials[3].keyVault.secretName"),
		{"spec.credentials[2].keyVault.secretName", nil, []refusal{{"both", oneOfVault}}},
		{"spec.consent", []any{absent{}}, nil},
		{"spec.consent.redirectURI", []any{"https://a", "https://partner.example:8443/a?b=c#d", "https://" + letters(504)}, []refusal{
			{absent{}, required},
			{"https://", "at least 9 chars long"},
			{"https://" + letters(505), tooLong},
			{"http://partner.example", pattern},
			{"javascript:alert(1)", pattern},
			{"partner.example/path", pattern},
			{"https://a.example b", pattern},
			{"https://a.example\n", pattern},
			{`https://a.example"`, pattern},
			{"https://a.example<", pattern},
			{"https://a.example>", pattern},
			{`https://a.example\`, pattern},
			{"https://a.example^", pattern},
			{"https://a.example{", pattern},
			{"https://a.example|", pattern},
			{"https://a.example}", pattern},
		}},
	}
}

func secretField(path string) field {
	return field{path, []any{"a", "a.b-c", "0", letters(253)}, []refusal{
		{absent{}, required}, {"", "at least 1 chars long"}, {letters(254), tooLong}, {"A", pattern}, {"-a", pattern}, {"a-", pattern}, {"other/a", pattern}, {"a_b", pattern},
	}}
}

func conditionFields() []field {
	condition := func(kind string) object {
		return object{"type": kind, "status": "True", "reason": "Fine", "message": "", "lastTransitionTime": "2026-05-04T12:00:00Z"}
	}
	conditions := func(n int) (all []object) {
		for i := range n {
			all = append(all, condition(fmt.Sprintf("Kind%d", i)))
		}
		return all
	}
	return []field{
		{"status.observedGeneration", []any{-1, 0, 1}, []refusal{{"1", wrong}}},
		{"status.conditions", []any{conditions(8)}, []refusal{{conditions(9), tooMany}, {[]object{condition("Ready"), condition("Ready")}, twice}}},
		{"status.conditions[0].type", []any{letters(63)}, []refusal{{absent{}, required}, {letters(317), tooLong}, {"not a type", pattern}}},
		{"status.conditions[0].status", []any{"True", "False", "Unknown"}, []refusal{{absent{}, required}, {"Maybe", unknown}}},
		{"status.conditions[0].reason", []any{letters(1024)}, []refusal{{absent{}, required}, {"", "at least 1 chars long"}, {letters(1025), tooLong}, {"no reason", pattern}}},
		{"status.conditions[0].message", []any{"", letters(32768)}, []refusal{{absent{}, required}, {letters(32769), tooLong}}},
		{"status.conditions[0].lastTransitionTime", nil, []refusal{{absent{}, required}, {"now", wrong}}},
		{"status.conditions[0].observedGeneration", []any{0}, []refusal{{-1, "greater than or equal to 0"}}},
		bounded("status.consentURL", 4096),
	}
}

// bounded is a text that is only bounded in length.
func bounded(path string, most int) field {
	return field{path, []any{absent{}, "", letters(most)}, []refusal{{letters(most + 1), tooLong}}}
}

func tenantStatusFields() []field {
	states := func(n int) (all []object) {
		for i := range n {
			all = append(all, object{"name": fmt.Sprintf("t%d", i), "ready": false})
		}
		return all
	}
	return append(conditionFields(), []field{
		bounded("status.lastHandledRefresh", 256),
		bounded("status.lastHandledAppRefresh", 256),
		{"status.secretNames", []any{list(8, "secret-%d")}, []refusal{{list(9, "secret-%d"), tooMany}, {[]string{"a", "a"}, twice}}},
		{"status.secretNames[0]", []any{letters(253)}, []refusal{{letters(254), tooLong}}},
		bounded("status.missingRoles", 16384),
		{"status.tokens", []any{states(8)}, []refusal{{states(9), tooMany}, {append(states(1), states(1)...), twice}}},
		{"status.tokens[0].name", []any{letters(63)}, []refusal{{absent{}, required}, {"", "at least 1 chars long"}, {letters(64), tooLong}}},
		bounded("status.tokens[0].secretName", 253),
		{"status.tokens[0].ready", []any{true, false}, []refusal{{absent{}, required}}},
		{"status.tokens[0].grantedRoles", []any{list(128, "Role%d")}, []refusal{{list(129, "Role%d"), tooMany}, {[]string{"A", "A"}, twice}}},
		{"status.tokens[0].grantedRoles[0]", []any{letters(128)}, []refusal{{letters(129), tooLong}}},
		{"status.tokens[0].missingRoles", []any{list(32, "Role%d")}, []refusal{{list(33, "Role%d"), tooMany}, {[]string{"A", "A"}, twice}}},
		{"status.tokens[0].missingRoles[0]", []any{letters(128)}, []refusal{{letters(129), tooLong}}},
		bounded("status.tokens[0].tokenID", 64),
		{"status.tokens[0].failure.reason", []any{letters(64)}, []refusal{{absent{}, required}, {"", "at least 1 chars long"}, {letters(65), tooLong}}},
		bounded("status.tokens[0].failure.message", 1024),
		{"status.tokens[0].failure.code", []any{0, 7000215}, []refusal{{-1, "greater than or equal to 0"}}},
		{"status.tokens[0].failure.since", nil, []refusal{{absent{}, required}, {"now", wrong}}},
		bounded("status.tokens[0].failure.traceID", 64),
	}...)
}

func appStatusFields() []field {
	states := func(n int) (all []object) {
		for i := range n {
			all = append(all, object{"name": fmt.Sprintf("c%d", i)})
		}
		return all
	}
	return append(conditionFields(), []field{
		{"status.credentials", []any{states(4)}, []refusal{{states(5), tooMany}, {append(states(1), states(1)...), twice}}},
		{"status.credentials[0].name", []any{letters(63)}, []refusal{{absent{}, required}, {"", "at least 1 chars long"}, {letters(64), tooLong}}},
		bounded("status.credentials[0].fingerprint", 64),
		bounded("status.credentials[0].reason", 64),
		{"status.credentials[0].accepted", []any{absent{}, true, false}, []refusal{{"yes", wrong}}},
		{"status.credentials[0].checkedAt", []any{absent{}}, []refusal{{"now", wrong}}},
	}...)
}
