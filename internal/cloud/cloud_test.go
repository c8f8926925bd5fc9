package cloud_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	clientID = "22222222-2222-2222-2222-222222222222"
	tenantID = "11111111-1111-1111-1111-111111111111"
)

func apis() []v1alpha1.API {
	return []v1alpha1.API{"DefenderXDR", "DefenderForEndpoint", "MicrosoftGraph"}
}

func clouds() []v1alpha1.Cloud { return []v1alpha1.Cloud{"Public", "USGovernment", "China"} }

func regions() []v1alpha1.Region {
	return []v1alpha1.Region{"Default", "US", "EU", "UK", "AU", "SWA", "INA", "AEA", "GCC", "GCCHigh", "DoD"}
}

func TestNewCatalog(t *testing.T) {
	for given, want := range map[string]struct {
		url string
	}{
		"":                           {"https://login.microsoftonline.com"},
		"https://entra.example":      {"https://entra.example"},
		"https://entra.example/":     {"https://entra.example"},
		"https://entra.example:8443": {"https://entra.example:8443"},
		"https://127.0.0.1:8443":     {"https://127.0.0.1:8443"},
		"https://[::1]:8443":         {"https://[::1]:8443"},
		"HTTPS://entra.example":      {"https://entra.example"},
	} {
		t.Run("accepts "+given, func(t *testing.T) {
			catalog, err := cloud.NewCatalog(given)
			if err != nil {
				t.Fatal(err)
			}
			got := catalog.Login("Public")
			if got.URL != want.url || got.Host() != strings.TrimPrefix(want.url, "https://") {
				t.Errorf("got %+v, host %s", got, got.Host())
			}
			if catalog.Login("") != got {
				t.Error("an empty cloud is not Public")
			}
		})
	}
	for name, given := range map[string]string{
		"a host alone":            "entra.example",
		"a host and a port":       "entra.example:8443",
		"http":                    "http://entra.example",
		"another scheme":          "ftp://entra.example",
		"no scheme":               "//entra.example",
		"no host":                 "https://",
		"no host but a port":      "https://:8443",
		"no host but a path":      "https:///tenant",
		"a scheme alone":          "https:entra.example",
		"a path":                  "https://entra.example/tenant",
		"a path to an endpoint":   "https://entra.example/common/oauth2/v2.0/token",
		"a query":                 "https://entra.example?tenant=x",
		"a fragment":              "https://entra.example#x",
		"a user":                  "https://user@entra.example",
		"a user and a password":   "https://user:password@entra.example",
		"a port that is none":     "https://entra.example:https",
		"white space around":      " https://entra.example ",
		"white space within":      "https://entra example",
		"a line break":            "https://entra.example\n",
		"half an IPv6 address":    "https://[::1",
		"a percent sign in it":    "https://entra%zz.example",
		"a path of dots":          "https://entra.example/..",
		"a list of two endpoints": "https://a.example,https://b.example/",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			got, err := cloud.NewCatalog(given)
			if err == nil || !strings.Contains(err.Error(), "must be https://host[:port] without a path") {
				t.Errorf("got %+v, %v", got, err)
			}
			if got != (cloud.Catalog{}) {
				t.Errorf("something came of it: %+v", got)
			}
		})
	}
}

func TestCatalog_LoginHosts(t *testing.T) {
	emulated, err := cloud.NewCatalog("https://entra.example:8443")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		catalog cloud.Catalog
		hosts   []string
	}{
		"Microsoft's own": {cloud.Catalog{}, []string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}},
		"replaced, which concerns the Public cloud alone": {emulated, []string{"entra.example:8443", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.catalog.Hosts(); !slices.Equal(got, test.hosts) {
				t.Errorf("got %v", got)
			}
			for i, c := range clouds() {
				login := test.catalog.Login(c)
				if login.URL != "https://"+test.hosts[i] {
					t.Errorf("%s: %+v", c, login)
				}
			}
		})
	}
}

// The table is the whole truth of where tokens are asked for and used: a change of it is
// a change for every customer.
func TestResolve_EveryAPIInEveryCloudAndRegion(t *testing.T) {
	var table strings.Builder
	for _, api := range apis() {
		for _, c := range clouds() {
			for _, region := range regions() {
				target, fault := cloud.Resolve(c, region, v1alpha1.TokenSpec{Name: "t", API: api})
				if fault != nil {
					fmt.Fprintf(&table, "%-19s %-12s %-7s %s\n", api, c, region, fault.Reason)
					continue
				}
				fmt.Fprintf(&table, "%-19s %-12s %-7s %-42s %s\n", api, c, region, target.Resource, target.APIURL)
			}
		}
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "targets.txt"))
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(table.String(), "\n"), strings.Split(string(golden), "\n")
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("line %d of testdata/targets.txt is not what the code says:\n%s", i+1, table.String())
		}
	}
}

