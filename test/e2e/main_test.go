package e2e

import (
	"flag"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/defender-tenant/operator/test/node"
)

// wantedVariable set to anything says that somebody asked for this test, by `make e2e`.
const wantedVariable = "E2E"

func TestMain(m *testing.M) {
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	if os.Getenv(wantedVariable) == "" {
		os.Exit(m.Run())
	}
	os.Exit(node.Isolate(m.Run))
}

// TestStories plays one story after the other in one cluster. The first that fails is the last.
func TestStories(t *testing.T) {
	if os.Getenv(wantedVariable) == "" {
		t.Skip("it needs root, Linux and a quarter of an hour: make e2e")
	}
	w := newWorld(t)
	t.Cleanup(w.figures.show)
	for _, story := range []struct {
		name string
		play func(*world)
	}{
		{"the cluster starts", (*world).startCluster},
		{"helm installs the operator in a namespace that enforces Pod Security restricted", (*world).install},
		{"one kubectl apply and a customer's consent bring the token", (*world).onboard},
		{"a workload mounts the Secret", (*world).startWorkload},
		{"metrics are for those who may read them", (*world).readMetrics},
		{"refreshes reach the workload through upgrade, restart and kill", (*world).refresh},
		{"metrics can be read after the upgrade, too", (*world).readMetrics},
		{"nothing but our Secrets shows a token", (*world).searchLeaks},
		{"a deleted namespace takes its Secrets along", (*world).deleteNamespace},
		{"an uninstall leaves what the documentation says", (*world).uninstall},
		{"in the hardened profile a customer's namespace has to let the operator in", (*world).harden},
		{"nothing but our Secrets showed a token until the end", (*world).searchLeaks},
	} {
		if !t.Run(story.name, func(t *testing.T) { story.play(w.in(t)) }) {
			t.FailNow()
		}
	}
}
