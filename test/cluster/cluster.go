// Package cluster starts a Kubernetes control plane for tests, the demo and the benchmark: etcd and
// kube-apiserver with the project's CRDs and, on request, the controller manager, whose garbage
// collector deletes what a deleted owner leaves behind. Nodes can join it; package node starts one.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	assetsVariable = "KUBEBUILDER_ASSETS"
	apiServerName  = "kube-apiserver"
	etcdName       = "etcd"
	// patience is long because the programs may share two cores with a compiler.
	patience = 90 * time.Second
)

// ErrNoControllerManager says that the programs were given by hand and do not include the controller
// manager: a reason to skip a test that needs the garbage collector.
var ErrNoControllerManager = errors.New(assetsVariable + " holds no kube-controller-manager; unset it to use the project's own build")

// Options choose what Start starts.
type Options struct {
	// ControllerManager adds the controllers that need no nodes: the garbage collector and those of
	// namespaces and service accounts.
	ControllerManager bool
	// EtcdQuota is the size in bytes at which etcd refuses to grow. Zero leaves it at etcd's 2 GiB.
	EtcdQuota int64
	// Nodes opens the control plane to nodes, whose controllers then run as well. The CRDs are left to whoever installs
	// the operator.
	Nodes *Nodes
	// AuditLog is where the API server writes a line of JSON for each request and the right that allowed it. Empty: it
	// writes none.
	AuditLog string
	// EncryptionConfig is a file with an EncryptionConfiguration: what the API server encrypts before it gives it to etcd.
	EncryptionConfig string
	// LogDir keeps one log per process. Without it the logs are in a temporary folder that only a
	// failed start leaves behind.
	LogDir string
}

// Cluster is a running control plane.
type Cluster struct {
	// Config is a cluster administrator's.
	Config *rest.Config
	// KubectlPath is a kubectl of the server's version.
	KubectlPath string

	env       *envtest.Environment
	manager   *controllerManager
	processes map[string]*Process // those that a test asked for
	dir       string              // temporary; gone after Stop
	logs      []*os.File
}

// Start returns once the API server serves the project's CRDs and, if asked for, the garbage collector
// has proved that it works.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	assets, err := findAssets(o)
	if err != nil {
		return nil, err
	}
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "defender-cluster-")
	if err != nil {
		return nil, err
	}
	if o.LogDir == "" {
		o.LogDir = dir
	}
	c := &Cluster{dir: dir, env: environment(assets, root, o), processes: map[string]*Process{}}
	if err := c.start(ctx, assets, o); err != nil {
		if o.LogDir == dir {
			c.dir = "" // the logs in it tell why
		}
		return nil, errors.Join(fmt.Errorf("start the control plane: %w (logs: %s)", err, o.LogDir), c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, assets string, o Options) error {
	if err := os.MkdirAll(o.LogDir, 0o750); err != nil {
		return err
	}
	etcd, err := c.log(o.LogDir, etcdName)
	if err != nil {
		return err
	}
	server, err := c.log(o.LogDir, apiServerName)
	if err != nil {
		return err
	}
	plane := &c.env.ControlPlane
	plane.Etcd = &envtest.Etcd{Out: etcd, Err: etcd}
	plane.APIServer = &envtest.APIServer{Out: server, Err: server}
	if err := c.configure(o); err != nil {
		return err
	}
	if c.Config, err = c.env.Start(); err != nil {
		return err
	}
	c.KubectlPath = plane.KubectlPath
	if !o.ControllerManager {
		return nil
	}
	// Last, because the garbage collector looks for new kinds only every 30 s.
	manager, err := c.log(o.LogDir, controllerManagerName)
	if err != nil {
		return err
	}
	return c.startControllerManager(ctx, filepath.Join(assets, controllerManagerName), manager, o.Nodes != nil)
}

// auditPolicy has a line for the answer to each request, or for the beginning of the answer if that lasts.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}`

func (c *Cluster) audit(log string) error {
	if log == "" {
		return nil
	}
	policy := filepath.Join(c.dir, "audit-policy.json")
	c.env.ControlPlane.APIServer.Configure().Set("audit-policy-file", policy).Set("audit-log-path", log)
	return os.WriteFile(policy, []byte(auditPolicy), 0o600)
}

// configure sets what the options ask for.
func (c *Cluster) configure(o Options) error {
	plane := &c.env.ControlPlane
	if o.EtcdQuota > 0 {
		plane.Etcd.Configure().Set("quota-backend-bytes", strconv.FormatInt(o.EtcdQuota, 10))
	}
	if o.EncryptionConfig != "" {
		plane.APIServer.Configure().Set("encryption-provider-config", o.EncryptionConfig)
	}
	if err := c.audit(o.AuditLog); err != nil {
		return err
	}
	if o.Nodes == nil {
		return nil
	}
	return o.Nodes.open(plane.APIServer, c.dir)
}

// Stop ends all processes and removes their data.
func (c *Cluster) Stop() error {
	var problems []error
	if c.manager != nil {
		problems = append(problems, c.manager.stop())
	}
	for _, name := range []string{apiServerName, etcdName} { // in this order: one writes to the other until it ends
		if p, ok := c.processes[name]; ok {
			problems = append(problems, p.stop())
		}
	}
	problems = append(problems, c.env.Stop())
	for _, log := range c.logs {
		problems = append(problems, log.Close())
	}
	if c.dir != "" {
		problems = append(problems, os.RemoveAll(c.dir))
	}
	return errors.Join(problems...)
}

// EtcdData is the folder with etcd's files.
func (c *Cluster) EtcdData() string { return c.env.ControlPlane.Etcd.DataDir }

// WriteKubeconfig writes a cluster administrator's kubeconfig to path.
func (c *Cluster) WriteKubeconfig(path string) error {
	return os.WriteFile(path, c.env.KubeConfig, 0o600)
}

func (c *Cluster) log(dir, name string) (*os.File, error) {
	file, err := os.Create(filepath.Join(dir, name+".log"))
	if err == nil {
		c.logs = append(c.logs, file)
	}
	return file, err
}

func environment(assets, root string, o Options) *envtest.Environment {
	existing := false // whatever the environment says: tests never touch somebody's cluster
	var definitions []string
	if o.Nodes == nil {
		definitions = []string{filepath.Join(root, "config", "crd", "bases")}
	}
	return &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		CRDDirectoryPaths:        definitions,
		ErrorIfCRDPathMissing:    true,
		UseExistingCluster:       &existing,
		ControlPlaneStartTimeout: patience,
		ControlPlaneStopTimeout:  patience,
	}
}

func findAssets(o Options) (string, error) {
	assets := os.Getenv(assetsVariable)
	if assets == "" {
		return "", errors.New("no control plane to start: run `make test`, or set " + assetsVariable + " to the folder that `make control-plane` prints")
	}
	if !o.ControllerManager {
		return assets, nil
	}
	_, err := os.Stat(filepath.Join(assets, controllerManagerName))
	if errors.Is(err, os.ErrNotExist) {
		return "", ErrNoControllerManager
	}
	return assets, err
}

// moduleRoot is where go.mod is: in the working directory, which for a test is its package, or above.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod in the working directory or above: where are the CRDs?")
		}
	}
}