func TestResolve_EmptyMeansPublicAndDefault(t *testing.T) {
	for _, api := range apis() {
		spec := v1alpha1.TokenSpec{Name: "t", API: api}
		got, fault := cloud.Resolve("", "", spec)
		want, other := cloud.Resolve("Public", "Default", spec)
		if fault != nil || other != nil || got.Resource != want.Resource || got.APIURL != want.APIURL {
			t.Errorf("%s: got %+v, %v, want %+v, %v", api, got, fault, want, other)
		}
	}
}

func TestResolve_Presets(t *testing.T) {
	for _, api := range apis() {
		for _, c := range clouds() {
			for _, region := range regions() {
				target, fault := cloud.Resolve(c, region, v1alpha1.TokenSpec{Name: "t", API: api})
				if fault != nil {
					continue
				}
				if target.API != api || !slices.Contains(target.Audiences, target.Resource) || slices.Contains(target.Audiences, "") {
					t.Errorf("%s %s %s: %+v", api, c, region, target)
				}
				for _, uri := range []string{target.Resource, target.APIURL} {
					u, err := url.Parse(uri)
					if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
						t.Errorf("%s %s %s: %s is no base URL", api, c, region, uri)
					}
				}
			}
		}
	}
}

func TestResolve_Audiences(t *testing.T) {
	for _, test := range []struct {
		cloud v1alpha1.Cloud
		api   v1alpha1.API
		want  []string
	}{
		{"Public", "DefenderXDR", []string{"https://api.security.microsoft.com", "https://security.microsoft.com/mtp", "https://securitycenter.microsoft.com/mtp", "8ee8fdad-f234-4243-8f3b-15c294843740"}},
		{"USGovernment", "DefenderXDR", []string{"https://api-gov.security.microsoft.us", "8ee8fdad-f234-4243-8f3b-15c294843740"}},
		{"Public", "DefenderForEndpoint", []string{"https://api.securitycenter.microsoft.com", "https://api.securitycenter.windows.com", "https://securitycenter.onmicrosoft.com/windowsatpservice", "fc780465-2017-40d4-a0c5-307022471b92"}},
		{"Public", "MicrosoftGraph", []string{"https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"}},
		{"USGovernment", "MicrosoftGraph", []string{"https://graph.microsoft.us", "https://dod-graph.microsoft.us", "00000003-0000-0000-c000-000000000000"}},
		{"China", "MicrosoftGraph", []string{"https://microsoftgraph.chinacloudapi.cn", "00000003-0000-0000-c000-000000000000"}},
	} {
		t.Run(fmt.Sprint(test.api, " in ", test.cloud), func(t *testing.T) {
			target, fault := cloud.Resolve(test.cloud, "", v1alpha1.TokenSpec{Name: "t", API: test.api})
			if fault != nil {
				t.Fatal(fault)
			}
			for _, aud := range test.want {
				if !slices.Contains(target.Audiences, aud) {
					t.Errorf("%s is missing in %v", aud, target.Audiences)
				}
			}
		})
	}
	t.Run("no API takes the audience of another", func(t *testing.T) {
		for _, api := range apis() {
			target, _ := cloud.Resolve("", "", v1alpha1.TokenSpec{Name: "t", API: api})
			for _, other := range apis() {
				foreign, _ := cloud.Resolve("", "", v1alpha1.TokenSpec{Name: "t", API: other})
				if api != other && slices.ContainsFunc(target.Audiences, func(a string) bool { return slices.Contains(foreign.Audiences, a) }) {
					t.Errorf("%s and %s", api, other)
				}
			}
		}
	})
}

func TestResolve_Retirement(t *testing.T) {
	for api, want := range map[v1alpha1.API]time.Time{
		"DefenderXDR":         time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC),
		"DefenderForEndpoint": time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC),
		"MicrosoftGraph":      {},
	} {
		target, fault := cloud.Resolve("", "", v1alpha1.TokenSpec{Name: "t", API: api})
		preset, known := cloud.PresetOf(api)
		if fault != nil || !known || !target.RetiresAt.Equal(want) || !preset.RetiresAt.Equal(want) {
			t.Errorf("%s: %v, %v", api, target.RetiresAt, fault)
		}
		if successor, ok := cloud.PresetOf(preset.Successor); !want.IsZero() && (!ok || !successor.RetiresAt.IsZero()) {
			t.Errorf("%s is succeeded by %q", api, preset.Successor)
		}
	}
}

