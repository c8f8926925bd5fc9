package health

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/token"
)

const (
	// chorusServed is how many tenants that were served before must begin to fail alike,
	// chorusAnyone how many where nobody is served.
	chorusServed, chorusAnyone = 2, 3
	// forgotten is when a token that was issued says nothing any more of those who fail now.
	forgotten = 2 * time.Hour
	// listeners bounds how many who fail are remembered: far more than it takes.
	listeners = 64
)

// Voice is how one token of a tenant fares.
type Voice struct {
	Key types.NamespacedName
	// App is the DefenderApp, Resource the API.
	App, Resource string
	// Fault is why there is no new token, nil if nothing is the matter.
	Fault *token.Fault
	// IssuedAt is when the token that is held was issued, zero without one.
	IssuedAt time.Time
	// Served is whether the application got a token for this tenant before.
	Served bool
}

// chorus recognises a failure that many tenants of an application meet in the same way, while
// nobody succeeds, as the application's.
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
	cause  token.Fault
	since  time.Time
	served bool
}

// hear takes in how a token fares.
func (c *chorus) hear(v Voice, now time.Time) {
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
		delete(heard.failing, v.Key)
		return
	}
	if known, ok := heard.failing[v.Key]; (!ok || known.cause.Message != cause.Message) && heard.makeRoom() {
		heard.failing[v.Key] = complaint{cause: *cause, since: now, served: v.Served}
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
	case fault == nil || fault.Shared:
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
	var found *token.Fault
	for at, heard := range c.parts {
		if at.app != app {
			continue
		}
		if fault := heard.recognise(now); fault != nil && (found == nil || fault.Message < found.Message) {
			found = fault
		}
	}
	return found
}

// recognise counts those who fail alike since the last success.
func (v *voices) recognise(now time.Time) *token.Fault {
	served, all := map[string]int{}, map[string]int{}
	var found *token.Fault
	for _, complaint := range v.failing {
		if !complaint.since.After(v.lastIssued) {
			continue
		}
		cause := complaint.cause
		all[cause.Message]++
		if complaint.served {
			served[cause.Message]++
		}
		nobodyServed := now.Sub(v.lastIssued) > forgotten
		enough := served[cause.Message] >= chorusServed || nobodyServed && all[cause.Message] >= chorusAnyone
		if enough && (found == nil || cause.Message < found.Message) {
			found = &cause
		}
	}
	return found
}

func (c *chorus) forget(key types.NamespacedName) {
	for _, heard := range c.parts {
		delete(heard.failing, key)
	}
}

// Hear takes in how a token of a tenant fares, and tells Changed if that makes a failure the
// application's, or ends one that was.
func (h *Health) Hear(v Voice, now time.Time) {
	h.mu.Lock()
	before := h.chorus.of(v.App, now)
	h.chorus.hear(v, now)
	after := h.chorus.of(v.App, now)
	h.mu.Unlock()
	if (before == nil) != (after == nil) && h.options.AppChanged != nil {
		h.options.AppChanged(v.App)
	}
}

// OfApp is what many tenants of an application suffer from alike, nil if there is no such thing.
func (h *Health) OfApp(app string, now time.Time) *token.Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chorus.of(app, now)
}
