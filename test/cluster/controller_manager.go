package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const controllerManagerName = "kube-controller-manager"

// controllerManager is the running kube-controller-manager.
type controllerManager struct {
	cancel context.CancelFunc
	ended  chan error
}

func (m *controllerManager) stop() error {
	m.cancel()
	var exit *exec.ExitError
	if err := <-m.ended; err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("stop %s: %w", controllerManagerName, err)
	}
	return nil
}

func (c *Cluster) startControllerManager(ctx context.Context, path string, log *os.File, nodes bool) error {
	flags, err := c.controllerManagerFlags(nodes)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx)) // ctx is for starting only
	command := exec.CommandContext(running, path, flags...)
	command.Stdout, command.Stderr = log, log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		cancel()
		return err
	}
	c.manager = &controllerManager{cancel: cancel, ended: make(chan error, 1)}
	go func() { c.manager.ended <- command.Wait() }()
	return c.awaitCollector(ctx)
}

// controllerManagerFlags writes the files that the controller manager needs and names them. Each of its
// controllers acts under its own service account, with the rights that it has in a real cluster.
func (c *Cluster) controllerManagerFlags(nodes bool) ([]string, error) {
	kubeconfig, err := c.Kubeconfig("system:kube-controller-manager")
	if err != nil {
		return nil, err
	}
	server := c.env.ControlPlane.APIServer
	access, authority := filepath.Join(c.dir, "controller-manager.kubeconfig"), filepath.Join(c.dir, "ca.crt")
	err = errors.Join(os.WriteFile(access, kubeconfig, 0o600), os.WriteFile(authority, server.CA, 0o600))
	controllers := "garbage-collector-controller,namespace-controller,serviceaccount-controller," +
		"serviceaccount-token-controller,root-ca-certificate-publisher-controller"
	if nodes {
		controllers = "*"
	}
	return []string{
		"--kubeconfig=" + access,
		"--root-ca-file=" + authority,
		"--service-account-private-key-file=" + filepath.Join(server.CertDir, "sa-signer.key"),
		"--use-service-account-credentials=true",
		"--leader-elect=false",
		"--secure-port=0",
		"--controllers=" + controllers,
	}, err
}

// awaitCollector waits until the garbage collector has deleted an object whose owner never existed.
func (c *Cluster) awaitCollector(ctx context.Context) error {
	api, err := client.New(c.Config, client.Options{})
	if err != nil {
		return err
	}
	orphan := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		GenerateName:    "orphan-",
		Namespace:       metav1.NamespaceDefault,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "nobody"}},
	}}
	if err := api.Create(ctx, orphan); err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-c.manager.ended:
			c.manager.ended <- err // for stop
			return false, errors.Join(errors.New(controllerManagerName+" ended by itself"), err)
		default:
			err := api.Get(ctx, client.ObjectKeyFromObject(orphan), orphan)
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		}
	})
	if err != nil {
		return fmt.Errorf("wait for the garbage collector: %w", err)
	}
	return nil
}