func TestResolve_RefusesImpossibleCombinationsWithASentence(t *testing.T) {
	for name, test := range map[string]struct {
		cloud  v1alpha1.Cloud
		region v1alpha1.Region
		api    v1alpha1.API
		says   string
	}{
		"no Defender in China":                {"China", "", "DefenderXDR", "The API DefenderXDR has no host for region Default in cloud China. Its author must change spec.region or the token xdr."},
		"a government's region in Public":     {"Public", "DoD", "DefenderXDR", "no host for region DoD in cloud Public"},
		"a public region in USGovernment":     {"USGovernment", "EU", "MicrosoftGraph", "no host for region EU in cloud USGovernment"},
		"a region that nobody knows":          {"Public", "Mars", "DefenderXDR", "no host for region Mars in cloud Public"},
		"a cloud that nobody knows":           {"Sky", "", "DefenderXDR", "no host for region Default in cloud Sky"},
		"an API that nobody knows":            {"Public", "", "Teams", "The API Teams has no host"},
		"neither an API nor a resource":       {"Public", "", "", "has no host"},
		"GCC is a region of the Public cloud": {"USGovernment", "GCC", "DefenderXDR", "no host for region GCC in cloud USGovernment"},
	} {
		t.Run(name, func(t *testing.T) {
			target, fault := cloud.Resolve(test.cloud, test.region, v1alpha1.TokenSpec{Name: "xdr", API: test.api})
			assertFault(t, fault, "RegionNotSupported", test.says)
			if target.APIURL != "" {
				t.Errorf("a host out of nowhere: %+v", target)
			}
		})
	}
}

func TestResolve_AHeldTokenCanBeJudgedEvenIfNoNewOneCanBeHad(t *testing.T) {
	for name, refuse := range map[string]func() (cloud.Target, *token.Fault){
		"no host": func() (cloud.Target, *token.Fault) {
			return cloud.Resolve("China", "", v1alpha1.TokenSpec{API: "DefenderXDR"})
		},
		"a role misspelled": func() (cloud.Target, *token.Fault) {
			return cloud.Resolve("", "", v1alpha1.TokenSpec{API: "DefenderXDR", RequiredRoles: []string{"Incidents.Read.All"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			target, fault := refuse()
			if fault == nil || target.API != "DefenderXDR" || !slices.Contains(target.Audiences, "https://api.security.microsoft.com") {
				t.Errorf("got %+v, %v", target, fault)
			}
		})
	}
}

func TestResolve_BareResources(t *testing.T) {
	for resource, host := range map[string]string{
		"https://api.loganalytics.io":                     "https://api.loganalytics.io",
		"https://api.loganalytics.io/":                    "https://api.loganalytics.io",
		"https://api.example:8443/v1":                     "https://api.example:8443",
		"https://securitycenter.microsoft.com/mtp":        "https://securitycenter.microsoft.com",
		"https://contoso.onmicrosoft.com/app/.defaultish": "https://contoso.onmicrosoft.com",
		"https://api.security.microsoft.com":              "https://api.security.microsoft.com",
	} {
		t.Run("accepts "+resource, func(t *testing.T) {
			target, fault := cloud.Resolve("China", "DoD", v1alpha1.TokenSpec{Name: "t", Resource: resource})
			if fault != nil {
				t.Fatal(fault)
			}
			if target.API != "" || target.Resource != resource || !slices.Equal(target.Audiences, []string{resource}) || target.APIURL != host || !target.RetiresAt.IsZero() {
				t.Errorf("got %+v", target)
			}
		})
	}
	for name, resource := range map[string]string{
		"http":                    "http://api.loganalytics.io",
		"an ID URI":               "api://22222222-2222-2222-2222-222222222222",
		"a GUID":                  "22222222-2222-2222-2222-222222222222",
		"a host alone":            "api.loganalytics.io",
		"no host":                 "https://",
		"no host but a port":      "https://:443",
		"no host but a path":      "https:///path",
		"a query":                 "https://api.example?x=1",
		"a fragment":              "https://api.example#x",
		"a user":                  "https://user@api.example",
		"a user and a password":   "https://user:password@api.example",
		"a scope":                 "https://api.security.microsoft.com/.default",
		"a scope behind a slash":  "https://api.security.microsoft.com//.default",
		"a port that is none":     "https://api.example:x",
		"two scopes":              "https://a.example https://b.example",
		"what cannot be parsed":   "https://[::1",
		"a percent sign too much": "https://a.example/%zz",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			_, fault := cloud.Resolve("", "", v1alpha1.TokenSpec{Name: "logs", Resource: resource})
			assertFault(t, fault, "ResourceInvalid", "The resource of token logs is no https URI of an API.")
			if strings.Contains(fault.Message, "password") {
				t.Error("a password is in the message")
			}
		})
	}
}

