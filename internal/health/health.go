package health

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/token"
)

// Options say how much may be asked. Both must be positive.
type Options struct {
	// RequestsPerSecond bounds the requests to one login host within any second.
	RequestsPerSecond float64
	// Workers is how many tenants are worked on at the same time.
	Workers int
	// Changed is called with a login host when its standing changes; it may be nil.
	Changed func(host string)
	// AppChanged is called with a DefenderApp when a failure of many of its tenants is recognised
	// as the application's, or is so no more; it may be nil.
	AppChanged func(app string)
}

// Visitor is a tenant that wants to ask for one token.
type Visitor struct {
	// Key is the DefenderTenant, TenantID its customer.
	Key      types.NamespacedName
	TenantID string
	// Host is the login host, App the DefenderApp.
	Host, App string
	// Served is whether the application got a token for this tenant before.
	Served bool
	// Class is its urgency: the higher, the sooner. Who is Pressing comes before all others;
	// for the others the class orders those of one namespace only.
	Class    int
	Pressing bool
	// ExpiresAt is the end of the token it holds, zero if it holds none.
	ExpiresAt time.Time
	// Refused is set when every credential of the application is refused.
	Refused *token.Fault
}

// Turn is the right to ask. Whoever has it ends it with Leave or Decline.
type Turn struct {
	visitor Visitor
	canary  bool // of an open breaker, or of an application whose credentials are refused
	slow    bool
	since   time.Time // it was called, or taken
}

// Hold says why there is no turn now.
type Hold struct {
	// Fault is what it waits for to end; nil if it is only a matter of its turn.
	Fault *token.Fault
	// Until is when to enter again. Zero: the visitor will be called.
	Until time.Time
}

// Health is the health of all login hosts. It may be used from several goroutines.
type Health struct {
	options Options
	calls   chan struct{}

	mu     sync.Mutex
	hosts  map[string]*host
	chorus chorus
}

// New makes a Health in which every host is thought well of.
func New(o Options) *Health {
	return &Health{options: o, calls: make(chan struct{}, 1), hosts: map[string]*host{}, chorus: chorus{parts: map[part]*voices{}}}
}

// Enter gives a turn, or lets the visitor wait. One that was called gets its turn.
func (h *Health) Enter(v Visitor, now time.Time) (Turn, *Hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, other := range h.hosts {
		if name != v.Host {
			other.withdraw(v.Key) // its application moved to another cloud
		}
	}
	at := h.host(v.Host)
	at.dropLost(now)
	turn, hold := at.enter(v, now)
	if hold != nil {
		h.signal()
	}
	return turn, hold
}

// Leave ends a turn with what came of it: nil for a token, else the fault.
func (h *Health) Leave(t Turn, outcome *token.Fault, now time.Time) {
	h.mu.Lock()
	at := h.host(t.visitor.Host)
	changed := at.leave(t, outcome, now)
	h.signal()
	h.mu.Unlock()
	if changed && h.options.Changed != nil {
		h.options.Changed(t.visitor.Host)
	}
}

// Decline ends a turn in which nobody was asked.
func (h *Health) Decline(t Turn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.host(t.visitor.Host).decline(t)
	h.signal()
}

// Charge counts a request beyond the one that a turn stands for.
func (h *Health) Charge(hostname string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.host(hostname).pace.charge()
}

// Call gives the visitors whose turn has come, and when to call again; that is zero if
// nobody waits for anything but a signal.
func (h *Health) Call(now time.Time) (called []Visitor, again time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, at := range h.hosts {
		at.dropLost(now)
		called = append(called, at.call(now)...)
		if next := at.next(now); !next.IsZero() && (again.IsZero() || next.Before(again)) {
			again = next
		}
	}
	return called, again
}

// Calls has a signal when Call may have something new to say.
func (h *Health) Calls() <-chan struct{} { return h.calls }

// Reconsider lets an application whose credentials are refused send its next canary at
// once: one of them has changed.
func (h *Health) Reconsider(app string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, at := range h.hosts {
		if a := at.apps[app]; a != nil {
			a.nextProbe = time.Time{}
		}
	}
	h.signal()
}

// Withdraw takes out a tenant that waits or was called and wants nothing any more.
func (h *Health) Withdraw(key types.NamespacedName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, at := range h.hosts {
		at.withdraw(key)
	}
	h.signal()
}

// Forget drops a tenant that is no more.
func (h *Health) Forget(key types.NamespacedName, now time.Time) {
	h.Withdraw(key)
	h.mu.Lock()
	for _, at := range h.hosts {
		at.speed.forget(key)
	}
	h.mu.Unlock()
	h.Hear(key, nil, now)
}

// Standing is how a login host stands.
type Standing struct {
	// Known is whether it was asked at all.
	Known bool
	// Fault is why requests are held back; nil while it answers.
	Fault *token.Fault
	// Waiting is how many tenants wait for a turn.
	Waiting int
}

// Of tells how a login host stands.
func (h *Health) Of(hostname string) Standing {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.hosts[hostname]
	if at == nil {
		return Standing{}
	}
	return Standing{Known: at.asked, Fault: at.breaker.open, Waiting: at.waiting()}
}

// host needs mu.
func (h *Health) host(name string) *host {
	at := h.hosts[name]
	if at == nil {
		at = newHost(h.options)
		h.hosts[name] = at
	}
	return at
}

func (h *Health) signal() {
	select {
	case h.calls <- struct{}{}:
	default:
	}
}
