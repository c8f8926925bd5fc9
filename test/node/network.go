package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The addresses are in a network of their own, so that they can be fixed.
const (
	// Address is the node's: that of the bridge, which Pods have as their gateway and where they reach the API server.
	Address = "10.88.0.1"

	bridge         = "pods"
	pods           = "10.88.0.0/24"
	services       = "10.96.0.0/16"
	serviceAddress = "10.96.0.1" // the API server's, always the first
)

// connect makes the bridge of the Pods and tells the plugin how to connect them to it.
func (p place) connect(ctx context.Context) error {
	for _, line := range []string{
		"link set lo up",
		"link add " + bridge + " type bridge",
		"address add " + Address + "/24 dev " + bridge,
		"link set " + bridge + " up",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	// What comes from a Pod and is for a Service is for another Pod, or for the API server.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(p.file("cni"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(p.file("cni", "pods.conflist"), fmt.Appendf(nil, `{
  "cniVersion": "1.0.0", "name": "pods",
  "plugins": [{
    "type": "bridge", "bridge": %q, "isGateway": false, "ipMasq": false, "hairpinMode": true,
    "ipam": {
      "type": "host-local", "dataDir": %q,
      "ranges": [[{"subnet": %q, "gateway": %q}]], "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}`, bridge, p.file("addresses"), pods, Address), 0o600)
}

// plugins is the folder of those that connect Pods.
func plugins() (string, error) {
	one, err := exec.LookPath("host-local")
	return filepath.Dir(one), err
}
