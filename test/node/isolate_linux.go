package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Isolate runs the tests of a package where Start can start a cluster. TestMain calls it with m.Run. The program runs
// three times: outside, where it clears up; as the first process of the namespaces, whose end is the end of all others;
// and as the one that tests. It returns the code to exit with.
func Isolate(run func() int) int {
	switch os.Getenv(roleVariable) {
	case roleFirst:
		return first()
	case roleTester:
		return tester(run)
	}
	code, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

func outside() (code int, err error) {
	if err := missing(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "defender-node-")
	if err != nil {
		return 1, err
	}
	world := place{dir: dir, cgroup: filepath.Base(dir)}
	defer func() { err = errors.Join(err, world.clear(code != 0)) }()
	if err := world.makeCgroups(); err != nil {
		return 1, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer stop()
	runtime.LockOSThread() // with this thread the first process ends, even if nobody here can end it any more
	child := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	child.Env = append(os.Environ(), roleVariable+"="+roleFirst, dirVariable+"="+dir)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // Ctrl-C is for the process outside
	}
	return world.await(ctx, child)
}

// await runs the child to its end, or to that of a cluster that was kept.
func (p place) await(ctx context.Context, child *exec.Cmd) (code int, err error) {
	err = child.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		result, unknown := os.ReadFile(p.file(resultFile))
		if unknown != nil {
			return 1, errors.New("interrupted")
		}
		return strconv.Atoi(string(result))
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// clear removes what the end of the namespaces leaves behind. Logs stay if something went wrong.
func (p place) clear(keepLogs bool) error {
	var problems []error
	if keepLogs {
		logs := p.dir + "-" + logFolder
		if os.Rename(p.file(logFolder), logs) == nil {
			fmt.Fprintln(os.Stderr, "The logs of the cluster are in "+logs)
		}
	}
	problems = append(problems, p.removeCgroups(), os.RemoveAll(p.dir))
	return errors.Join(problems...)
}

// first prepares the namespaces, starts the tests and, as the first process has to, reaps whatever ends.
func first() int {
	// Some programs write to fixed places. Here these are empty, and gone afterwards.
	problems := []error{
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("proc", "/proc", "proc", 0, ""),
		syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"),
		syscall.Mount("tmpfs", "/var/log", "tmpfs", 0, "mode=755"),
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the namespaces:", err)
		return 1
	}
	if err := os.Setenv(roleVariable, roleTester); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	child, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Fprintln(os.Stderr, "wait for the tests:", err)
			return 1
		case pid == child.Pid && status.Exited():
			return status.ExitStatus()
		case pid == child.Pid:
			return 1
		}
	}
}

// tester runs the tests with all temporary files in the cluster's folder.
func tester(run func() int) int {
	world, _ := here()
	for variable, folder := range map[string]string{"TMPDIR": "tmp", "HOME": "home", "": logFolder} {
		err := os.MkdirAll(world.file(folder), 0o700)
		if variable != "" {
			err = errors.Join(err, os.Setenv(variable, world.file(folder)))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code := run()
	if os.Getenv(KeepVariable) == "" {
		return code
	}
	if err := os.WriteFile(world.file(resultFile), []byte(strconv.Itoa(code)), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	world.invite()
	select {} // until the process outside ends the first one
}

// invite tells how to look at a cluster that is kept.
func (p place) invite() {
	find := fmt.Sprintf("pgrep -f -- --root-dir=%s", p.file("kubelet"))
	fmt.Printf("\nThe cluster runs until Ctrl-C. Its network is its own; a shell in it:\n\n"+
		"  nsenter --target \"$(%s)\" --mount --net --pid env KUBECONFIG=%s PATH=%q bash\n\n",
		find, p.file(adminFile), os.Getenv("PATH"))
}

// missing says what this machine lacks.
func missing() error {
	if os.Geteuid() != 0 {
		return errors.New("a cluster with a node needs root, for namespaces, mounts and cgroups: run it with sudo, or in a virtual machine")
	}
	var absent []string
	for _, program := range []string{"ip", "nft", "mount", "umount"} {
		if _, err := exec.LookPath(program); err != nil {
			absent = append(absent, program)
		}
	}
	if len(absent) > 0 {
		return fmt.Errorf("a cluster with a node needs the programs %s: install the packages iproute2, nftables and mount", strings.Join(absent, ", "))
	}
	for _, file := range []string{"/proc/self/ns/net", "/proc/self/ns/pid", "/sys/fs/cgroup"} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("a cluster with a node needs a Linux kernel with namespaces and cgroups: %w", err)
		}
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err == nil && !strings.Contains(string(filesystems), "\toverlay\n") {
		// It may be a module that nobody has needed yet.
		if out, err := exec.CommandContext(context.Background(), "modprobe", "overlay").CombinedOutput(); err != nil {
			return fmt.Errorf("a cluster with a node needs a Linux kernel with overlayfs: %w: %s", err, out)
		}
	}
	return nil
}
