package health

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// slowFloor is what nobody counts as slow below.
	slowFloor = 2 * time.Second
	// slowFactor is how many times the usual duration counts as slow. It is relative, because
	// when a host is slow for all, all need their workers.
	slowFactor = 4
	// memoryOfSpeed is the weight of the latest answer in what is usual.
	memoryOfSpeed = 0.05
)

// speed knows what is usual, and who takes much longer.
type speed struct {
	usual time.Duration
	slow  map[types.NamespacedName]bool
}

func newSpeed() speed { return speed{slow: map[types.NamespacedName]bool{}} }

func (s *speed) isSlow(key types.NamespacedName) bool { return s.slow[key] }

// note judges a tenant by its last answer alone: one that became quick is quick.
func (s *speed) note(key types.NamespacedName, took time.Duration) {
	if s.usual == 0 {
		s.usual = min(took, slowFloor)
	}
	if took > max(slowFloor, slowFactor*s.usual) {
		s.slow[key] = true
	} else {
		delete(s.slow, key)
	}
	s.usual += time.Duration(memoryOfSpeed * float64(took-s.usual))
}

func (s *speed) forget(key types.NamespacedName) { delete(s.slow, key) }

func (s *speed) forgive() { clear(s.slow) }
