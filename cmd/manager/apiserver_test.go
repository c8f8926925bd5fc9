package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/defender-tenant/operator/test/proxy"
)

// hanging is an API server that takes every request and answers none.
func hanging(t *testing.T) (server *httptest.Server, asked <-chan struct{}) {
	t.Helper()
	requests, end := make(chan struct{}, 100), make(chan struct{})
	server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests <- struct{}{}
		<-end
	}))
	t.Cleanup(func() { close(end); server.Close() })
	return server, requests
}

func TestStopsWhileTheAPIServerHangs(t *testing.T) {
	server, asked := hanging(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- awaitAPIServer(ctx, &rest.Config{Host: server.URL}, "0") }()
	<-asked
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("told to stop, it fails: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the answer instead of stopping")
	}
}

// One lost answer must not be waited for until the end of days.
func TestAsksAHangingAPIServerAgain(t *testing.T) {
	server, asked := hanging(t)
	var waiting sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	waiting.Go(func() { _ = awaitAPIServer(ctx, &rest.Config{Host: server.URL}, "0") })
	defer func() { cancel(); waiting.Wait() }()
	for range 2 {
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatal("it was not asked a second time")
		}
	}
}

// TestLivesWithoutAnAPIServer: a kubelet that gets no answer from /healthz would end the process every
// minute of an outage.
func TestLivesWithoutAnAPIServer(t *testing.T) {
	away, err := proxy.Start("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	s := &stage{t: t, binary: build(t), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	s.must(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: "https://" + away.Address()}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c"}},
		CurrentContext: "c",
	}, s.kubeconfig))
	p := s.run("--kubeconfig=" + s.kubeconfig)
	p.eventually("it is alive", func() bool { return p.get("http://"+p.probe+"/healthz") == "ok" })
	if answer := p.get("http://" + p.probe + "/readyz"); answer != "" {
		t.Errorf("it says it is ready: %s", answer)
	}
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0\n%s", code, p.log.text())
	}
}
