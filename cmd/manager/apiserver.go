package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// answerTimeout is how long an API server that is there needs at most to say so.
const answerTimeout = 5 * time.Second

// restConfig reads the connection to the API server and makes it notice a dead
// connection within seconds: by default that takes 45 s, longer than a lease lasts.
func restConfig(path string) (*rest.Config, error) {
	for name, value := range map[string]string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "5", "HTTP2_PING_TIMEOUT_SECONDS": "3"} {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, value); err != nil {
				return nil, err
			}
		}
	}
	config, err := loadConfig(path)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	// The API server paces its clients by itself; a limit here would only delay renewals.
	config.QPS = -1
	config.UserAgent = "defender-tenant-operator"
	// What decompresses a watch keeps the last 32 KiB that passed through it: several tokens, for as long as the watch lives.
	config.DisableCompression = true
	return config, nil
}

func loadConfig(path string) (*rest.Config, error) {
	if path != "" {
		return clientcmd.BuildConfigFromFlags("", path)
	}
	return ctrl.GetConfig()
}

// awaitAPIServer waits until the API server answers or ctx ends, which is no error. A replica that lost its lease while
// the API server was away would otherwise start, fail and start again until it is back.
func awaitAPIServer(ctx context.Context, config *rest.Config, probeAddress string) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	stop, err := liveMeanwhile(ctx, probeAddress)
	if err != nil {
		return err
	}
	defer stop()
	log := ctrl.Log.WithName("start")
	waiting := false
	err = wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		_, err := client.ServerVersionWithContext(ctx)
		if err != nil && !waiting {
			log.Info("Waiting for the API server", "host", config.Host, "cause", err.Error())
			waiting = true
		}
		return err == nil, nil
	})
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// liveMeanwhile answers the liveness probe until there is a manager that does, or every minute of an outage would end
// the process. Nothing else is answered: a replica that waits is not ready.
func liveMeanwhile(ctx context.Context, address string) (stop func(), err error) {
	if address == "" || address == "0" { // as for the manager
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for health probes: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/healthz", healthz.CheckHandler{Checker: healthz.Ping})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: answerTimeout}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // until it is closed
	}()
	return func() {
		_ = server.Close() // a probe that is cut off is asked again
		<-ended
	}, nil
}
