package tenant

import (
	"testing"

	"github.com/defender-tenant/operator/internal/token"
)

// A pass that only waits must not put off the attempt that it waits for. While etcd takes no writes, each failed write of the
// status wakes the tenant again, and the attempt would never come.
func TestNote_WaitingAfterAFailedWriteIsNoAttempt(t *testing.T) {
	write := &token.Fault{Reason: "WriteFailed", Cure: token.ByRetry}
	once, _ := noted(t, result{did: mint, fault: write})
	p, res := noted(t, result{did: mint, fault: write}, result{did: keep, fault: write}, result{did: keep, fault: write})
	if p.attempts != 1 || !p.next.Equal(once.next) || !res.next.Equal(once.next) {
		t.Errorf("after %d attempts the next one is at %v, want it to stay at %v", p.attempts, p.next, once.next)
	}
}
