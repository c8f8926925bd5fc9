package chaos

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// takeover is how long nobody may lead after a leader was killed: its lease of 15 seconds has to run out, and the others
// look for that every two seconds or so.
const takeover = 20 * time.Second

// processRows are about the operator's own processes, as a Deployment with two replicas runs them.
func processRows() []row {
	return []row{
		{matrix: "23", name: "no file descriptor is left", tenants: 20, life: 5 * time.Minute, budget: 80, play: fewDescriptors},
		{matrix: "24", name: "kill the leader", always: true, tenants: 10, budget: 20, play: killLeader},
		{matrix: "26", name: "SIGTERM under load", always: true, tenants: 20, budget: 60, play: terminateLeader},
		{matrix: "28", name: "restart of all replicas with good tokens", tenants: 20, life: 10 * time.Minute, budget: 0, play: restartAll},
		{matrix: "29", name: "restart with expired tokens", tenants: 120, life: 30 * time.Second, budget: 480, bare: time.Minute, play: restartExpired},
		{matrix: "31", name: "the leader stands still for 25 s", tenants: 5, life: 5 * time.Minute, budget: 45, errors: true, play: stopLeader},
	}
}

// fewDescriptors starts the operator with 64 file descriptors and takes those that it does not use: somebody connects to its
// health probe and says nothing. It goes on with the connections that it has.
func fewDescriptors(sc *scene) {
	const limit = 64
	shipped, wrapped := sc.binary, filepath.Join(sc.t.TempDir(), "manager")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", limit, shipped)
	sc.must(os.WriteFile(wrapped, []byte(script), 0o700))
	sc.binary = wrapped
	pods := sc.deploy(1)
	sc.binary = shipped
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(pods[0].running().command.Process.Pid) + "/limits")
	sc.must(err)
	if !regexp.MustCompile(`Max open files +64 +64 `).Match(limits) {
		sc.t.Fatalf("the limit is not in force:\n%s", limits)
	}
	sc.renews()
	var silent []net.Conn
	defer func() {
		for _, connection := range silent {
			_ = connection.Close()
		}
	}()
	for range 2 * limit {
		connection, err := net.Dial("tcp", strings.TrimPrefix(pods[0].address.probe, "http://"))
		sc.must(err)
		silent = append(silent, connection)
	}
	sc.eventually("the operator has no descriptor left", func() bool {
		return strings.Contains(sc.operator.log.text(), "too many open files")
	})
	sc.renews()
	sc.unbroken(pods)
}

// stopLeader stops the leader while it waits for answers. Another replica takes over and gets newer tokens. When the former
// leader goes on, it takes up to ten seconds to learn that it leads no more, and until then it works as well. The prober sees
// whether it ever puts an older token over a newer one.
func stopLeader(sc *scene) {
	pods := sc.deploy(2, "--leader-elect")
	leader, others := sc.leader(pods)
	for _, id := range sc.tenantIDs {
		sc.entra.Inject(id, entra.Fault{Delay: 500 * time.Millisecond}, 1)
	}
	asked := sc.count()
	sc.refreshAll()
	sc.eventually("requests are under way", func() bool { return sc.count() == asked+len(sc.tenantIDs) })
	stopped := time.Now()
	process := leader.running().command.Process
	sc.must(process.Signal(syscall.SIGSTOP))
	sc.within(takeover, "another replica leads", others[0].leads)
	sc.t.Logf("another replica led after %s", time.Since(stopped).Round(10*time.Millisecond))
	sc.renews()
	sc.pass(25*time.Second - time.Since(stopped))
	sc.must(process.Signal(syscall.SIGCONT))
	continued := time.Now()
	sc.renews() // while two think that they lead
	sc.within(20*time.Second, "the former leader has ended", func() bool { return leader.endings() == 1 })
	sc.t.Logf("the former leader ended after %s", time.Since(continued).Round(10*time.Millisecond))
	sc.resumes(pods, 1)
}

// killLeader ends the leader without a warning. One replica stood by, and takes over.
func killLeader(sc *scene) {
	pods := sc.deploy(2, "--leader-elect")
	leader, others := sc.leader(pods)
	killed := time.Now()
	leader.kill()
	sc.within(takeover, "another replica leads", func() bool { return others[0].leads() || leader.leads() })
	sc.t.Logf("another replica led after %s", time.Since(killed).Round(10*time.Millisecond))
	sc.renews()
	sc.unbroken(pods)
}

// renews asks for new tokens of all customers and waits for them.
func (sc *scene) renews() {
	sc.t.Helper()
	held := sc.tokens()
	sc.refreshAll()
	sc.eventually("every customer has a new token", func() bool { return sc.replaced(held) })
}

// tokens are those that the Secrets hold now.
func (sc *scene) tokens() map[int]string {
	sc.t.Helper()
	held := map[int]string{}
	for i := range sc.tenantIDs {
		held[i] = sc.token(i)
	}
	return held
}

