package consent

import (
	"net/url"
	"slices"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
)

// Question is what a customer is asked.
type Question struct {
	// Provider is the name of whoever asks.
	Provider string
	// AppName is the name that the consent page shows.
	AppName string
	// ClientID is the application (client) ID.
	ClientID string
	// TenantID is the customer's tenant.
	TenantID string
	// Link is where the administrator consents.
	Link string
	// Wishes are the permissions that are needed, by API.
	Wishes []Wish
}

// Wish is the permissions that are needed for one API.
type Wish struct {
	// API is the name of the API, as people call it.
	API string
	// Roles are the application roles; none means whichever the application is registered with.
	Roles []cloud.Role
	// ConsentRole is the least directory role that can grant them.
	ConsentRole string
}

// WishesOf gathers what the tokens of a DefenderTenant need, one entry per API in the order
// of their first mention.
func WishesOf(tenant v1alpha1.DefenderTenantSpec) []Wish {
	tokens := tenant.Tokens
	if len(tokens) == 0 {
		tokens = []v1alpha1.TokenSpec{{API: v1alpha1.APIDefenderXDR}}
	}
	var wishes []Wish
	for _, spec := range tokens {
		preset, name := presetOf(spec)
		i := slices.IndexFunc(wishes, func(w Wish) bool { return w.API == name })
		if i < 0 {
			i = len(wishes)
			wishes = append(wishes, Wish{API: name, ConsentRole: preset.ConsentRole})
		}
		for _, role := range spec.RequiredRoles {
			if !slices.ContainsFunc(wishes[i].Roles, func(known cloud.Role) bool { return known.Name == role }) {
				wishes[i].Roles = append(wishes[i].Roles, describe(preset, role))
			}
		}
	}
	return wishes
}

// presetOf finds what is known of the API that a token is for, and what people call it. A
// resource that no preset covers is named by its URI; Entra ID lets a Cloud Application
// Administrator consent to any API but Microsoft Graph.
func presetOf(spec v1alpha1.TokenSpec) (cloud.Preset, string) {
	if preset, known := cloud.PresetOf(spec.API); known {
		return preset, preset.Name
	}
	for _, preset := range cloud.Presets() {
		if cloud.Covers(string(preset.API), spec.Resource) {
			return preset, preset.Name
		}
	}
	return cloud.Preset{ConsentRole: cloudApplicationAdministrator}, spec.Resource
}

func describe(preset cloud.Preset, name string) cloud.Role {
	for _, known := range preset.Roles {
		if known.Name == name {
			return known
		}
	}
	return cloud.Role{Name: name}
}

// The directory roles that may consent, the lesser first.
const (
	cloudApplicationAdministrator = "Cloud Application Administrator"
	privilegedRoleAdministrator   = "Privileged Role Administrator"
)

// administrator is the least directory role that can consent to all wishes: one API that
// wants more decides for all, because the page is accepted as a whole.
func (q Question) administrator() string {
	for _, wish := range q.Wishes {
		if wish.ConsentRole == privilegedRoleAdministrator {
			return privilegedRoleAdministrator
		}
	}
	return cloudApplicationAdministrator
}

// host is where the link leads, and whether it is Microsoft's.
func (q Question) host() (host string, microsoft bool) {
	link, err := url.Parse(q.Link)
	if err != nil {
		return "", false
	}
	return link.Host, slices.Contains(cloud.Catalog{}.Hosts(), link.Host)
}
