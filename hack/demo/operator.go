package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// operator is the running process.
type operator struct {
	process *os.Process
	metrics string // its address
	ended   chan struct{}
	problem error // how it ended; read after ended
}

// startOperator runs the operator as a process beside the cluster, with the rights of its service account
// and no others.
func (s *stage) startOperator(ctx context.Context) error {
	if err := s.writeOperatorKubeconfig(ctx); err != nil {
		return err
	}
	probes, metrics, err := freeAddresses(ctx)
	if err != nil {
		return err
	}
	log, err := os.Create(s.operatorLog())
	if err != nil {
		return err
	}
	// Not with ctx, which would kill it: stop asks it to end.
	command := exec.CommandContext(context.WithoutCancel(ctx), s.bin("manager"),
		"--kubeconfig="+s.file("operator.kubeconfig"), "--leader-elect",
		"--authority-url="+s.emulator.URL(), "--ca-bundle="+s.file("ca.pem"), "--min-token-lifetime=5s",
		"--health-probe-bind-address="+probes, "--metrics-bind-address="+metrics, "--zap-encoder=console",
	)
	command.Env = append(os.Environ(), "POD_NAMESPACE="+operatorNamespace)
	command.Stdout, command.Stderr = log, log
	// Ctrl-C is for the demo, which then stops its processes in good order.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := errors.Join(command.Start(), log.Close()); err != nil { // the process has a handle of its own
		return err
	}
	s.operator = &operator{process: command.Process, metrics: metrics, ended: make(chan struct{})}
	go func() {
		s.operator.problem = command.Wait()
		close(s.operator.ended)
		s.cancel(errors.New("the operator ended by itself"))
	}()
	return s.tell.await(ctx, "the operator", func(ctx context.Context) error {
		return probe(ctx, "http://"+probes+"/readyz")
	})
}

// stop ends the operator as Kubernetes would: it gets time to give up its lease.
func (o *operator) stop() error {
	_ = o.process.Signal(syscall.SIGTERM) // fails if it has ended by itself, which is told below
	select {
	case <-o.ended:
		if o.problem != nil {
			return fmt.Errorf("the operator ended with: %w", o.problem)
		}
		return nil
	case <-time.After(15 * time.Second):
		return errors.Join(errors.New("the operator did not end within 15 s and was killed"), o.process.Kill())
	}
}

// writeOperatorKubeconfig gives the operator what it has in a Pod: a token of its service account.
func (s *stage) writeOperatorKubeconfig(ctx context.Context) error {
	token, err := s.kubectl(ctx, "create", "token", "defender-tenant-operator", "-n", operatorNamespace, "--duration=24h")
	if err != nil {
		return err
	}
	config := api.NewConfig()
	config.Clusters["demo"] = &api.Cluster{Server: s.cluster.Config.Host, CertificateAuthorityData: s.cluster.Config.CAData}
	config.AuthInfos["operator"] = &api.AuthInfo{Token: strings.TrimSpace(token)}
	config.Contexts["demo"] = &api.Context{Cluster: "demo", AuthInfo: "operator"}
	config.CurrentContext = "demo"
	return clientcmd.WriteToFile(*config, s.file("operator.kubeconfig"))
}

func probe(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return errors.Join(err, answer.Body.Close())
}

// freeAddresses finds two addresses that nobody uses. Both are open at the same time, so they differ.
func freeAddresses(ctx context.Context) (first, second string, err error) {
	var config net.ListenConfig
	one, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	other, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", errors.Join(err, one.Close())
	}
	return one.Addr().String(), other.Addr().String(), errors.Join(one.Close(), other.Close())
}
