package simulate

import (
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	// margin is how much life a token must have left to be of use to whoever reads it.
	margin = time.Minute
	// firstGrace is what the first token may take, beside the time that the configured rate needs for everybody's.
	firstGrace = time.Minute
)

// judge reads every version of every Secret as a workload does and holds it against Entra ID's ledger. It believes
// nothing that the operator says but when the next renewal is planned.
type judge struct {
	clocks *clocks
	fleet  *fleet
	ledger *ledger
	chance chance

	mu        sync.Mutex
	holders   []holder
	foreign   int // versions of Secrets with a token that is not the tenant's
	published int
	lateness  []time.Duration
	trials    []*trial
}

// holder is what one tenant's Secret has been.
type holder struct {
	goodUntil time.Duration // of what it holds
	due       time.Duration // when that is to be renewed, zero if it holds nothing
	settled   time.Duration // up to when loss was counted
	lost      time.Duration
	first     time.Duration // when the first good token came
}

// settle counts the time without a good token up to now.
func (h *holder) settle(now time.Duration) {
	h.lost += max(0, now-max(h.settled, h.goodUntil))
	h.settled = max(h.settled, now)
}

// trial is an ordeal under observation.
type trial struct {
	ordeal
	over        bool
	ends        []time.Duration // of the tokens held at the beginning, of the tenants that it meets
	unavoidable time.Duration   // for an operator that gets all tokens at the first instant after it
	atRate      time.Duration   // for one that gets them at the configured rate, the soonest to end first
	pending     map[int]bool    // tenants whose renewal was missed
	freshAfter  time.Duration
}

func newJudge(c *clocks, f *fleet, l *ledger, seed chance) *judge {
	j := &judge{clocks: c, fleet: f, ledger: l, chance: seed, holders: make([]holder, len(f.tenants))}
	for i := range j.holders {
		j.holders[i].settled = grace(len(f.tenants))
	}
	return j
}

// grace is how long the first token may take: with it comes one more request for the tenant's configuration.
func grace(tenants int) time.Duration {
	return firstGrace + time.Duration(tenants)*2*time.Second/requestRate
}

// sees takes note of a version of a Secret.
func (j *judge) sees(secret *corev1.Secret) {
	i, ours := j.fleet.bySecret[client.ObjectKeyFromObject(secret)]
	if !ours {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clocks.elapsed()
	h := &j.holders[i]
	h.settle(now)
	due := h.due
	h.goodUntil, h.due = 0, 0
	text := secret.Data[v1alpha1.KeyToken]
	if len(text) == 0 {
		return
	}
	claims, err := token.Parse(redacted.New(string(text)))
	e, known := j.ledger.issued(claims.ID)
	if err != nil || !known || e.outcome != granted || e.tenant != i || claims.TenantID != j.fleet.tenants[i].id {
		j.foreign++
		return
	}
	j.published++
	h.goodUntil = e.ends - margin
	if planned, err := time.Parse(time.RFC3339, secret.Annotations[v1alpha1.RefreshAtAnnotation]); err == nil {
		h.due = planned.Sub(j.clocks.started) - time.Duration(j.clocks.wrong.Load())
	}
	if h.first == 0 {
		h.first = now
	}
	if due > 0 && !j.troubled(due) {
		j.lateness = append(j.lateness, max(0, now-due))
	}
	for _, t := range j.trials {
		t.refreshed(i, now)
	}
}

// troubled tells whether a renewal fell into an ordeal.
func (j *judge) troubled(due time.Duration) bool {
	return slices.ContainsFunc(j.trials, func(t *trial) bool { return due >= t.from && due < t.to })
}

func (t *trial) refreshed(tenant int, now time.Duration) {
	if t.over && t.pending[tenant] {
		delete(t.pending, tenant)
		t.freshAfter = now - t.to
	}
}

// begin looks at what everybody holds as an ordeal starts.
func (j *judge) begin(o ordeal) *trial {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := &trial{ordeal: o, pending: map[int]bool{}}
	for i, h := range j.holders {
		if o.meets(j.chance, i) {
			t.ends = append(t.ends, h.goodUntil)
		}
	}
	slices.Sort(t.ends)
	j.trials = append(j.trials, t)
	return t
}

// end works out what had to be lost, and who has to catch up.
func (j *judge) end(t *trial) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t.over = true
	for place, end := range t.ends {
		if !t.hopeless {
			break
		}
		from := max(t.from, end)
		t.unavoidable += max(0, t.to-from)
		wait := time.Duration(max(0, (place+1)*t.requests-requestRate)) * time.Second / requestRate
		t.atRate += max(0, t.to+wait-from)
	}
	now := j.clocks.elapsed()
	for i, h := range j.holders {
		if t.meets(j.chance, i) && (h.goodUntil <= now || h.due <= now) {
			t.pending[i] = true
		}
	}
}

// finish settles everybody's account.
func (j *judge) finish() {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clocks.elapsed()
	for i := range j.holders {
		j.holders[i].settle(now)
	}
}
