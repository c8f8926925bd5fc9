package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Bytes of an image for one platform, at most.
const (
	mostPulled   = 40_000_000 // compressed layers, as a node pulls them
	mostUnpacked = 40_000_000 // files, as they lie on the node's disk
)

func TestImage_IsConfiguredForALockedDownCluster(t *testing.T) {
	for _, i := range images(t) {
		if c := i.config.Config; c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/manager"}) {
			t.Errorf("runs %q as %q", c.Entrypoint, c.User)
		}
		for _, name := range []string{"title", "description", "version", "revision", "source", "documentation", "licenses", "base.name", "base.digest"} {
			if i.config.Config.Labels["org.opencontainers.image."+name] == "" {
				t.Errorf("it has no label %s", name)
			}
		}
		for _, variable := range i.config.Config.Env {
			if name, _, _ := strings.Cut(variable, "="); name != "PATH" && name != "SSL_CERT_FILE" {
				t.Errorf("it sets %s", name)
			}
		}
	}
}

func TestImage_HoldsLittle(t *testing.T) {
	for _, i := range images(t) {
		unpacked := 0
		for _, data := range i.content {
			unpacked += len(data)
		}
		t.Logf("%s: %d bytes to pull, %d files of %d bytes", i.config.Architecture, i.pulled, len(i.content), unpacked)
		if i.pulled > mostPulled {
			t.Errorf("%d bytes to pull, at most %d are agreed on", i.pulled, mostPulled)
		}
		if unpacked > mostUnpacked {
			t.Errorf("%d bytes unpacked, at most %d are agreed on", unpacked, mostUnpacked)
		}
		for name := range i.content {
			if slices.Contains([]string{"sh", "bash", "busybox", "apt", "apk"}, path.Base(name)) {
				t.Errorf("it holds %s", name)
			}
		}
		ours := i.layers[len(i.layers)-1]
		if len(ours) != 1 || ours[0].Name != "manager" {
			t.Errorf("our layer holds %d files, the first is %s", len(ours), ours[0].Name)
		}
		if h := ours[0]; h.Uid != 0 || h.Gid != 0 || h.FileInfo().Mode() != 0o755 {
			t.Errorf("the operator's file belongs to %d:%d with mode %s", h.Uid, h.Gid, h.FileInfo().Mode())
		}
	}
}

// TestImage_KnowsNoTime: a file that is newer than the commit shows when it was built, and the next build differs.
func TestImage_KnowsNoTime(t *testing.T) {
	for _, i := range images(t) {
		for _, h := range slices.Concat(i.layers...) {
			if h.ModTime.After(i.config.Created) {
				t.Errorf("%s is of %s, the image of %s", h.Name, h.ModTime, i.config.Created)
			}
		}
	}
}

// TestImage_GivesNobodyMore: nothing in it changes who one is or can be changed by others.
func TestImage_GivesNobodyMore(t *testing.T) {
	for _, i := range images(t) {
		for _, h := range slices.Concat(i.layers...) {
			mode := h.FileInfo().Mode()
			if mode&(os.ModeSetuid|os.ModeSetgid) != 0 {
				t.Errorf("%s is %s", h.Name, mode)
			}
			if h.Typeflag != tar.TypeSymlink && mode&0o002 != 0 && mode&os.ModeSticky == 0 {
				t.Errorf("anybody may change %s", h.Name)
			}
		}
	}
}

func TestImage_NeedsNoLibrary(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, i := range images(t) {
		file, err := elf.NewFile(bytes.NewReader(i.content["manager"]))
		if err != nil {
			t.Fatal(err)
		}
		if file.Machine != machines[i.config.Architecture] {
			t.Errorf("a program for %s in an image for %s", file.Machine, i.config.Architecture)
		}
		for _, segment := range file.Progs {
			if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: it is linked dynamically", i.config.Architecture)
			}
		}
	}
}

// TestImage_Starts runs it on its own files, which nothing can write, without network and rights.
func TestImage_Starts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a process another root directory")
	}
	for _, i := range images(t) {
		if i.config.Architecture != runtime.GOARCH {
			t.Logf("an image for %s cannot run here", i.config.Architecture)
			continue
		}
		run := confined(t, i.unpack(t))
		if out, err := run("--version"); err != nil || out != "defender-tenant-operator "+i.config.Config.Labels["org.opencontainers.image.version"]+"\n" {
			t.Errorf("--version: got %q and %v", out, err)
		}
		if out, err := run("--help"); err != nil || !strings.Contains(out, "-leader-elect") {
			t.Errorf("--help: got %q and %v", out, err)
		}
		// Not so far from its work: it reads its options and looks for a cluster.
		if out, err := run(); err == nil || !strings.Contains(out, "find the API server") {
			t.Errorf("without a cluster: got %q and %v", out, err)
		}
	}
}

// confined runs /manager in a container made by hand.
func confined(t *testing.T, root string) func(args ...string) (string, error) {
	t.Helper()
	const script = `mount --bind "$1" "$1" && mount -o remount,bind,ro,nosuid,nodev "$1" && cd "$1" && shift &&
		exec chroot --userspec=65532:65532 . /manager "$@"`
	return func(args ...string) (string, error) {
		command := append([]string{"--mount", "--net", "--ipc", "--pid", "--fork", "sh", "-ec", script, "sh", root}, args...)
		cmd := exec.CommandContext(t.Context(), "unshare", command...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}