func TestResolve_MisspelledRoles(t *testing.T) {
	for name, test := range map[string]struct {
		api             v1alpha1.API
		required, right string
	}{
		"a plural too much":           {"DefenderXDR", "Incidents.Read.All", "Incident.Read.All"},
		"another case":                {"DefenderXDR", "incident.read.all", "Incident.Read.All"},
		"a plural too little":         {"DefenderXDR", "CustomDetection.ReadWrite.All", "CustomDetections.ReadWrite.All"},
		"a plural that Graph has not": {"MicrosoftGraph", "CustomDetections.ReadWrite.All", "CustomDetection.ReadWrite.All"},
		"both":                        {"MicrosoftGraph", "securityalerts.read.all", "SecurityAlert.Read.All"},
		"a plural in the middle":      {"DefenderForEndpoint", "Machine.Reads.All", "Machine.Read.All"},
	} {
		t.Run(name, func(t *testing.T) {
			_, fault := cloud.Resolve("", "", v1alpha1.TokenSpec{Name: "t", API: test.api, RequiredRoles: []string{"Unknown.Role", test.required}})
			assertFault(t, fault, "RoleMisspelled", fmt.Sprintf("The API %s has no role %s; it is called %s. Its author must correct requiredRoles of token t.", test.api, test.required, test.right))
		})
	}
	for name, spec := range map[string]v1alpha1.TokenSpec{
		"a role that is unknown passes":               {API: "DefenderXDR", RequiredRoles: []string{"Something.New.All"}},
		"a role of another API passes":                {API: "DefenderXDR", RequiredRoles: []string{"Machine.Read.All"}},
		"a role without a dot passes":                 {API: "DefenderXDR", RequiredRoles: []string{"reader"}},
		"a bare resource has no roles that are known": {Resource: "https://api.security.microsoft.com", RequiredRoles: []string{"Incidents.Read.All"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, fault := cloud.Resolve("", "", spec); fault != nil {
				t.Error(fault)
			}
		})
	}
	t.Run("every role in the tables passes under its own API", func(t *testing.T) {
		for _, preset := range cloud.Presets() {
			for _, role := range preset.Roles {
				if _, fault := cloud.Resolve("", "", v1alpha1.TokenSpec{API: preset.API, RequiredRoles: []string{role.Name}}); fault != nil {
					t.Errorf("%s %s: %v", preset.API, role.Name, fault)
				}
			}
		}
	})
}

func TestPresets_AreComplete(t *testing.T) {
	var found []v1alpha1.API
	for _, preset := range cloud.Presets() {
		found = append(found, preset.API)
		if again, known := cloud.PresetOf(preset.API); !known || again.Name != preset.Name {
			t.Errorf("%s is not found by its name", preset.API)
		}
		if preset.Name == "" || preset.ConsentRole == "" || len(preset.Roles) == 0 {
			t.Errorf("%s lacks something: %+v", preset.API, preset)
		}
		for c, uri := range preset.Resources {
			if preset.Hosts[c]["Default"] == "" {
				t.Errorf("%s has a resource %s in %s but no host", preset.API, uri, c)
			}
		}
		if len(preset.Hosts) != len(preset.Resources) {
			t.Errorf("%s has hosts in %d clouds and resources in %d", preset.API, len(preset.Hosts), len(preset.Resources))
		}
		for i, role := range preset.Roles {
			if role.Name == "" || role.Allows == "" || slices.ContainsFunc(preset.Roles[:i], func(r cloud.Role) bool { return r.Name == role.Name }) {
				t.Errorf("%s: role %+v is twice there or says nothing", preset.API, role)
			}
		}
	}
	if !slices.Equal(found, apis()) {
		t.Errorf("got %v", found)
	}
	if _, known := cloud.PresetOf("Teams"); known {
		t.Error("a preset out of nowhere")
	}
}

