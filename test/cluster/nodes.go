package cluster

import (
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Nodes opens a control plane to nodes and the Pods on them. Without them it serves what runs beside it.
type Nodes struct {
	// Authority signs the certificates of the API server and of the kubelets.
	Authority *Authority
	// Address is where nodes and Pods reach the API server. Loopback will not do.
	Address string
	// Services is the range of their addresses, ServiceAddress the one in it of the API server.
	Services, ServiceAddress string
}

// open makes the API server one for nodes: it listens where they are, and knows who is a kubelet.
func (n *Nodes) open(server *envtest.APIServer, dir string) error {
	server.CertDir = filepath.Join(dir, "certificates")
	if err := os.MkdirAll(server.CertDir, 0o700); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(server.CertDir, name) }
	// Those that are there the environment does not make. Its own would not cover the address of the Service.
	if err := errors.Join(
		n.Authority.Issue(file("apiserver"), pkix.Name{CommonName: apiServerName},
			"localhost", "127.0.0.1", n.Address, n.ServiceAddress, "kubernetes.default.svc"),
		n.Authority.Issue(file("kubelet-client"), pkix.Name{CommonName: apiServerName, Organization: []string{"system:masters"}}),
		n.Authority.Issue(file("sa-signer"), pkix.Name{CommonName: "service accounts"}),
		os.WriteFile(file("nodes.crt"), n.Authority.PEM(), 0o600),
	); err != nil {
		return err
	}
	server.CA = n.Authority.PEM()
	server.Configure().
		Set("bind-address", "0.0.0.0").
		Set("advertise-address", n.Address).
		Set("service-cluster-ip-range", n.Services).
		Set("authorization-mode", "Node,RBAC").
		Set("enable-admission-plugins", "NodeRestriction").
		Disable("disable-admission-plugins"). // Pods shall get their service accounts
		Set("kubelet-client-certificate", file("kubelet-client.crt")).
		Set("kubelet-client-key", file("kubelet-client.key")).
		Set("kubelet-certificate-authority", file("nodes.crt")).
		Set("kubelet-preferred-address-types", "InternalIP")
	return nil
}

// Kubeconfig is that of a new user.
func (c *Cluster) Kubeconfig(name string, groups ...string) ([]byte, error) {
	user, err := c.env.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return nil, err
	}
	return user.KubeConfig()
}
