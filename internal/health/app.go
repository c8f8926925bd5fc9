package health

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/token"
)

const (
	// refusedProbe is the time between two canaries of an application whose credentials are all
	// refused: no token that is due goes without an attempt for longer.
	refusedProbe = 30 * time.Second
	// unclearProbe follows a canary that brought no news of the credential.
	unclearProbe = 5 * time.Second
)

// app is an application of which every credential is refused: its tenants wait while one
// canary at a time tries.
type app struct {
	held      *room
	nextProbe time.Time
	canary    types.NamespacedName // out at the moment, empty: nobody
	probed    map[types.NamespacedName]bool
}

func newApp() *app { return &app{held: newRoom(), probed: map[types.NamespacedName]bool{}} }

func (a *app) mayProbe(now time.Time) bool {
	return a.canary == types.NamespacedName{} && reached(a.nextProbe, now)
}

func (a *app) probe(key types.NamespacedName, now time.Time) {
	a.canary, a.nextProbe = key, now.Add(refusedProbe)
	a.probed[key] = true
}

// returned is when a visitor is back without a token.
func (a *app) returned(key types.NamespacedName, outcome *token.Fault, now time.Time) {
	if a.canary != key {
		return
	}
	a.canary = types.NamespacedName{}
	if outcome.Scope != token.ScopeCredential {
		a.nextProbe = now.Add(unclearProbe)
	}
}
