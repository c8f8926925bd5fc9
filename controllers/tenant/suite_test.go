package tenant_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/defender-tenant/operator/test/cluster"
)

// plane is the one control plane of the suite. Every test has a namespace, a manager
// and an emulator of its own.
var plane *cluster.Cluster

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (int, error) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	if onlyFuzz() {
		return m.Run(), nil
	}
	var err error
	plane, err = cluster.Start(context.Background(), cluster.Options{ControllerManager: true})
	if errors.Is(err, cluster.ErrNoControllerManager) {
		plane, err = cluster.Start(context.Background(), cluster.Options{})
	}
	if err != nil {
		return 1, err
	}
	code := m.Run()
	return code, plane.Stop()
}

// onlyFuzz tells whether nothing but a fuzz target runs. It needs no cluster, and each of
// its worker processes would start one.
func onlyFuzz() bool {
	return flag.Lookup("test.fuzz").Value.String() != "" && flag.Lookup("test.run").Value.String() == "^$"
}
