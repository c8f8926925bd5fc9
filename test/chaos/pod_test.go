package chaos

import (
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// A kubelet starts a container that ended again at once, and from the second time on after a wait that
	// doubles.
	firstBackoff = 10 * time.Second
	// Liveness as in config/manager, but asked more often and given up sooner.
	livenessDelay    = 15 * time.Second
	livenessPeriod   = 5 * time.Second
	livenessFailures = 3
)

// pod is one replica of the operator under a supervisor that does what a kubelet does: a process that ends is
// followed by another one, and one that does not answer its liveness probe is ended.
type pod struct {
	sc      *scene
	args    []string
	address *operator // what all its processes have in common
	done    chan struct{}
	stop    chan struct{}

	mu      sync.Mutex
	process *operator
	wanted  bool // the end of the process is the test's doing
	ends    int  // processes that ended by themselves
}

// deploy takes the operator of the stage away and runs replicas in its place until the row is over. The log that the
// oracle reads is that of all of them.
func (sc *scene) deploy(replicas int, args ...string) []*pod {
	sc.t.Helper()
	idle := sc.operator
	select {
	case <-idle.ended:
	default:
		sc.terminate(idle)
	}
	var pods []*pod
	all := &journal{}
	for range replicas {
		p := &pod{sc: sc, args: args, address: sc.newOperator(), done: make(chan struct{}), stop: make(chan struct{})}
		p.address.log = all
		pods = append(pods, p)
	}
	sc.operator = pods[0].address // it never ends: its processes do
	for _, p := range pods {
		go p.supervise()
	}
	sc.t.Cleanup(func() {
		for _, p := range pods {
			p.remove()
		}
		if sc.t.Failed() {
			sc.t.Logf("the log of all replicas:\n%s", all.text())
		}
		s := sc.in(sc.root)
		s.operator = idle
		*idle = *s.spawn(nil)
		s.awaitReady(idle)
	})
	for _, p := range pods {
		p.awaitReady()
	}
	return pods
}

// supervise runs until remove.
func (p *pod) supervise() {
	defer close(p.done)
	backoff := time.Duration(0)
	for {
		o, err := p.begin()
		if err != nil {
			p.sc.t.Errorf("start the operator: %v", err)
			return
		}
		p.attend(o)
		if !p.expected() {
			select {
			case <-p.stop:
				return
			case <-time.After(backoff):
			}
			backoff = max(firstBackoff, 2*backoff)
		}
		select {
		case <-p.stop:
			return
		default:
		}
	}
}

func (p *pod) begin() (*operator, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := *p.address
	o.log, o.ended = &journal{also: p.address.log}, make(chan struct{})
	p.process = &o
	return &o, p.sc.run(&o, nil, p.args...)
}

// attend returns when the process has ended, by itself or because it did not answer.
func (p *pod) attend(o *operator) {
	wait, failures := time.NewTimer(livenessDelay), 0
	defer wait.Stop()
	for {
		select {
		case <-o.ended:
			return
		case <-wait.C:
		}
		wait.Reset(livenessPeriod)
		if failures++; fetch(p.sc.root.Context(), o.probe+"/healthz") == "ok" {
			failures = 0
		}
		if failures == livenessFailures {
			_ = o.command.Process.Kill() // it may have ended meanwhile
		}
	}
}

// running is the process that runs now.
func (p *pod) running() *operator {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// expected tells whether the test ended the process, and counts it if not.
func (p *pod) expected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted {
		p.wanted = false
		return true
	}
	p.ends++
	return false
}

// endings counts the processes that ended by themselves.
func (p *pod) endings() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ends
}

// strike ends the process in a way that is no fault of its own, and gives it when it has ended. Another one follows.
func (p *pod) strike(how func(*operator)) *operator {
	p.mu.Lock()
	p.wanted = true
	o := p.process
	p.mu.Unlock()
	how(o)
	<-o.ended
	return o
}

// kill is SIGKILL.
func (p *pod) kill() {
	p.strike(func(o *operator) { _ = o.command.Process.Kill() }) // it fails only if the process has ended
}

// remove ends the pod for good.
func (p *pod) remove() {
	select {
	case <-p.stop:
		return
	default:
	}
	close(p.stop)
	p.kill()
	<-p.done
}

// ready tells whether the process that runs now is.
func (p *pod) ready() bool { return fetch(p.sc.t.Context(), p.address.probe+"/readyz") == "ok" }

func (p *pod) awaitReady() {
	p.sc.t.Helper()
	p.sc.eventually("the replica is ready", p.ready)
}

// leads tells whether the process holds the lease, as it says itself.
func (p *pod) leads() bool {
	return strings.Contains(fetch(p.sc.t.Context(), p.address.metrics), `leader_election_master_status{name="defender-tenant-operator"} 1`)
}

// leader waits until one of several leads and gives it, and the others.
func (sc *scene) leader(pods []*pod) (leader *pod, others []*pod) {
	sc.t.Helper()
	sc.eventually("a replica leads", func() bool {
		leader, others = nil, nil
		for _, p := range pods {
			if leader == nil && p.leads() {
				leader = p
			} else {
				others = append(others, p)
			}
		}
		return leader != nil
	})
	return leader, others
}

// endings is how many processes of all pods ended by themselves.
func endings(pods []*pod) int {
	sum := 0
	for _, p := range pods {
		sum += p.endings()
	}
	return sum
}

// TestCrashes plays the rows in which processes end: the operator's, or those of the cluster.
func TestCrashes(t *testing.T) {
	abreast(t)
	s := newStage(t)
	for _, r := range chosen(processRows(), crashRows(), apiServerRows()) {
		t.Run(r.title(), func(t *testing.T) { s.perform(t, r) })
	}
}
