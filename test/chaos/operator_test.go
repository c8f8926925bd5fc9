package chaos

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/defender-tenant/operator/test/cluster"
)

// operator is one run of the operator's process.
type operator struct {
	program string
	flags   []string
	command *exec.Cmd
	log     *journal
	probe   string
	metrics string
	ended   chan struct{}
}

// launch starts the operator outside of the cluster and waits until it is ready. Later flags and
// variables go before earlier ones. The process ends with the test.
func (s *stage) launch(args ...string) *operator {
	s.t.Helper()
	o := s.spawn(nil, args...)
	s.awaitReady(o)
	return o
}

func (s *stage) awaitReady(o *operator) {
	s.t.Helper()
	inner := *s
	inner.operator = o
	inner.eventually("the operator is ready", func() bool { return fetch(s.t.Context(), o.probe+"/readyz") == "ok" })
}

func (s *stage) spawn(environment []string, args ...string) *operator {
	s.t.Helper()
	o := s.newOperator()
	s.must(s.run(o, environment, args...))
	s.root.Cleanup(func() {
		_ = o.command.Process.Kill()
		<-o.ended
	})
	return o
}

// newOperator chooses addresses.
func (s *stage) newOperator() *operator {
	s.t.Helper()
	probe, metrics := s.freeAddress(), s.freeAddress()
	return &operator{
		program: s.binary, flags: []string{"--health-probe-bind-address=" + probe, "--metrics-bind-address=" + metrics},
		log: &journal{}, probe: "http://" + probe, metrics: "http://" + metrics + "/metrics", ended: make(chan struct{}),
	}
}

// run starts the process.
func (s *stage) run(o *operator, environment []string, args ...string) error {
	flags := append([]string{
		"--kubeconfig=" + s.kubeconfig, "--authority-url=" + s.entra.URL(), "--ca-bundle=" + s.bundle, "--min-token-lifetime=5s",
		"--zap-log-level=debug",
	}, o.flags...)
	o.command = exec.CommandContext(context.WithoutCancel(s.root.Context()), o.program, append(flags, args...)...)
	o.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "POD_NAMESPACE=" + operators}, environment...)
	o.command.Stdout, o.command.Stderr = o.log, o.log
	if err := o.command.Start(); err != nil {
		return err
	}
	go func() {
		_ = o.command.Wait() // how it ended is in its ProcessState
		close(o.ended)
	}()
	return nil
}

// replace ends the operator and starts another one with other flags and variables, until the row is over.
func (s *stage) replace(environment []string, args ...string) {
	s.t.Helper()
	s.exchange(environment, args...)
	s.t.Cleanup(func() { s.in(s.root).exchange(nil) })
}

// exchange leaves the pointer alone, which all rows have.
func (s *stage) exchange(environment []string, args ...string) {
	s.t.Helper()
	s.terminate(s.operator)
	*s.operator = *s.spawn(environment, args...)
	s.awaitReady(s.operator)
}

// terminate asks a process to end as Kubernetes does.
func (s *stage) terminate(o *operator) {
	s.t.Helper()
	s.must(o.command.Process.Signal(syscall.SIGTERM))
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case <-o.ended:
	case <-limit.C:
		s.t.Fatalf("the operator still runs 30 seconds after SIGTERM\n%s", o.log.tail(""))
	}
	if code := o.command.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("exit code %d after SIGTERM\n%s", code, o.log.tail(""))
	}
}

// resident is the memory of the process, its peak since the last reset included.
func (s *stage) resident() (peak int64) {
	s.t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(s.operator.command.Process.Pid) + "/status")
	s.must(err)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kibibytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			s.must(err)
			return kibibytes << 10
		}
	}
	s.t.Fatal("no VmHWM in /proc")
	return 0
}

// resetPeak makes the peak of the resident memory what it is now.
func (s *stage) resetPeak() {
	s.t.Helper()
	s.must(os.WriteFile("/proc/"+strconv.Itoa(s.operator.command.Process.Pid)+"/clear_refs", []byte("5"), 0o200))
}

// journal is the log of a process, in memory.
type journal struct {
	also *journal // nil, or one of several processes

	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (j *journal) Write(p []byte) (int, error) {
	if j.also != nil {
		_, _ = j.also.Write(p) // like this one it cannot fail
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// tail gives the last lines that name something.
func (j *journal) tail(something string) string {
	const lines = 60
	var found []string
	for line := range strings.Lines(j.text()) {
		if strings.Contains(line, something) {
			found = append(found, line)
		}
	}
	return strings.Join(found[max(0, len(found)-lines):], "")
}

func (s *stage) freeAddress() string {
	s.t.Helper()
	address, err := cluster.FreeAddress(s.t.Context())
	s.must(err)
	return address
}

// fetch reads a page, empty while it does not answer with 200.
func fetch(ctx context.Context, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// asked is how many token requests the operator itself says it made, whether or not they arrived.
func (s *stage) asked() int {
	s.t.Helper()
	sum := 0
	for line := range strings.Lines(fetch(s.t.Context(), s.operator.metrics)) {
		if rest, ok := strings.CutPrefix(line, "defender_tenant_token_requests_total{"); ok {
			fields := strings.Fields(rest)
			n, err := strconv.Atoi(fields[len(fields)-1])
			s.must(err)
			sum += n
		}
	}
	return sum
}
