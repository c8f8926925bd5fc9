package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
	"github.com/defender-tenant/operator/test/entra"
)

const (
	// canary is in everything that the emulator sends and nobody may see.
	canary = "canary-7c41d2"
	// patience is how long anything may take that has no bound of its own: two cores may be busy
	// with a compiler.
	patience = 60 * time.Second
	// lifetime of a token unless a row says otherwise: half of it is longer than most faults.
	lifetime = 90 * time.Second
	// operators is the operator's own namespace.
	operators = "operators"
)

// stage is what all rows share.
type stage struct {
	client.Client
	t    *testing.T // of the row
	root *testing.T // of the stage

	plane      *cluster.Cluster
	entra      *entra.Emulator
	operator   *operator
	prober     *prober
	binary     string
	home       string // the operator's, empty
	kubeconfig string
	bundle     string // file with the trust roots for the login host
	secrets    *secretList
	scenes     *atomic.Int32
}

// newStage starts everything. The test's end stops it.
func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{
		t: t, root: t, home: t.TempDir(), binary: filepath.Join(dir, "manager"), kubeconfig: filepath.Join(dir, "kubeconfig"), bundle: filepath.Join(dir, "ca.pem"),
		secrets: &secretList{}, scenes: &atomic.Int32{},
	}
	s.build()
	s.startCluster()
	s.startEntra()
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operators}})
	s.prober = startProber(t, s.Client, s.entra)
	s.operator = s.launch()
	return s
}

// in gives the stage to a subtest.
func (s *stage) in(t *testing.T) *stage {
	t.Helper()
	inner := *s
	inner.t = t
	return &inner
}

// build makes the operator's binary, with the race detector if the test has it.
func (s *stage) build() {
	s.t.Helper()
	args := []string{"build", "-o", s.binary}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(s.t.Context(), "go", append(args, "../../cmd/manager")...).CombinedOutput(); err != nil {
		s.t.Fatalf("go build: %v\n%s", err, out)
	}
}

func (s *stage) startCluster() {
	s.t.Helper()
	// The controller manager deletes what a deleted owner leaves behind, and namespaces.
	plane, err := cluster.Start(s.t.Context(), cluster.Options{ControllerManager: true, EtcdQuota: 256 << 20})
	s.must(err)
	s.t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			s.t.Error(err)
		}
	})
	s.plane = plane
	s.must(plane.WriteKubeconfig(s.kubeconfig))
	scheme := runtime.NewScheme()
	s.must(clientgoscheme.AddToScheme(scheme))
	s.must(v1alpha1.AddToScheme(scheme))
	unpaced := rest.CopyConfig(plane.Config)
	unpaced.QPS = -1
	s.Client, err = client.New(unpaced, client.Options{Scheme: scheme})
	s.must(err)
}

func (s *stage) startEntra() {
	s.t.Helper()
	emulator, err := entra.Start(entra.Options{
		Marker: canary, Lifetime: lifetime,
		APIAddr: "127.0.0.1:0", // stays open while an impostor has the login address
	})
	s.must(err)
	s.t.Cleanup(emulator.Close)
	s.entra = emulator
	s.must(os.WriteFile(s.bundle, emulator.CAPEM(), 0o600))
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) create(object client.Object) {
	s.t.Helper()
	s.must(s.Create(s.t.Context(), object))
}

// gone deletes an object that may be gone already. It works in a cleanup as well, whose test has ended.
func (s *stage) gone(object client.Object) {
	s.t.Helper()
	s.must(client.IgnoreNotFound(s.Delete(context.WithoutCancel(s.t.Context()), object)))
}

// eventually waits in real time, for the usual patience.
func (s *stage) eventually(what string, holds func() bool) {
	s.t.Helper()
	s.within(patience, what, holds)
}

// within waits until something holds. It gives up when the operator ends.
func (s *stage) within(limit time.Duration, what string, holds func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-s.operator.ended:
			s.t.Fatalf("the operator ended (%v) before %s\n%s", s.operator.command.ProcessState, what, s.operator.log.tail(""))
		case <-deadline.C:
			s.t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// pass lets real time go by, while the operator has to stay alive.
func (s *stage) pass(d time.Duration) {
	s.t.Helper()
	end := time.Now().Add(d)
	s.within(d+patience, fmt.Sprintf("%s are over", d), func() bool { return !time.Now().Before(end) })
}
