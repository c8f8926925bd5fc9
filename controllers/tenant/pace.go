package tenant

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/internal/token"
)

// inputs are compared to see whether former failures still mean anything.
type inputs struct {
	tenantGeneration, appGeneration int64
	appUID                          types.UID
	credential, terms               string
}

// pace is the rhythm of attempts for one token.
type pace struct {
	inputs   inputs
	attempts int          // failures in a row
	since    time.Time    // first of them
	next     time.Time    // not before
	fault    *token.Fault // the last of them
	owed     bool         // a refresh that somebody asked for is still to be tried, or to succeed
}

// pace gives the rhythm for a token; new inputs start a new one, and leave what is owed.
func (known *remembered) pace(name string, in inputs) pace {
	p := known.paces[name]
	if p.inputs != in {
		return pace{inputs: in, owed: p.owed}
	}
	return p
}

// note keeps the rhythm: failures in a row and when to try again. The next attempt counts
// from the start of this one, so that slow answers do not stretch the rhythm; a wait that
// Entra ID asked for counts from its answer.
func (known *remembered) note(res *result, in inputs, started, ended time.Time) {
	name := res.slot.spec.Name
	p := known.pace(name, in)
	if res.why == whyRequested {
		// Somebody is at it: what they are waiting for deserves dense looks again.
		p = pace{inputs: in}
	}
	owed := p.owed || res.why == whyRequested
	failed := res.failed()
	switch {
	case res.fault == nil && res.did != keep:
		p = pace{inputs: in}
	case failed && res.fault.Cure == token.ByWatch:
		// The edit that mends it is worth an attempt at once, and a token that could not be stored is still owed.
		p = pace{inputs: in, fault: res.fault, owed: owed && unstored(res.fault)}
	case failed:
		if p.attempts == 0 || p.fault.Cure != res.fault.Cure {
			p.attempts, p.since = 0, started
		}
		p.attempts++
		p.fault = res.fault
		p.owed = owed
		p.next = started.Add(delay(*res, p, started))
		if res.fault.After > 0 {
			p.next = ended.Add(res.fault.After)
		}
	}
	if res.fault != nil && res.fault.Cure != token.ByWatch {
		res.next = p.next
	}
	delete(known.paces, name) // most tenants are fine, and should cost no memory for it
	if p.fault != nil || p.owed {
		known.paces[name] = p
	}
}

// owe remembers a refresh request for a token that has to wait for its turn: the answer to
// another token may end the request before this one is called.
func (known *remembered) owe(res result, in inputs) {
	if res.why != whyRequested {
		return
	}
	name := res.slot.spec.Name
	known.paces[name] = pace{inputs: in, fault: known.pace(name, in).fault, owed: true}
}

// failed tells whether something was tried in vain. A pass that waits only carries the last failure along.
func (res result) failed() bool {
	switch res.did {
	case keep:
		return false
	case mint, move:
		return res.fault != nil
	default:
		return res.fault != nil && unstored(res.fault)
	}
}
