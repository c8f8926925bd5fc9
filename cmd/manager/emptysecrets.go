package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/defender-tenant/operator/controllers/purge"
)

// emptySecretsCommand takes the tokens out of all Secrets, before an uninstall.
const emptySecretsCommand = "empty-secrets"

// farewell are the flags of that command.
type farewell struct {
	kubeconfig   string
	scaleDown    string
	wait         time.Duration
	log          zap.Options
	ownNamespace string
}

func parseFarewell(args []string, flags *flag.FlagSet) (farewell, error) {
	var f farewell
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "Kubeconfig to use outside a cluster; KUBECONFIG and ~/.kube/config are used without it.")
	flags.StringVar(&f.scaleDown, "scale-down", "", "Deployment of the operator, in the operator's namespace, that is scaled to zero first.")
	flags.DurationVar(&f.wait, "wait", time.Minute, "How long to wait until no operator runs any more.")
	f.log.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return f, err
	}
	if flags.NArg() > 0 {
		return f, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if f.wait <= 0 {
		return f, errors.New("--wait must be above zero")
	}
	f.ownNamespace = cmp.Or(os.Getenv("POD_NAMESPACE"), defaultNamespace)
	return f, nil
}

// emptySecrets stops the operator if it is told to, takes its lease, so that none starts meanwhile, and empties. What
// can be known to fail fails before.
func emptySecrets(ctx context.Context, f farewell) error {
	config, err := restConfig(f.kubeconfig)
	if err != nil {
		return err
	}
	config.Timeout = 30 * time.Second // nothing here watches
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	log := ctrl.Log.WithName(emptySecretsCommand)
	secrets := &purge.Purge{Client: c, Log: log}
	if err := secrets.Check(ctx); err != nil {
		return err // as long as nothing has been stopped
	}
	empty := func() error { return underLease(ctx, config, f, secrets.Run) }
	if f.scaleDown == "" {
		return empty()
	}
	return scaledDown(ctx, &scale{client: c, log: log, deployment: types.NamespacedName{Namespace: f.ownNamespace, Name: f.scaleDown}}, empty)
}
