package cloud

import (
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// Preset is all that is known of one API.
type Preset struct {
	// API is its name in a spec.
	API v1alpha1.API
	// Name is what people call it.
	Name string
	// Resources is the URI to request a token for, by cloud. No entry: the cloud has no such API.
	Resources map[v1alpha1.Cloud]string
	// Audiences are further values of aud that stand for the API, its application ID among them.
	Audiences []string
	// Hosts are the base URLs by cloud and region.
	Hosts map[v1alpha1.Cloud]map[v1alpha1.Region]string
	// Roles are the application roles that customers are asked for most.
	Roles []Role
	// RetiresAt is when Microsoft ends the API, zero if nothing is announced.
	RetiresAt time.Time
	// Successor is what to move to.
	Successor v1alpha1.API
	// ConsentRole is the least directory role that can consent.
	ConsentRole string
}

// Role is one application role of an API.
type Role struct {
	// Name is its value in the claim roles.
	Name string
	// Allows says what it lets the application do, for the administrator who is asked.
	Allows string
}

// retirement is announced in Microsoft's Message Center, MC1220762.
func retirement() time.Time { return time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC) }

// Presets are the APIs with a name of their own.
func Presets() []Preset {
	return []Preset{defenderXDR(), defenderForEndpoint(), microsoftGraph()}
}

// PresetOf finds an API by its name.
func PresetOf(api v1alpha1.API) (Preset, bool) {
	switch api {
	case v1alpha1.APIDefenderXDR:
		return defenderXDR(), true
	case v1alpha1.APIDefenderForEndpoint:
		return defenderForEndpoint(), true
	case v1alpha1.APIMicrosoftGraph:
		return microsoftGraph(), true
	default:
		return Preset{}, false
	}
}

// defenderXDR is the application "Microsoft Threat Protection". Which audience the
// government clouds want is not documented; a token with spec.tokens[].resource can name another.
//
// Sources: learn.microsoft.com/defender-xdr/api-create-app-web, api-supported, usgov.
func defenderXDR() Preset {
	return Preset{
		API:  v1alpha1.APIDefenderXDR,
		Name: "Microsoft Defender XDR",
		Resources: map[v1alpha1.Cloud]string{
			v1alpha1.CloudPublic:       "https://api.security.microsoft.com",
			v1alpha1.CloudUSGovernment: "https://api-gov.security.microsoft.us",
		},
		Audiences: []string{
			"https://api.security.microsoft.com", "https://security.microsoft.com/mtp",
			"https://securitycenter.microsoft.com/mtp", "8ee8fdad-f234-4243-8f3b-15c294843740",
		},
		Hosts: map[v1alpha1.Cloud]map[v1alpha1.Region]string{
			v1alpha1.CloudPublic: {
				v1alpha1.RegionDefault: "https://api.security.microsoft.com",
				v1alpha1.RegionUS:      "https://api-us.security.microsoft.com",
				v1alpha1.RegionEU:      "https://api-eu.security.microsoft.com",
				v1alpha1.RegionUK:      "https://api-uk.security.microsoft.com",
				v1alpha1.RegionAU:      "https://au.api.security.microsoft.com",
				v1alpha1.RegionSWA:     "https://swa.api.security.microsoft.com",
				v1alpha1.RegionINA:     "https://ina.api.security.microsoft.com",
				v1alpha1.RegionAEA:     "https://aea.api.security.microsoft.com",
				v1alpha1.RegionGCC:     "https://api-gcc.security.microsoft.us",
			},
			v1alpha1.CloudUSGovernment: government("https://api-gov.security.microsoft.us"),
		},
		Roles: []Role{
			{"Incident.Read.All", "read all incidents and their alerts"},
			{"Incident.ReadWrite.All", "read and change all incidents (status, assignment, comments)"},
			{"AdvancedHunting.Read.All", "run hunting queries over 30 days of security data"},
			{"CustomDetections.ReadWrite.All", "read and change custom detection rules"},
		},
		RetiresAt:   retirement(),
		Successor:   v1alpha1.APIMicrosoftGraph,
		ConsentRole: "Cloud Application Administrator",
	}
}

