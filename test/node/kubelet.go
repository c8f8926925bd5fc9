package node

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/test/cluster"
)

// Name is the node's.
const Name = "node"

// startKubelet starts it and waits until its node is ready. What is not set has the kubelet's own default, above all
// how soon a mounted Secret follows the object.
func (n *Node) startKubelet(ctx context.Context, authority *cluster.Authority) error {
	user := "system:node:" + Name
	access, err := n.writeKubeconfig("kubelet", user, "system:nodes")
	if err != nil {
		return err
	}
	// The API server is the only one that may ask the kubelet something.
	if err := errors.Join(
		authority.Issue(n.file("kubelet"), pkix.Name{CommonName: user, Organization: []string{"system:nodes"}}, Name, Address),
		os.WriteFile(n.file("authority.crt"), authority.PEM(), 0o600),
	); err != nil {
		return err
	}
	// One node, small and for a moment: nothing is evicted or collected for want of space. Memory and processors are
	// not taken from the rest of the machine. Both versions of cgroups will do, swap too.
	config := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
containerRuntimeEndpoint: unix://%[2]s
cgroupDriver: cgroupfs
cgroupRoot: /%[3]s
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[4]s/authority.crt}}
authorization: {mode: Webhook}
tlsCertFile: %[4]s/kubelet.crt
tlsPrivateKeyFile: %[4]s/kubelet.key
resolvConf: ""
evictionHard: {memory.available: "0%%", nodefs.available: "0%%", imagefs.available: "0%%", nodefs.inodesFree: "0%%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
volumePluginDir: %[4]s/volume-plugins
podLogsDir: %[5]s
`, Address, n.socket(), n.cgroup, n.dir, n.podLogs())
	if err := os.WriteFile(n.file("kubelet.yaml"), []byte(config), 0o600); err != nil {
		return err
	}
	n.kubelet, err = n.run("kubelet", "--config="+n.file("kubelet.yaml"), "--kubeconfig="+access,
		"--root-dir="+n.file("kubelet"), "--cert-dir="+n.file("kubelet-certificates"), "--hostname-override="+Name, "--node-ip="+Address)
	if err != nil {
		return err
	}
	return n.kubelet.await(ctx, n.ready)
}

// RestartKubelet ends the kubelet and starts it again. Containers run on meanwhile. It returns after the first sign of
// life: that the node is ready stands in its status all the time.
func (n *Node) RestartKubelet(ctx context.Context) error {
	if err := n.kubelet.stop(); err != nil {
		return err
	}
	stopped := time.Now()
	if err := n.kubelet.start(); err != nil {
		return err
	}
	return n.kubelet.await(ctx, func(ctx context.Context) error {
		var lease coordinationv1.Lease
		if err := n.api.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: Name}, &lease); err != nil {
			return err
		}
		if lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Before(stopped) {
			return errors.New("there is no sign of life of the node")
		}
		return n.ready(ctx)
	})
}

func (n *Node) ready(ctx context.Context) error {
	var node corev1.Node
	if err := n.api.Get(ctx, client.ObjectKey{Name: Name}, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return errors.New("the node is not ready")
}