// replaced tells whether every customer has another token. It forgets those that have.
func (sc *scene) replaced(held map[int]string) bool {
	sc.t.Helper()
	for i, before := range held {
		if now := sc.token(i); now == before || now == "" {
			return false
		}
		delete(held, i)
	}
	return true
}

// unbroken checks that no process ended by itself.
func (sc *scene) unbroken(pods []*pod) {
	sc.t.Helper()
	if ends := endings(pods); ends > 0 {
		sc.t.Errorf("%d processes ended by themselves", ends)
	}
}

// terminateLeader ends the leader as an upgrade does, while it waits for answers.
func terminateLeader(sc *scene) {
	pods := sc.deploy(2, "--leader-elect")
	leader, others := sc.leader(pods)
	for _, id := range sc.tenantIDs {
		sc.entra.Inject(id, entra.Fault{Delay: 500 * time.Millisecond}, 0)
	}
	asked := sc.count()
	sc.refreshAll()
	sc.eventually("requests are under way", func() bool { return sc.count() > asked })
	told := time.Now()
	last := leader.strike(func(o *operator) { sc.must(o.command.Process.Signal(syscall.SIGTERM)) })
	sc.t.Logf("the leader ended after %s", time.Since(told).Round(10*time.Millisecond))
	if code := last.command.ProcessState.ExitCode(); code != 0 {
		sc.t.Errorf("exit code %d after SIGTERM", code)
	}
	// It gave the lease back: nobody waits for it to run out.
	sc.within(8*time.Second, "another replica leads", func() bool { return others[0].leads() || leader.leads() })
	sc.t.Logf("another replica led after %s", time.Since(told).Round(10*time.Millisecond))
	for _, id := range sc.tenantIDs {
		sc.entra.Clear(id)
	}
	sc.renews()
	sc.unbroken(pods)
}

// restartAll ends and starts both replicas. There is nothing to do for them, so they ask for nothing and write nothing.
func restartAll(sc *scene) {
	before := sc.versions()
	pods := sc.deploy(2, "--leader-elect")
	for range 2 {
		for _, p := range pods {
			p.strike(func(o *operator) { sc.must(o.command.Process.Signal(syscall.SIGTERM)) })
		}
		for _, p := range pods {
			p.awaitReady()
		}
		sc.leader(pods)
		sc.pass(3 * time.Second)
	}
	for name, version := range sc.versions() {
		if version != before[name] {
			sc.t.Errorf("%s was written: version %s, before %s", name, version, before[name])
		}
	}
	sc.unbroken(pods)
}

// versions of the objects that the operator may write.
func (sc *scene) versions() map[string]string {
	sc.t.Helper()
	all := map[string]string{}
	var secrets corev1.SecretList
	sc.must(sc.List(sc.t.Context(), &secrets, client.InNamespace(sc.namespace)))
	for i := range secrets.Items {
		all["Secret "+secrets.Items[i].Name] = secrets.Items[i].ResourceVersion
	}
	for i := range sc.tenantIDs {
		object := sc.now(i)
		all["DefenderTenant "+object.Name] = object.ResourceVersion
	}
	app := &v1alpha1.DefenderApp{}
	sc.must(sc.Get(sc.t.Context(), client.ObjectKey{Name: sc.app}, app))
	all["DefenderApp "+app.Name] = app.ResourceVersion
	return all
}

// restartExpired starts the operator when all tokens have ended: it has to be quick, but not quicker than Entra ID allows.
func restartExpired(sc *scene) {
	const rate = 20
	sc.terminate(sc.operator)
	sc.prober.forget(sc.namespace) // nobody is there who could empty the Secrets
	<-time.After(sc.row.life)
	held := sc.tokens()
	started := time.Now()
	pods := sc.deploy(1, fmt.Sprintf("--token-requests-per-second=%d", rate))
	sc.eventually("every customer has a new token", func() bool { return sc.replaced(held) })
	sc.t.Logf("every customer had a new token after %s", time.Since(started).Round(10*time.Millisecond))
	for i, id := range sc.tenantIDs {
		sc.prober.expect(sc.key(i), customer{tenantID: id, clientID: sc.clientID})
	}
	// What is sent evenly may arrive a little less so.
	if peak := sc.peak(started); peak > rate+rate/5 {
		sc.t.Errorf("%d token requests within a second, at most %d are allowed", peak, rate)
	}
	sc.unbroken(pods)
}

// peak is the most token requests that arrived within a second.
func (sc *scene) peak(since time.Time) int {
	var times []time.Time
	for _, r := range sc.entra.Requests() {
		if r.Kind == entra.Token && r.Time.After(since) {
			times = append(times, r.Time)
		}
	}
	most, first := 0, 0
	for i, at := range times {
		for at.Sub(times[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
