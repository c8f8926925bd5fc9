package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/test/cluster"
)

// world is an API server and an emulator for one of the two that are compared: the operator and the floor.
type world struct {
	dir        string // files and logs
	plane      *cluster.Cluster
	kubeconfig string
	kubernetes string // version
	api        client.Client
	server     int          // process of kube-apiserver
	serverHTTP *http.Client // for its metrics
	entra      *control
	caFile     string
}

// startWorld starts a world in which no object is. end stops it.
func (b *bench) startWorld(ctx context.Context, name string) (*world, error) {
	w := &world{dir: filepath.Join(b.logs, name)}
	if err := os.MkdirAll(w.dir, 0o750); err != nil {
		return nil, err
	}
	var err error
	if w.plane, err = cluster.Start(ctx, cluster.Options{LogDir: w.dir}); err != nil {
		return nil, err
	}
	b.planes = append(b.planes, w.plane)
	if err := w.connect(); err != nil {
		return nil, err
	}
	return w, b.startEmulator(ctx, w)
}

func (w *world) connect() error {
	w.kubeconfig = filepath.Join(w.dir, "kubeconfig")
	if err := w.plane.WriteKubeconfig(w.kubeconfig); err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	if w.api, err = client.New(unpaced(w.plane.Config), client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if w.serverHTTP, err = rest.HTTPClientFor(w.plane.Config); err != nil {
		return err
	}
	server, err := w.plane.APIServer()
	if err != nil {
		return err
	}
	w.server = server.PID()
	discoverer, err := discovery.NewDiscoveryClientForConfig(w.plane.Config)
	if err != nil {
		return err
	}
	version, err := discoverer.ServerVersion()
	if err == nil {
		w.kubernetes = version.GitVersion
	}
	return err
}

func (b *bench) startEmulator(ctx context.Context, w *world) error {
	config, err := json.Marshal(emulatorConfig(b.tenants))
	if err != nil {
		return err
	}
	file := filepath.Join(w.dir, "emulator.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	w.caFile = filepath.Join(w.dir, "ca.pem")
	emulator, err := b.launch(ctx, w.dir, "emulator", filepath.Join(b.dir, "emulator"), "--listen", address, "--ca-file", w.caFile, "--config", file)
	if err != nil {
		return err
	}
	w.entra = &control{url: "https://" + address}
	return await(ctx, question{"the emulator answers", time.Minute, pollInterval, func() (bool, error) {
		if w.entra.client, err = trusting(w.caFile); err != nil {
			return false, err
		}
		_, err := w.entra.stats(ctx)
		return err == nil, err
	}}, emulator)
}

// freeAddress is one on loopback that nobody listens on at the moment.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// counts are what emulator and API server have counted. They agree with each other only while nothing is under way.
type counts struct {
	entra entraStats
	api   apiRequests
}

func (w *world) count(ctx context.Context) (c counts, err error) {
	if c.entra, err = w.entra.stats(ctx); err != nil {
		return c, err
	}
	samples, err := scrape(ctx, w.serverHTTP, strings.TrimSuffix(w.plane.Config.Host, "/")+"/metrics", requestsMetric)
	if err != nil {
		return c, fmt.Errorf("read the API server's metrics: %w", err)
	}
	c.api = countRequests(samples)
	return c, nil
}

func (c counts) since(before counts) counts {
	return counts{entra: c.entra.since(before.entra), api: c.api.since(before.api)}
}