func TestCovers(t *testing.T) {
	for name, test := range map[string]struct {
		entry, resource string
		want            bool
	}{
		"a preset and its resource":                      {"DefenderXDR", "https://api.security.microsoft.com", true},
		"a preset and its resource in another cloud":     {"DefenderXDR", "https://api-gov.security.microsoft.us", true},
		"a preset and another API":                       {"DefenderXDR", "https://graph.microsoft.com", false},
		"a preset and an audience that is no resource":   {"DefenderXDR", "https://security.microsoft.com/mtp", false},
		"a preset and the host of a region":              {"DefenderXDR", "https://api-eu.security.microsoft.com", false},
		"a preset and its resource with a slash":         {"DefenderXDR", "https://api.security.microsoft.com/", false},
		"a URI and itself":                               {"https://api.loganalytics.io", "https://api.loganalytics.io", true},
		"a URI that a preset has":                        {"https://graph.microsoft.com", "https://graph.microsoft.com", true},
		"a URI and itself with a slash":                  {"https://api.loganalytics.io", "https://api.loganalytics.io/", false},
		"a URI and what lies below it":                   {"https://api.loganalytics.io", "https://api.loganalytics.io/v1", false},
		"a URI and a longer host":                        {"https://api.example", "https://api.example.evil", false},
		"a URI and itself in upper case":                 {"https://api.example", "https://API.EXAMPLE", false},
		"a preset in lower case":                         {"defenderxdr", "https://api.security.microsoft.com", false},
		"a star is no API":                               {"*", "https://api.security.microsoft.com", false},
		"nothing covers nothing":                         {"", "", false},
		"nothing covers no resource":                     {"", "https://graph.microsoft.com", false},
		"a preset does not cover an empty resource":      {"DefenderXDR", "", false},
		"a preset does not cover the name of its preset": {"MicrosoftGraph", "https://microsoftgraph", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cloud.Covers(test.entry, test.resource); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
	t.Run("each preset covers what it resolves to, in every cloud and region, and nothing else does", func(t *testing.T) {
		for _, api := range apis() {
			for _, c := range clouds() {
				for _, region := range regions() {
					target, fault := cloud.Resolve(c, region, v1alpha1.TokenSpec{API: api})
					if fault != nil {
						continue
					}
					for _, entry := range apis() {
						if cloud.Covers(string(entry), target.Resource) != (entry == api) {
							t.Errorf("%s and %s in %s %s", entry, api, c, region)
						}
					}
				}
			}
		}
	})
}

func TestConsentLinks(t *testing.T) {
	emulated, err := cloud.NewCatalog("https://entra.example:8443")
	if err != nil {
		t.Fatal(err)
	}
	plain := v1alpha1.DefenderAppSpec{ClientID: clientID}
	redirect := v1alpha1.DefenderAppSpec{ClientID: clientID, Consent: &v1alpha1.ConsentSettings{RedirectURI: "https://partner.example/done?x=1&y=ä"}}
	in := func(c v1alpha1.Cloud) v1alpha1.DefenderAppSpec {
		return v1alpha1.DefenderAppSpec{ClientID: clientID, Cloud: c}
	}
	const xdr = "https://api.security.microsoft.com"
	for name, test := range map[string]struct{ got, want string }{
		"of a tenant": {
			cloud.Catalog{}.TenantConsentURL(plain, tenantID, xdr),
			"https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/adminconsent?client_id=22222222-2222-2222-2222-222222222222",
		},
		"of a tenant, with a redirect URI": {
			cloud.Catalog{}.TenantConsentURL(redirect, tenantID, xdr),
			"https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0/adminconsent?client_id=22222222-2222-2222-2222-222222222222" +
				"&redirect_uri=https%3A%2F%2Fpartner.example%2Fdone%3Fx%3D1%26y%3D%C3%A4&scope=https%3A%2F%2Fapi.security.microsoft.com%2F.default",
		},
		"of a tenant, for a resource with a slash behind": {
			cloud.Catalog{}.TenantConsentURL(redirect, tenantID, "https://api.example/"),
			"https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0/adminconsent?client_id=22222222-2222-2222-2222-222222222222" +
				"&redirect_uri=https%3A%2F%2Fpartner.example%2Fdone%3Fx%3D1%26y%3D%C3%A4&scope=https%3A%2F%2Fapi.example%2F%2F.default",
		},
		"of a tenant of a government": {
			cloud.Catalog{}.TenantConsentURL(in("USGovernment"), tenantID, xdr),
			"https://login.microsoftonline.us/11111111-1111-1111-1111-111111111111/adminconsent?client_id=22222222-2222-2222-2222-222222222222",
		},
		"of a tenant in China": {
			cloud.Catalog{}.TenantConsentURL(in("China"), tenantID, xdr),
			"https://login.partner.microsoftonline.cn/11111111-1111-1111-1111-111111111111/adminconsent?client_id=22222222-2222-2222-2222-222222222222",
		},
		"of a tenant, at another endpoint": {
			emulated.TenantConsentURL(plain, tenantID, xdr),
			"https://entra.example:8443/11111111-1111-1111-1111-111111111111/adminconsent?client_id=22222222-2222-2222-2222-222222222222",
		},
		"of an application": {
			cloud.Catalog{}.AppConsentURL(plain),
			"https://login.microsoftonline.com/common/oauth2/authorize?prompt=consent&client_id=22222222-2222-2222-2222-222222222222&response_type=code&sso_reload=true",
		},
		"of an application of a government": {
			cloud.Catalog{}.AppConsentURL(in("USGovernment")),
			"https://login.microsoftonline.us/common/oauth2/authorize?prompt=consent&client_id=22222222-2222-2222-2222-222222222222&response_type=code&sso_reload=true",
		},
		"of an application, at another endpoint": {
			emulated.AppConsentURL(redirect),
			"https://entra.example:8443/common/oauth2/authorize?prompt=consent&client_id=22222222-2222-2222-2222-222222222222&response_type=code&sso_reload=true",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got  %s\nwant %s", test.got, test.want)
			}
		})
	}
}

