package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
)

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
func awaitAPIServer(ctx context.Context, config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	log := ctrl.Log.WithName("start")
	waiting := false
	err = wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) {
		_, err := client.ServerVersion()
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
