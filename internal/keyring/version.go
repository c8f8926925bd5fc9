package keyring

import (
	"time"

	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
)

// version is one version of a credential and what Entra ID said of it.
type version struct {
	credential credential.Credential
	// refused is a fact; nil while it is accepted or not judged.
	refused *token.Fault
	// suspected is what the customers in met were told, before it is a fact.
	suspected   *token.Fault
	suspectedAt time.Time
	met         map[string]meeting // by tenant ID
	// accepted is whether it ever was, since is from when on without a refusal.
	accepted bool
	since    time.Time
	// away is why it could not be used the last time, without a word of Entra ID; awayAt is
	// when.
	away   *token.Fault
	awayAt time.Time
	// checkedAt is zero until it was judged; triedAt is of the last proof, whatever came of it.
	checkedAt, lastUsedAt, triedAt time.Time
}

// meeting is one customer's refusal.
type meeting struct {
	served bool
	at     time.Time
}

func (v *version) untested() bool { return v.checkedAt.IsZero() }

// works tells whether Entra ID accepts it, as far as is known.
func (v *version) works() bool { return v != nil && !v.untested() && v.refused == nil }

func (v *version) is(fingerprint string) bool {
	return v != nil && v.credential.Fingerprint == fingerprint
}

// rests tells whether it is put aside because it could not be used a moment ago.
func (v *version) rests(now time.Time) bool {
	since := now.Sub(v.awayAt)
	return v.away != nil && since >= 0 && since < rest
}

// accept records a token. One that was only a proof is no use of the credential: people
// look at the last use to see whether they may delete it.
func (v *version) accept(asker Asker, now time.Time) {
	if !v.works() {
		v.since = now
	}
	v.refused, v.suspected, v.met, v.away = nil, nil, nil, nil
	v.accepted, v.checkedAt = true, now
	if !asker.Canary {
		v.lastUsedAt = now
	}
}

// refuse records a refusal. It is a fact if the canary met it, or two customers who had
// tokens before; and where nobody ever had one, three customers.
func (v *version) refuse(asker Asker, fault *token.Fault, anybodyServed bool, now time.Time) {
	v.away = nil
	if v.refused != nil {
		v.checkedAt = now // with the words of the first refusal, so that the status is steady
		return
	}
	if v.met == nil {
		v.met, v.suspected, v.suspectedAt = map[string]meeting{}, fault, now
	}
	v.met[asker.TenantID] = meeting{served: asker.Served, at: now}
	served := 0
	for _, m := range v.met {
		if m.served {
			served++
		}
	}
	if asker.Canary || served >= 2 || !anybodyServed && len(v.met) >= 3 {
		v.refused, v.checkedAt = fault, now
		v.suspected, v.met = nil, nil
	}
}

// phase is what people are told of a version, without its times.
func (v *version) phase() [4]bool {
	return [4]bool{v.untested(), v.refused != nil, v.suspected != nil, v.away != nil}
}

// The order in which versions are tried.
const (
	rankWorking = iota
	rankUntested
	rankDoubted // by the one who asks
	rankResting
	rankRefused
)

// rank tells how good a version is for one who asks. Whoever was just refused with it uses
// another one for a while, but nobody else has to.
func (v *version) rank(asker Asker, now time.Time) int {
	met, doubted := v.met[asker.TenantID]
	switch {
	case v.refused != nil:
		return rankRefused
	case v.rests(now):
		return rankResting
	case doubted && now.Sub(met.at) < forgiveness:
		return rankDoubted
	case v.untested():
		return rankUntested
	default:
		return rankWorking
	}
}
