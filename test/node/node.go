package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/test/cluster"
)

// adminFile is the kubeconfig of a cluster administrator.
const adminFile = "kubeconfig"

// Node is a running cluster of one node. It ends with the process.
type Node struct {
	place

	cluster *cluster.Cluster
	api     client.Client
	kubelet *daemon
}

// Start returns when Pods can run. It needs the programs of hack/node, hack/runtime and test/node/pause in PATH and
// those of hack/controlplane in KUBEBUILDER_ASSETS.
func Start(ctx context.Context) (*Node, error) {
	world, isolated := here()
	if !isolated {
		return nil, errors.New("a cluster with a node starts in namespaces of its own: TestMain has to call node.Isolate")
	}
	n := &Node{place: world}
	authority, err := cluster.NewAuthority()
	if err != nil {
		return nil, err
	}
	if err := n.connect(ctx); err != nil {
		return nil, err
	}
	if err := n.startControlPlane(ctx, authority); err != nil {
		return nil, err
	}
	for _, start := range []func(context.Context) error{
		n.startScheduler,
		n.startContainerd,
		func(ctx context.Context) error { return n.startKubelet(ctx, authority) },
		n.startProxy,
		n.awaitAccount,
		n.keepLogs,
	} {
		if err := start(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Config is a cluster administrator's.
func (n *Node) Config() *rest.Config { return n.cluster.Config }

// Dir is the folder that goes with the cluster.
func (n *Node) Dir() string { return n.dir }

// Kubectl is one that acts as a cluster administrator.
func (n *Node) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, n.cluster.KubectlPath, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+n.Kubeconfig())
	return command
}

// Kubeconfig is the file of a cluster administrator.
func (n *Node) Kubeconfig() string { return n.file(adminFile) }

func (n *Node) startControlPlane(ctx context.Context, authority *cluster.Authority) (err error) {
	n.cluster, err = cluster.Start(ctx, cluster.Options{
		ControllerManager: true,
		Nodes:             &cluster.Nodes{Authority: authority, Address: Address, Services: services, ServiceAddress: serviceAddress},
		LogDir:            n.Logs(),
	})
	if err != nil {
		return err
	}
	if err := n.cluster.WriteKubeconfig(n.Kubeconfig()); err != nil {
		return err
	}
	n.api, err = client.New(n.cluster.Config, client.Options{})
	return err
}

func (n *Node) startScheduler(context.Context) error {
	access, err := n.writeKubeconfig("scheduler", "system:kube-scheduler")
	if err != nil {
		return err
	}
	_, err = n.run("kube-scheduler", "--kubeconfig="+access, "--authentication-kubeconfig="+access, "--authorization-kubeconfig="+access,
		"--bind-address=127.0.0.1", "--leader-elect=false")
	return err // who waits for a Pod waits for the scheduler
}

// startProxy starts what leads connections to Services to Pods.
func (n *Node) startProxy(ctx context.Context) error {
	access, err := n.writeKubeconfig("proxy", "system:kube-proxy")
	if err != nil {
		return err
	}
	// The limits of connection tracking belong to the machine.
	daemon, err := n.run("kube-proxy", "--kubeconfig="+access, "--proxy-mode=nftables", "--hostname-override="+Name, "--cluster-cidr="+pods,
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
	if err != nil {
		return err
	}
	return daemon.await(ctx, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:10256/healthz", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			err = fmt.Errorf("it answers %s", response.Status)
		}
		return errors.Join(err, response.Body.Close())
	})
}

// awaitAccount waits for the account without which no Pod is admitted.
func (n *Node) awaitAccount(ctx context.Context) error {
	key := client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "default"}
	return n.kubelet.await(ctx, func(ctx context.Context) error { return n.api.Get(ctx, key, &corev1.ServiceAccount{}) })
}

func (n *Node) writeKubeconfig(file, user string, groups ...string) (string, error) {
	content, err := n.cluster.Kubeconfig(user, groups...)
	if err != nil {
		return "", err
	}
	path := n.file(file + ".kubeconfig")
	return path, os.WriteFile(path, content, 0o600)
}
