package health

import (
	"k8s.io/apimachinery/pkg/types"
)

// withdraw is for a tenant that wants nothing any more.
func (at *host) withdraw(key types.NamespacedName) {
	for _, r := range at.rooms() {
		r.remove(key)
	}
	if turn := at.called[key]; turn != nil {
		at.release(*turn)
	}
}

func (at *host) rooms() []*room {
	all := []*room{at.ready, at.slow}
	for _, a := range at.apps {
		all = append(all, a.held)
	}
	return all
}

func (at *host) waiting() int {
	n := 0
	for _, r := range at.rooms() {
		n += r.len()
	}
	return n
}

func (at *host) othersWait(key types.NamespacedName) bool {
	for _, r := range at.rooms() {
		if r.othersThan(key) {
			return true
		}
	}
	return false
}

// slowOut is how many of the slow ask now, or were called to.
func (at *host) slowOut() int {
	n := 0
	for _, turns := range []map[types.NamespacedName]*Turn{at.called, at.taken} {
		for _, turn := range turns {
			if turn.slow {
				n++
			}
		}
	}
	return n
}
