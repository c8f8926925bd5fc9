package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
)

// leaseName is the lease of the replica that works, and of whoever empties the Secrets in its place.
const leaseName = "defender-tenant-operator"

// underLease does work while it holds the operator's lease: whoever holds it knows that no operator works, and none
// begins. Clocks are not compared, a lease is free once nobody has renewed it for as long as it lasts.
func underLease(ctx context.Context, config *rest.Config, f farewell, work func(context.Context) error) error {
	lock, err := lease(config, f.ownNamespace)
	if err != nil {
		return err
	}
	elected := make(chan context.Context, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { elected <- ctx },
			OnStoppedLeading: func() {}, // the context above ends
			OnNewLeader: func(identity string) {
				if identity != lock.Identity() {
					ctrl.Log.WithName(emptySecretsCommand).Info("Waiting for the operator to stop", "holder", identity)
				}
			},
		},
	})
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		elector.Run(ctx)
	}()
	defer func() {
		stop()
		<-ended // by then the lease is given back
	}()
	select {
	case holding := <-elected:
		return work(holding)
	case <-time.After(f.wait):
		return refusal(elector.GetLeader(), f)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refusal says who has to do what before Secrets can be emptied.
func refusal(holder string, f farewell) error {
	if holder == "" {
		return fmt.Errorf("the lease %s/%s could not be taken within %s, and without it nobody knows whether an operator runs; the log above says why",
			f.ownNamespace, leaseName, f.wait)
	}
	return fmt.Errorf("an operator still runs and would fill the Secrets again: %s holds the lease %s/%s. "+
		"Stop it first: kubectl scale -n %s deployment/defender-tenant-operator --replicas=0, or give this command the flag --scale-down=defender-tenant-operator",
		holder, f.ownNamespace, leaseName, f.ownNamespace)
}

func lease(config *rest.Config, namespace string) (resourcelock.Interface, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + emptySecretsCommand + "_" + string(uuid.NewUUID())}
	return resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, leaseName, identity, config, 10*time.Second)
}
