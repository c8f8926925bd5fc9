package health

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/token"
)

const (
	// chorusServed is how many customers that were served before must begin to fail alike,
	// chorusAnyone how many where nobody is served.
	chorusServed, chorusAnyone = 2, 3
	// forgotten is when a token that was issued says nothing any more of those who fail now.
	forgotten = 2 * time.Hour
	// listeners bounds how many who fail are remembered: far more than it takes.
	listeners = 64
)

// Voice is how one token of a tenant fares.
type Voice struct {
	// TenantID is the customer.
	TenantID string
	// App is the DefenderApp, Resource the API.
	App, Resource string
	// Fault is why there is no new token, nil if nothing is the matter.
	Fault *token.Fault
	// Since is when that failure began, zero if it did just now.
	Since time.Time
	// IssuedAt is when the token that is held was issued, zero without one.
	IssuedAt time.Time
	// Served is whether the application got a token for this tenant before.
	Served bool
}

// chorus recognises a failure that many customers of an application meet in the same way,
// while nobody succeeds, as the application's.
type chorus struct{ parts map[part]*voices }

// part is one API asked for with one application.
type part struct{ app, resource string }

// voices are those who fail, and when somebody last succeeded.
type voices struct {
	failing    map[types.NamespacedName]complaint
	lastIssued time.Time
}

// complaint is what the failure of a tenant would mean if it were everybody's.
type complaint struct {
	cause    token.Fault
	tenantID string
	since    time.Time
	served   bool
}

// hear takes in all that a tenant has to say; what it said before of other APIs is over.
func (c *chorus) hear(key types.NamespacedName, said []Voice, now time.Time) {
	wanted := map[part]bool{}
	for _, v := range said {
		wanted[part{v.App, v.Resource}] = true
		c.take(key, v, now)
	}
	for at, heard := range c.parts {
		if !wanted[at] {
			delete(heard.failing, key)
		}
		if len(heard.failing) == 0 && now.Sub(heard.lastIssued) > forgotten {
			delete(c.parts, at)
		}
	}
}

func (c *chorus) take(key types.NamespacedName, v Voice, now time.Time) {
	if v.Fault != nil && (v.Fault.Shared || v.Fault.Scope == token.ScopeHost) {
		return // no news of the application
	}
	at := part{v.App, v.Resource}
	heard := c.parts[at]
	cause := commonCause(v.Fault)
	if heard == nil {
		if cause == nil && v.IssuedAt.IsZero() {
			return
		}
		heard = &voices{failing: map[types.NamespacedName]complaint{}}
		c.parts[at] = heard
	}
	heard.lastIssued = later(heard.lastIssued, v.IssuedAt)
	if cause == nil {
		delete(heard.failing, key)
		return
	}
	since := v.Since
	if since.IsZero() {
		since = now
	}
	if known, ok := heard.failing[key]; (!ok || known.cause.Message != cause.Message) && heard.makeRoom() {
		heard.failing[key] = complaint{cause: *cause, tenantID: v.TenantID, since: since, served: v.Served}
	}
}

// makeRoom tells whether one more can be remembered. Who began to fail before the last
// success says nothing any more.
func (v *voices) makeRoom() bool {
	if len(v.failing) >= listeners {
		maps.DeleteFunc(v.failing, func(_ types.NamespacedName, c complaint) bool { return !c.since.After(v.lastIssued) })
	}
	return len(v.failing) < listeners
}

// commonCause is what a failure means if many tenants meet it, nil if it is each one's own.
func commonCause(fault *token.Fault) *token.Fault {
	switch {
	case fault == nil:
		return nil
	case fault.InMany != nil:
		return fault.InMany
	case fault.Scope == token.ScopeApp:
		return fault
	}
	return nil
}

// of is the failure of an application, or nil: always the same one if there are several.
func (c *chorus) of(app string, now time.Time) *token.Fault {
	var lastIssued time.Time
	for at, heard := range c.parts {
		if at.app == app {
			lastIssued = later(lastIssued, heard.lastIssued)
		}
	}
	var found *token.Fault
	for at, heard := range c.parts {
		if at.app != app {
			continue
		}
		// If another API of the application works, this one may be one author's mistake.
		elsewhere := now.Sub(lastIssued) <= forgotten && lastIssued.After(heard.lastIssued)
		if fault := heard.recognise(now, elsewhere); fault != nil && (found == nil || fault.Message < found.Message) {
			found = fault
		}
	}
	return found
}

// witnesses are who met one failure.
type witnesses struct {
	cause               token.Fault
	served, all, spaces map[string]bool
}

// recognise counts the customers who fail alike since the last success.
func (v *voices) recognise(now time.Time, elsewhere bool) *token.Fault {
	counts := map[string]*witnesses{}
	for key, complaint := range v.failing {
		if !complaint.since.After(v.lastIssued) {
			continue
		}
		w := counts[complaint.cause.Message]
		if w == nil {
			w = &witnesses{cause: complaint.cause, served: map[string]bool{}, all: map[string]bool{}, spaces: map[string]bool{}}
			counts[complaint.cause.Message] = w
		}
		w.all[complaint.tenantID], w.spaces[key.Namespace] = true, true
		if complaint.served {
			w.served[complaint.tenantID] = true
		}
	}
	var found *token.Fault
	for _, w := range counts {
		if w.suffice(now.Sub(v.lastIssued) > forgotten, elsewhere) && (found == nil || w.cause.Message < found.Message) {
			found = &w.cause
		}
	}
	return found
}

func (w *witnesses) suffice(nobodyServed, elsewhere bool) bool {
	if elsewhere && len(w.spaces) < 2 {
		return false
	}
	return len(w.served) >= chorusServed || nobodyServed && len(w.all) >= chorusAnyone
}

// apps are those of which a tenant said something, or says it now.
func (c *chorus) apps(key types.NamespacedName, said []Voice) map[string]bool {
	found := map[string]bool{}
	for _, v := range said {
		found[v.App] = true
	}
	for at, heard := range c.parts {
		if _, ok := heard.failing[key]; ok {
			found[at.app] = true
		}
	}
	return found
}

// Hear takes in how all tokens of a tenant fare, and tells AppChanged if that makes a failure
// an application's, or ends one that was.
func (h *Health) Hear(key types.NamespacedName, said []Voice, now time.Time) {
	h.mu.Lock()
	before := map[string]bool{}
	for app := range h.chorus.apps(key, said) {
		before[app] = h.chorus.of(app, now) != nil
	}
	h.chorus.hear(key, said, now)
	var changed []string
	for app, had := range before {
		if (h.chorus.of(app, now) != nil) != had {
			changed = append(changed, app)
		}
	}
	h.mu.Unlock()
	if h.options.AppChanged != nil {
		for _, app := range changed {
			h.options.AppChanged(app)
		}
	}
}

// OfApp is what many tenants of an application suffer from alike, nil if there is no such thing.
func (h *Health) OfApp(app string, now time.Time) *token.Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chorus.of(app, now)
}
