package tenant

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

const (
	// budgetBurst and budgetInterval are each tenant's own share of token requests: a loop
	// of edits or refresh requests costs nobody else anything.
	budgetBurst    = 10
	budgetInterval = 10 * time.Second
	// cacheLag is how soon to look again when the cache does not show our own last write.
	cacheLag = 20 * time.Millisecond
	// maxLags is how often to look again before our own last write is held for lost: an API
	// server that was restored from a backup never shows it.
	maxLags = 1500
)

// memory is what the process remembers of its tenants: how to pace attempts, never what
// to do. Losing it is an ordinary restart.
type memory struct {
	mu      sync.Mutex
	tenants map[types.NamespacedName]*remembered
	told    time.Time // when it was last said that no status can be written
}

// complains tells whether it is time to say again what concerns all objects.
func (m *memory) complains(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.told) < 10*time.Minute && !m.told.IsZero() {
		return false
	}
	m.told = now
	return true
}

// remembered belongs to the one worker that has the object in hand.
type remembered struct {
	uid     types.UID
	budget  *rate.Limiter
	paces   map[string]pace
	written map[string]string // resourceVersion of our last write, by Secret name; "" is the tenant itself
	lags    int               // looks in a row at a cache that shows less than that
	handled request
	queued  bool // it waits for a turn
	quiet   bool // its renewal fails together with everybody's

	// Guarded by memory.mu, because watches and the sweep read them.
	failing bool
	planned time.Time // when the next pass was planned, zero if nothing is due
}

func (m *memory) of(key types.NamespacedName, uid types.UID) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tenants == nil {
		m.tenants = map[types.NamespacedName]*remembered{}
	}
	known := m.tenants[key]
	if known == nil || known.uid != uid {
		known = &remembered{
			uid: uid, paces: map[string]pace{}, written: map[string]string{},
			budget: rate.NewLimiter(rate.Every(budgetInterval), budgetBurst),
		}
		m.tenants[key] = known
	}
	return known
}

func (m *memory) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tenants, key)
}

// isFailing tells whether the last pass over an object ended with a failure. An object
// that was never seen counts: it has everything to gain from a look.
func (m *memory) isFailing(key types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.tenants[key]
	return known == nil || known.failing
}

func (m *memory) setFailing(known *remembered, failing bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known.failing = failing
}

// plan keeps when an object is to be looked at next.
func (m *memory) plan(key types.NamespacedName, now time.Time, after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.tenants[key]
	if known == nil {
		return
	}
	known.planned = time.Time{}
	if after > 0 {
		// On the wall clock: on the monotonic one a look that a suspended machine slept through
		// is still to come.
		known.planned = now.Add(after).Round(0)
	}
}

// expects tells whether an object is to be looked at before long.
func (m *memory) expects(key types.NamespacedName, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.tenants[key]
	return known != nil && known.planned.After(now) && known.planned.Before(now.Add(2*queuedLook))
}

// late are the objects whose planned look is overdue.
func (m *memory) late(now time.Time) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []types.NamespacedName
	for key, known := range m.tenants {
		if !known.planned.IsZero() && now.Sub(known.planned) > overdueAfter {
			keys = append(keys, key)
		}
	}
	return keys
}

// behind tells whether the cache shows less than we wrote ourselves. Acting on it would
// ask Entra ID for what is already there.
func (known *remembered) behind(tenant *v1alpha1.DefenderTenant, secrets map[string]*holding) bool {
	behind := older(tenant.ResourceVersion, known.written[""])
	for name, h := range secrets {
		behind = behind || older(h.secret.ResourceVersion, known.written[name])
	}
	if !behind {
		known.lags = 0
		return false
	}
	if known.lags++; known.lags > maxLags {
		clear(known.written)
		return false
	}
	return true
}

func (known *remembered) wrote(secret *corev1.Secret) {
	known.written[secret.Name] = secret.ResourceVersion
}

func older(shown, written string) bool {
	if written == "" {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(shown, written)
	return err == nil && order < 0
}
