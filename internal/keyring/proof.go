package keyring

import (
	"maps"
	"slices"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
)

const (
	// proofGap is the least time between two proofs of one application.
	proofGap = 5 * time.Second
	// proofRetry is the least time between two proofs of one version.
	proofRetry = time.Minute
	// standbyInterval is how often a credential that nobody uses is proved.
	standbyInterval = 24 * time.Hour
)

// Proof asks for one token that nobody needs, to learn what Entra ID thinks of a credential.
type Proof struct {
	Credential credential.Credential
	// Why is for the log.
	Why string
	// Due is when it is wanted, long ago if at once.
	Due time.Time
	// Spared are the tenant IDs to choose only for want of others: they met the refusal that
	// is to be examined, or said nothing when they were last asked.
	Spared []string
}

// Wanted is the proof that is wanted next, nil if none is in sight. It judges by what
// Entries or Pick last read.
func (k *Keyring) Wanted(app *v1alpha1.DefenderApp, now time.Time) *Proof {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.apps[app.Name]
	if a == nil || a.identity != identityOf(app) {
		return nil
	}
	if a.wantedAt.IsZero() {
		a.wantedAt = now
	}
	var next *Proof
	for _, v := range versions(a.records) {
		due, why := a.dueOf(v, now)
		if why == "" {
			continue
		}
		if !v.triedAt.IsZero() {
			due = latest(due, v.triedAt.Add(proofRetry))
		}
		if !a.provedAt.IsZero() {
			due = latest(due, a.provedAt.Add(proofGap))
		}
		if next == nil || due.Before(next.Due) {
			next = &Proof{Credential: v.credential, Why: why, Due: due, Spared: slices.Sorted(maps.Keys(v.met))}
		}
	}
	if next != nil {
		next.Spared = append(next.Spared, a.silent...)
	}
	return next
}

// dueOf tells when a version wants a proof, and why: no reason, no proof.
func (a *application) dueOf(v *version, now time.Time) (due time.Time, why string) {
	stored := slices.ContainsFunc(a.records, func(r *record) bool { return r.current == v && r.fault == nil })
	switch {
	case v.refused != nil && (!stored || refusalOfAll(a.records, now) != nil):
		return due, "" // nobody waits for it, or those who need a token try it themselves
	case v.refused != nil:
		return latest(v.checkedAt, a.wantedAt).Add(forgiveness), "refused"
	case v.away != nil:
		return v.awayAt.Add(rest), "could not be used"
	case v.suspected != nil:
		return v.suspectedAt, "suspected"
	case !stored:
		return due, ""
	case v.untested():
		return due, "new"
	default:
		return v.checkedAt.Add(standbyInterval), "unused for a day"
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
