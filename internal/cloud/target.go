package cloud

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// Target is where a token of the spec leads: what to ask for and what to expect.
type Target struct {
	// API is the preset's name, empty for a bare resource.
	API v1alpha1.API
	// Resource is the URI to request a token for, without a trailing /.default.
	Resource string
	// Audiences are the values of aud that stand for it.
	Audiences []string
	// APIURL is the base URL for the customer's region.
	APIURL string
	// RetiresAt is when Microsoft ends the API, zero if nothing is announced.
	RetiresAt time.Time
	// Successor is what to move to by then.
	Successor v1alpha1.API
}

// Resolve works out the target of one token. With a fault it holds what is known anyway:
// no new token can be requested, but a held one can still be judged.
func Resolve(cloud v1alpha1.Cloud, region v1alpha1.Region, spec v1alpha1.TokenSpec) (Target, *token.Fault) {
	cloud = cmp.Or(cloud, v1alpha1.CloudPublic)
	region = cmp.Or(region, v1alpha1.RegionDefault)
	if spec.Resource != "" {
		return bare(spec)
	}
	preset, _ := PresetOf(spec.API)
	target := Target{
		API: preset.API, Resource: preset.Resources[cloud], Audiences: preset.audiences(),
		APIURL: preset.Hosts[cloud][region], RetiresAt: preset.RetiresAt, Successor: preset.Successor,
	}
	if target.APIURL == "" {
		return target, &token.Fault{
			Reason: v1alpha1.ReasonRegionNotSupported, Actor: token.ActorAuthor, Cure: token.ByWatch,
			Message: fmt.Sprintf("The API %s has no host for region %s in cloud %s. Its author must change spec.region or the token %s.", spec.API, region, cloud, spec.Name),
		}
	}
	return target, misspelled(preset, spec)
}

// audiences are all values of aud that stand for the API, whatever the cloud: a token
// that is held does not stop being for it because the application moved.
func (p Preset) audiences() []string {
	all := slices.Clone(p.Audiences)
	for _, uri := range p.Resources {
		all = append(all, uri)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// bare is the target of a resource without a preset: its URI is its audience and its host.
func bare(spec v1alpha1.TokenSpec) (Target, *token.Fault) {
	u, err := url.Parse(spec.Resource)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.HasSuffix(spec.Resource, "/.default") {
		return Target{}, &token.Fault{
			Reason: v1alpha1.ReasonResourceInvalid, Actor: token.ActorAuthor, Cure: token.ByWatch,
			Message: fmt.Sprintf("The resource of token %s is no https URI of an API. Its author must set the URI alone, as in https://api.security.microsoft.com, without /.default.", spec.Name),
		}
	}
	return Target{Resource: spec.Resource, Audiences: []string{spec.Resource}, APIURL: "https://" + u.Host}, nil
}

// misspelled finds a required role that exists nowhere while one of nearly the same
// name does, as Incidents.Read.All for Incident.Read.All. Roles unknown to the table pass:
// Microsoft adds some every year.
func misspelled(preset Preset, spec v1alpha1.TokenSpec) *token.Fault {
	for _, required := range spec.RequiredRoles {
		for _, known := range preset.Roles {
			if required == known.Name || plain(required) != plain(known.Name) || preset.knows(required) {
				continue
			}
			return &token.Fault{
				Reason: v1alpha1.ReasonRoleMisspelled, Actor: token.ActorAuthor, Cure: token.ByWatch,
				Message: fmt.Sprintf("The API %s has no role %s; it is called %s. Its author must correct requiredRoles of token %s.", preset.API, required, known.Name, spec.Name),
			}
		}
	}
	return nil
}

func (p Preset) knows(role string) bool {
	return slices.ContainsFunc(p.Roles, func(r Role) bool { return r.Name == role })
}

// plain is a role's name without case and without plurals.
func plain(role string) string {
	parts := strings.Split(strings.ToLower(role), ".")
	for i, part := range parts {
		parts[i] = strings.TrimSuffix(part, "s")
	}
	return strings.Join(parts, ".")
}

// Covers tells whether an entry of spec.apis of a DefenderGrant names a resource: it is
// its exact URI, or a preset that has this URI in one of the clouds.
func Covers(entry, resource string) bool {
	if resource == "" || entry == resource {
		return resource != ""
	}
	preset, known := PresetOf(v1alpha1.API(entry))
	if !known {
		return false
	}
	for _, uri := range preset.Resources {
		if uri == resource {
			return true
		}
	}
	return false
}
