package node_test

import (
	"os"
	"testing"

	"github.com/defender-tenant/operator/test/node"
)

func TestMain(m *testing.M) {
	if os.Getenv("E2E") == "" {
		os.Exit(m.Run())
	}
	os.Exit(node.Isolate(m.Run))
}

func TestStart(t *testing.T) {
	if os.Getenv("E2E") == "" {
		t.Skip("needs root and minutes: make e2e")
	}
	n, err := node.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.Kubectl(t.Context(), "get", "nodes,pods,svc,sa", "-A", "-o", "wide").CombinedOutput()
	t.Logf("%v\n%s", err, out)
}
