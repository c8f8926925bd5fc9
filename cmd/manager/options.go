package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/federation"
	"github.com/defender-tenant/operator/internal/token"
)

// defaultNamespace is the operator's own where POD_NAMESPACE does not say.
const defaultNamespace = "defender-system"

// options are the flags and what follows from them.
type options struct {
	authorityURL     string
	vaultURL         string
	tokenFile        string
	caBundle         string
	namespaces       namespaces
	secretAccess     secretAccess
	requestsPerSec   float64
	concurrency      int
	minTokenLifetime time.Duration
	metricsAddress   string
	probeAddress     string
	leaderElect      bool
	kubeconfig       string
	log              zap.Options

	ownNamespace string
	catalog      cloud.Catalog
}

// secretAccess is how far the operator's right to Secrets reaches.
type secretAccess string

const (
	accessCluster   secretAccess = "Cluster"
	accessNamespace secretAccess = "Namespace"
)

func (a *secretAccess) String() string { return string(*a) }

// Set takes one of the two.
func (a *secretAccess) Set(value string) error {
	switch chosen := secretAccess(value); chosen {
	case accessCluster, accessNamespace:
		*a = chosen
		return nil
	}
	return fmt.Errorf("%q is neither %s nor %s", value, accessCluster, accessNamespace)
}

// namespaces is a list of names, given once separated by commas or several times.
type namespaces []string

func (n *namespaces) String() string { return strings.Join(*n, ",") }

// Set adds names.
func (n *namespaces) Set(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			*n = append(*n, name)
		}
	}
	return nil
}

func parse(args []string, flags *flag.FlagSet) (options, error) {
	var o options
	flags.StringVar(&o.authorityURL, "authority-url", "", "Replaces the login endpoint of cloud Public, as https://host[:port], and switches instance discovery off. For emulators and proxies.")
	flags.StringVar(&o.vaultURL, "vault-url", "", "Stands for every key vault of cloud Public, as https://host[:port]. For emulators.")
	flags.StringVar(&o.tokenFile, "federated-token-file", cmp.Or(os.Getenv("AZURE_FEDERATED_TOKEN_FILE"), federation.DefaultFile), "File with the projected service-account token for credentials of kind workloadIdentity, by default what AZURE_FEDERATED_TOKEN_FILE says. Those for other clouds are beside it, with -usgovernment or -china at the end of the name.")
	flags.StringVar(&o.caBundle, "ca-bundle", "", "File of further trust roots for Entra ID and key vaults (PEM), read again when it changes.")
	flags.Var(&o.namespaces, "namespaces", "Watch DefenderTenants in these namespaces only, separated by commas. All if empty.")
	o.secretAccess = accessCluster
	flags.Var(&o.secretAccess, "secret-access", "Cluster: the operator may touch Secrets in all namespaces, by a ClusterRoleBinding. Namespace: only where a RoleBinding lets it, which it looks for in each namespace that has a DefenderTenant.")
	flags.Float64Var(&o.requestsPerSec, "token-requests-per-second", 50, "Most requests per second to a login host.")
	flags.IntVar(&o.concurrency, "concurrency", 64, "DefenderTenants that are worked on at the same time.")
	flags.DurationVar(&o.minTokenLifetime, "min-token-lifetime", token.DefaultMinLifetime, "Tokens with a shorter life are not published. Lower it for demos and tests only.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "Address of the metrics endpoint, as :8443. It serves HTTPS and asks the API server who may read it; 0 switches it off. An address on loopback serves plain HTTP.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz.")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "Run several replicas of which one works.")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig to use outside a cluster; KUBECONFIG and ~/.kube/config are used without it.")
	o.log.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.ownNamespace = cmp.Or(os.Getenv("POD_NAMESPACE"), defaultNamespace)
	return o, o.complete()
}

func (o *options) complete() error {
	var err error
	if o.catalog, err = cloud.NewCatalog(o.authorityURL); err != nil {
		return fmt.Errorf("--authority-url: %w", err)
	}
	if o.catalog, err = o.catalog.WithVault(o.vaultURL); err != nil {
		return fmt.Errorf("--vault-url: %w", err)
	}
	var problems []error
	if !(o.requestsPerSec > 0) || math.IsInf(o.requestsPerSec, 0) { // nor what is no number
		problems = append(problems, errors.New("--token-requests-per-second must be above zero and finite"))
	}
	if o.concurrency < 1 {
		problems = append(problems, errors.New("--concurrency must be at least 1"))
	}
	if o.minTokenLifetime <= 0 || o.minTokenLifetime > token.MaxLifetime {
		problems = append(problems, fmt.Errorf("--min-token-lifetime must be above zero and at most %s", token.MaxLifetime))
	}
	return errors.Join(problems...)
}
