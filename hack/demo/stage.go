package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
	"github.com/defender-tenant/operator/test/entra"
)

const (
	operatorNamespace = "defender-system"
	// lifetime of the tokens here. Entra ID gives them an hour, which is too long to watch. Half of it has to be
	// enough for the chapter of the outage, also on a busy machine.
	lifetime = 45 * time.Second
	// canary is part of every token, so that a leak can be found by searching for it.
	canary = "demo-canary-5f1c"
)

// stage is what the story plays on.
type stage struct {
	tell *narrator
	root string // of the module
	dir  string // temporary
	cast cast

	cluster  *cluster.Cluster
	api      client.Client
	emulator *entra.Emulator
	browser  *http.Client // the administrator's
	workload *http.Client // reaches the Defender APIs under their real names
	operator *operator
	cancel   context.CancelCauseFunc // ends the story, for example if the operator ends by itself
}

// newStage makes an empty stage. Its context ends with ctx, or when the story cannot go on.
func newStage(ctx context.Context, tell *narrator) (context.Context, *stage, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("find the module: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	people, err := readCast(filepath.Join(root, "config", "samples"))
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "defender-demo-")
	if err != nil {
		return nil, nil, err
	}
	s := &stage{tell: tell, root: root, dir: dir, cast: people}
	ctx, s.cancel = context.WithCancelCause(ctx)
	return ctx, s, nil
}

// clear ends what was started, the last first, and removes all files.
func (s *stage) clear() error {
	s.tell.say("Stopping everything.")
	var problems []error
	if s.operator != nil {
		problems = append(problems, s.operator.stop())
	}
	if s.emulator != nil {
		s.emulator.Close()
	}
	if s.cluster != nil {
		problems = append(problems, s.cluster.Stop())
	}
	s.cancel(nil)
	return errors.Join(append(problems, os.RemoveAll(s.dir))...)
}

func (s *stage) bin(name string) string  { return filepath.Join(s.dir, "bin", name) }
func (s *stage) file(name string) string { return filepath.Join(s.dir, name) }
func (s *stage) operatorLog() string     { return s.file("operator.log") }

// build compiles the operator and the kubectl plugin.
func (s *stage) build(ctx context.Context) error {
	command := exec.CommandContext(ctx, "go", "build", "-o", s.bin("")+"/", "./cmd/manager", "./cmd/kubectl-defender")
	command.Dir = s.root
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the operator: %w\n%s", err, out)
	}
	return nil
}

// startCluster starts Kubernetes and puts its kubectl where the plugin is.
func (s *stage) startCluster(ctx context.Context) (err error) {
	if s.cluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, LogDir: s.file("logs")}); err != nil {
		return err
	}
	if err := s.cluster.WriteKubeconfig(s.file("kubeconfig")); err != nil {
		return err
	}
	if err := os.Symlink(s.cluster.KubectlPath, s.bin("kubectl")); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	s.api, err = client.New(s.cluster.Config, client.Options{Scheme: scheme})
	return err
}

// startEmulator starts an Entra ID that knows the application of the samples and its customers, none of
// whom has consented. Its APIs have an address of their own, so that they outlive an outage of Entra ID.
func (s *stage) startEmulator() (err error) {
	s.emulator, err = entra.Start(entra.Options{APIAddr: "127.0.0.1:0", Lifetime: lifetime, Marker: canary})
	if err != nil {
		return err
	}
	s.cast.enter(s.emulator)
	if err := os.WriteFile(s.file("ca.pem"), s.emulator.CAPEM(), 0o600); err != nil {
		return err
	}
	s.browser, s.workload, err = clients(s.emulator)
	return err
}
