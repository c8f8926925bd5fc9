package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/e2e/record"
)

// takeOver is how long it may take at most until another replica works after the leader was killed: twice a lease. What
// it takes is in the figures.
const takeOver = 30 * time.Second

// refresh lives through some, each of which comes to the Pod as fast as the kubelet's default lets it.
func (w *world) refresh() {
	w.upgrade()
	w.awaitRefresh(1)

	started := time.Now()
	w.must(w.node.RestartKubelet(w.t.Context()))
	w.figures.took("kubelet restarted until its node gives a sign of life", time.Since(started))
	w.awaitRefresh(2)

	// The worst moment: the next refresh is due, and nobody is there to do it.
	w.awaitDue()
	w.killLeader()
	w.awaitRefresh(refreshes)
	w.judge()
}

// awaitRefresh waits until the workload uses the n-th token after the first.
func (w *world) awaitRefresh(n int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the workload uses the token of refresh %d", n), *lifetime, func(ctx context.Context) error {
		seen, err := w.record(ctx)
		if err == nil && len(seen.Tokens) <= n {
			err = fmt.Errorf("it has used %d tokens", len(seen.Tokens))
		}
		return err
	})
}

// awaitDue waits until the next refresh is due.
func (w *world) awaitDue() {
	w.t.Helper()
	secret, err := w.tokenSecret(w.t.Context())
	w.must(err)
	due, err := time.Parse(time.RFC3339, secret.Annotations[v1alpha1.RefreshAtAnnotation])
	w.must(err)
	select {
	case <-time.After(time.Until(due) - 2*time.Second):
	case <-w.t.Context().Done():
	}
}

// killLeader kills its process, which cannot give up its lease.
func (w *world) killLeader() {
	w.t.Helper()
	leader := w.leader(w.t.Context())
	name, _, _ := strings.Cut(leader, "_")
	var pod corev1.Pod
	w.must(w.Get(w.t.Context(), types.NamespacedName{Namespace: operators, Name: name}, &pod))
	w.must(syscall.Kill(w.process(&pod), syscall.SIGKILL))
	took := w.eventually("another replica leads", patience, func(ctx context.Context) error {
		if now := w.leader(ctx); now == leader || now == "" {
			return errors.New("nobody does")
		}
		return nil
	})
	w.figures.took("leader killed (SIGKILL) until another replica leads", took)
	if took > takeOver {
		w.t.Errorf("the take-over took %s, at most %s are allowed", took, takeOver)
	}
}

// leader is who holds the lease.
func (w *world) leader(ctx context.Context) string {
	w.t.Helper()
	var lease coordinationv1.Lease
	w.must(w.Get(ctx, types.NamespacedName{Namespace: operators, Name: operator}, &lease))
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// process finds that of a Pod's container by its cgroup.
func (w *world) process(pod *corev1.Pod) int {
	w.t.Helper()
	_, container, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	w.must(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && container != "" && strings.Contains(string(text), container) {
			id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			w.must(err)
			return id
		}
	}
	w.t.Fatalf("no process runs in container %s", container)
	return 0
}

// judge looks at what the workload went through.
func (w *world) judge() {
	w.t.Helper()
	seen, err := w.record(w.t.Context())
	w.must(err)
	if seen.Unauthorized != 0 || len(seen.Problems) != 0 {
		w.t.Errorf("of %d calls %d were answered with 401; other problems: %q", seen.Calls, seen.Unauthorized, seen.Problems)
	}
	w.figures.add("calls of the workload, one per second", strconv.Itoa(seen.Calls))
	w.figures.add("answered with 401", strconv.Itoa(seen.Unauthorized))
	gap, err := time.ParseDuration(seen.Gap)
	w.must(err)
	w.figures.took("longest time between two good answers", gap)
	w.figures.add("lifetime of a token", lifetime.String())
	issued := map[string]time.Time{}
	for _, token := range w.entra.Tokens() {
		issued[token.SHA256] = token.Issued
	}
	least := *lifetime
	for i, token := range seen.Tokens {
		at, known := issued[token.SHA256]
		if !known {
			w.t.Errorf("token %d was never issued", i)
		}
		margin, err := time.ParseDuration(token.Margin)
		w.must(err)
		if i > 0 {
			w.figures.took(fmt.Sprintf("refresh %d: issued until the Pod uses it", i), token.FirstUsed.Sub(at))
		}
		if i < len(seen.Tokens)-1 { // the last one is in use
			least = min(least, margin)
		}
	}
	w.figures.took("least life left of a token in use", least)
	if least <= 0 {
		w.t.Errorf("a token was used %s after its end", -least)
	}
}

// record asks the workload.
func (w *world) record(ctx context.Context) (record.Record, error) {
	var seen record.Record
	var pods corev1.PodList
	if err := w.List(ctx, &pods, client.InNamespace(team), client.MatchingLabels{"app.kubernetes.io/name": "incident-reader"}); err != nil {
		return seen, err
	}
	running := slices.IndexFunc(pods.Items, func(pod corev1.Pod) bool { return pod.Status.PodIP != "" })
	if running < 0 {
		return seen, errors.New("the workload does not run")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pods.Items[running].Status.PodIP+":8080/", http.NoBody)
	if err != nil {
		return seen, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return seen, err
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return seen, err
	}
	return seen, json.Unmarshal(text, &seen)
}

func (w *world) program(name string) string {
	w.t.Helper()
	path, err := exec.LookPath(name)
	w.must(err)
	return path
}