// defenderForEndpoint is the application "WindowsDefenderATP".
//
// Sources: learn.microsoft.com/defender-endpoint/api/run-advanced-query-api, gov.
func defenderForEndpoint() Preset {
	return Preset{
		API:  v1alpha1.APIDefenderForEndpoint,
		Name: "Microsoft Defender for Endpoint",
		Resources: map[v1alpha1.Cloud]string{
			v1alpha1.CloudPublic:       "https://api.securitycenter.microsoft.com",
			v1alpha1.CloudUSGovernment: "https://api-gov.securitycenter.microsoft.us",
		},
		Audiences: []string{
			"https://api.securitycenter.microsoft.com", "https://api.securitycenter.windows.com",
			"https://securitycenter.onmicrosoft.com/windowsatpservice", "fc780465-2017-40d4-a0c5-307022471b92",
		},
		Hosts: map[v1alpha1.Cloud]map[v1alpha1.Region]string{
			v1alpha1.CloudPublic: {
				v1alpha1.RegionDefault: "https://api.security.microsoft.com",
				v1alpha1.RegionUS:      "https://us.api.security.microsoft.com",
				v1alpha1.RegionEU:      "https://eu.api.security.microsoft.com",
				v1alpha1.RegionUK:      "https://uk.api.security.microsoft.com",
				v1alpha1.RegionAU:      "https://au.api.security.microsoft.com",
				v1alpha1.RegionSWA:     "https://swa.api.security.microsoft.com",
				v1alpha1.RegionINA:     "https://ina.api.security.microsoft.com",
				v1alpha1.RegionAEA:     "https://aea.api.security.microsoft.com",
				v1alpha1.RegionGCC:     "https://api-gcc.securitycenter.microsoft.us",
			},
			v1alpha1.CloudUSGovernment: government("https://api-gov.securitycenter.microsoft.us"),
		},
		Roles: []Role{
			{"Alert.Read.All", "read all alerts"},
			{"Alert.ReadWrite.All", "read and change all alerts"},
			{"Machine.Read.All", "read all devices and what is known of them"},
			{"Machine.ReadWrite.All", "read and change all devices (tags, values)"},
			{"Machine.Isolate", "isolate a device from the network and release it"},
			{"Machine.Scan", "start an antivirus scan on a device"},
			{"AdvancedQuery.Read.All", "run hunting queries"},
			{"Ti.ReadWrite.All", "read and change all indicators"},
			{"Vulnerability.Read.All", "read all vulnerability information"},
			{"SecurityRecommendation.Read.All", "read all security recommendations"},
			{"Software.Read.All", "read the inventory of software"},
			{"Score.Read.All", "read the exposure and configuration scores"},
			{"User.Read.All", "read user profiles"},
		},
		RetiresAt:   retirement(),
		Successor:   v1alpha1.APIMicrosoftGraph,
		ConsentRole: "Cloud Application Administrator",
	}
}

// microsoftGraph serves every region from one host in each cloud.
//
// Source: learn.microsoft.com/graph/deployments.
func microsoftGraph() Preset {
	public := map[v1alpha1.Region]string{}
	for _, region := range []v1alpha1.Region{
		v1alpha1.RegionDefault, v1alpha1.RegionUS, v1alpha1.RegionEU, v1alpha1.RegionUK, v1alpha1.RegionAU,
		v1alpha1.RegionSWA, v1alpha1.RegionINA, v1alpha1.RegionAEA, v1alpha1.RegionGCC,
	} {
		public[region] = "https://graph.microsoft.com"
	}
	gov := government("https://graph.microsoft.us")
	gov[v1alpha1.RegionDoD] = "https://dod-graph.microsoft.us"
	return Preset{
		API:  v1alpha1.APIMicrosoftGraph,
		Name: "Microsoft Graph security",
		Resources: map[v1alpha1.Cloud]string{
			v1alpha1.CloudPublic:       "https://graph.microsoft.com",
			v1alpha1.CloudUSGovernment: "https://graph.microsoft.us",
			v1alpha1.CloudChina:        "https://microsoftgraph.chinacloudapi.cn",
		},
		Audiences: []string{"00000003-0000-0000-c000-000000000000", "https://dod-graph.microsoft.us"},
		Hosts: map[v1alpha1.Cloud]map[v1alpha1.Region]string{
			v1alpha1.CloudPublic:       public,
			v1alpha1.CloudUSGovernment: gov,
			v1alpha1.CloudChina:        {v1alpha1.RegionDefault: "https://microsoftgraph.chinacloudapi.cn"},
		},
		Roles: []Role{
			{"SecurityIncident.Read.All", "read all security incidents"},
			{"SecurityIncident.ReadWrite.All", "read and change all security incidents"},
			{"SecurityAlert.Read.All", "read all security alerts"},
			{"SecurityAlert.ReadWrite.All", "read and change all security alerts"},
			{"ThreatHunting.Read.All", "run hunting queries over 30 days of security data"},
			{"CustomDetection.Read.All", "read custom detection rules"},
			{"CustomDetection.ReadWrite.All", "read and change custom detection rules"},
			{"SecurityEvents.Read.All", "read security events of the organisation"},
		},
		// Application roles of Graph are the one exception to what a Cloud Application
		// Administrator may consent to (entra/identity/enterprise-apps/grant-admin-consent).
		ConsentRole: "Privileged Role Administrator",
	}
}

// government maps every region of the USGovernment cloud to one host.
func government(host string) map[v1alpha1.Region]string {
	return map[v1alpha1.Region]string{
		v1alpha1.RegionDefault: host, v1alpha1.RegionGCCHigh: host, v1alpha1.RegionDoD: host,
	}
}
