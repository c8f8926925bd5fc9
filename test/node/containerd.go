package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

const (
	pauseImage = "localhost/pause:1"
	// imageNamespace is containerd's, for what Kubernetes runs.
	imageNamespace = "k8s.io"
)

func (p place) socket() string { return p.file("containerd.sock") }

// startContainerd starts it with the image that every Pod needs.
func (n *Node) startContainerd(ctx context.Context) error {
	folder, err := plugins()
	if err != nil {
		return err
	}
	// The score that keeps the kernel from killing a Pod's first process cannot be set everywhere, so it is not.
	config := fmt.Sprintf(`version = 3
root = %q
state = %q
[grpc]
  address = %q
[ttrpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %q
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%q]
    conf_dir = %q
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`, n.file("containerd"), n.file("containerd.state"), n.socket(), n.socket()+".ttrpc", n.file("opt"), pauseImage, folder, n.file("cni"))
	if err := os.WriteFile(n.file("containerd.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	daemon, err := n.run("containerd", "--config="+n.file("containerd.toml"))
	if err != nil {
		return err
	}
	if err := daemon.await(ctx, func(ctx context.Context) error { return n.ctr(ctx, "version") }); err != nil {
		return err
	}
	program, err := exec.LookPath("pause")
	if err != nil {
		return err
	}
	if err := WriteImage(n.file("pause.tar"), program); err != nil {
		return err
	}
	return n.ImportImage(ctx, n.file("pause.tar"), pauseImage)
}

// ImportImage makes the image of an OCI archive known under a name, for Pods that pull none.
func (n *Node) ImportImage(ctx context.Context, archive, name string) error {
	return n.ctr(ctx, "images", "import", "--index-name="+name, archive)
}

// TagImage gives an image a further name.
func (n *Node) TagImage(ctx context.Context, name, further string) error {
	return n.ctr(ctx, "images", "tag", name, further)
}

// ctr calls containerd's own client.
func (n *Node) ctr(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, "ctr", append([]string{"--address=" + n.socket(), "--namespace=" + imageNamespace}, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("ctr %v: %w: %s", args, err, out)
	}
	return nil
}