func assertFault(t *testing.T, fault *token.Fault, reason, says string) {
	t.Helper()
	if fault == nil {
		t.Fatal("no fault")
	}
	if fault.Reason != reason || !strings.Contains(fault.Message, says) || fault.Actor != "author of the DefenderTenant" || fault.Cure != token.ByWatch {
		t.Errorf("got %+v, want %s: …%s…", fault, reason, says)
	}
}

func TestCatalog_Vaults(t *testing.T) {
	emulated, err := cloud.Catalog{}.WithVault("https://vault.example:8443/")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		catalog       cloud.Catalog
		cloud         v1alpha1.Cloud
		url, resource string
	}{
		{cloud.Catalog{}, "", "https://contoso-1.vault.azure.net", "https://vault.azure.net"},
		{cloud.Catalog{}, "Public", "https://contoso-1.vault.azure.net", "https://vault.azure.net"},
		{cloud.Catalog{}, "USGovernment", "https://contoso-1.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"},
		{cloud.Catalog{}, "China", "https://contoso-1.vault.azure.cn", "https://vault.azure.cn"},
		{emulated, "", "https://vault.example:8443", "https://vault.azure.net"},
		{emulated, "China", "https://contoso-1.vault.azure.cn", "https://vault.azure.cn"},
	} {
		got := test.catalog.Vault(test.cloud, "Contoso-1")
		if got.URL != test.url || got.Resource != test.resource || "https://"+got.Host() != test.url {
			t.Errorf("%s: got %+v", test.cloud, got)
		}
	}
	if same, err := emulated.WithVault(""); err != nil || same != emulated {
		t.Errorf("got %+v, %v", same, err)
	}
	for _, given := range []string{"http://vault.example", "vault.example", "https://vault.example/path", "https://u@vault.example", "https://"} {
		if got, err := (cloud.Catalog{}).WithVault(given); err == nil || got != (cloud.Catalog{}) {
			t.Errorf("%s: got %+v, %v", given, got, err)
		}
	}
}

func TestExchange(t *testing.T) {
	for c, want := range map[v1alpha1.Cloud]struct{ audience, file string }{
		"":             {"api://AzureADTokenExchange", "/tokens/t"},
		"Public":       {"api://AzureADTokenExchange", "/tokens/t"},
		"USGovernment": {"api://AzureADTokenExchangeUSGov", "/tokens/t-usgovernment"},
		"China":        {"api://AzureADTokenExchangeChina", "/tokens/t-china"},
	} {
		if audience, file := cloud.ExchangeAudience(c), cloud.ExchangeFile("/tokens/t", c); audience != want.audience || file != want.file {
			t.Errorf("%s: got %s, %s", c, audience, file)
		}
	}
}
