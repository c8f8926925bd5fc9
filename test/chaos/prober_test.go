package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// prober is the workload of every tenant at once: each second it reads all token Secrets, past the
// operator, and asks the emulator's ledger what the tokens in them are worth.
type prober struct {
	api   client.Client
	entra *entra.Emulator

	mu        sync.Mutex
	customers map[types.NamespacedName]customer
	held      map[types.UID]sighting
	findings  map[string][]string // by namespace
}

// customer is what the tokens of a DefenderTenant have to be.
type customer struct {
	tenantID, clientID string
	served             bool // it had a token
	earlier            bool // a token may be replaced by one that ends earlier
	bare               time.Duration
	lastSeen           time.Time
}

// sighting is the last token seen in a Secret.
type sighting struct {
	sha256  string
	expires time.Time
}

func startProber(t *testing.T, api client.Client, emulator *entra.Emulator) *prober {
	t.Helper()
	p := &prober{
		api: api, entra: emulator,
		customers: map[types.NamespacedName]customer{}, held: map[types.UID]sighting{}, findings: map[string][]string{},
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.look(ctx)
			}
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
	return p
}

// expect tells whose tokens the Secrets of a DefenderTenant have to hold.
func (p *prober) expect(key types.NamespacedName, c customer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.customers[key] = c
}

// forget ends the watch over a namespace.
func (p *prober) forget(namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.customers {
		if key.Namespace == namespace {
			delete(p.customers, key)
		}
	}
}

// found gives what was wrong in a namespace.
func (p *prober) found(namespace string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.findings[namespace]
}

// bare is for how long a tenant that once had a good token had none.
func (p *prober) bare(key types.NamespacedName) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.customers[key].bare
}

// look reads all token Secrets once. While the API server does not answer nothing is known, and a
// workload has what it had before.
func (p *prober) look(ctx context.Context) {
	started := time.Now() // what has not ended by now had not ended when it was read
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var list corev1.SecretList
	if p.api.List(ctx, &list, client.MatchingFields{"type": v1alpha1.SecretType}) != nil {
		return
	}
	ledger := map[string]entra.IssuedToken{}
	for _, issued := range p.entra.Tokens() {
		ledger[issued.SHA256] = issued
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	good := map[types.NamespacedName]bool{}
	for i := range list.Items {
		secret := &list.Items[i]
		owner := metav1.GetControllerOf(secret)
		if owner == nil {
			continue // nobody's: whether it stays untouched is another question
		}
		key := types.NamespacedName{Namespace: secret.Namespace, Name: owner.Name}
		if c, known := p.customers[key]; known && len(secret.Data[v1alpha1.KeyToken]) > 0 && p.judge(key, c, secret, ledger, started) {
			good[key] = true
		}
	}
	p.count(good, started)
}

// judge needs mu. It tells whether a workload can use the token.
func (p *prober) judge(key types.NamespacedName, c customer, secret *corev1.Secret, ledger map[string]entra.IssuedToken, now time.Time) bool {
	digest := sha256.Sum256(secret.Data[v1alpha1.KeyToken])
	issued, known := ledger[hex.EncodeToString(digest[:])]
	report := func(format string, args ...any) {
		p.findings[key.Namespace] = append(p.findings[key.Namespace], now.Format(time.TimeOnly)+" Secret "+secret.Name+" "+fmt.Sprintf(format, args...))
	}
	switch {
	case !known:
		report("holds a token that was never issued")
		return false
	case issued.Tenant != c.tenantID || issued.AppID != c.clientID:
		report("holds a token of tenant %s and application %s, want %s and %s", issued.Tenant, issued.AppID, c.tenantID, c.clientID)
		return false
	case !issued.Expires.After(now):
		report("holds a token that ended at %s", issued.Expires.Format(time.TimeOnly))
		return false
	}
	if before, seen := p.held[secret.UID]; seen && before.sha256 != issued.SHA256 && issued.Expires.Before(before.expires) && !c.earlier {
		report("got a token that ends at %s for one that ends at %s", issued.Expires.Format(time.TimeOnly), before.expires.Format(time.TimeOnly))
	}
	p.held[secret.UID] = sighting{issued.SHA256, issued.Expires}
	return true
}

// count needs mu. It adds up for how long those who were served have nothing.
func (p *prober) count(good map[types.NamespacedName]bool, now time.Time) {
	for key, c := range p.customers {
		switch {
		case good[key]:
			c.served = true
		case c.served && !c.lastSeen.IsZero():
			c.bare += now.Sub(c.lastSeen)
		}
		c.lastSeen = now
		p.customers[key] = c
	}
}

// served tells whether a tenant had a good token when it was last looked at.
func (p *prober) served(key types.NamespacedName) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.customers[key].served
}
