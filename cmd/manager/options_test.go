package main

import (
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// parsed reads flags as main does, in silence.
func parsed(args ...string) (options, error) {
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return parse(args, flags)
}

func TestParse_HasDefaultsForProduction(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "")
	o, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ got, want any }{
		"--authority-url":             {o.authorityURL, ""},
		"--ca-bundle":                 {o.caBundle, ""},
		"--namespaces":                {o.namespaces.String(), ""},
		"--secret-access":             {o.secretAccess.String(), "Cluster"},
		"--token-requests-per-second": {o.requestsPerSec, 50.0},
		"--concurrency":               {o.concurrency, 64},
		"--min-token-lifetime":        {o.minTokenLifetime, 5 * time.Minute},
		"--metrics-bind-address":      {o.metricsAddress, "0"},
		"--health-probe-bind-address": {o.probeAddress, ":8081"},
		"--leader-elect":              {o.leaderElect, false},
		"--kubeconfig":                {o.kubeconfig, ""},
		"own namespace":               {o.ownNamespace, "defender-system"},
		"login host":                  {o.catalog.Login("").URL, "https://login.microsoftonline.com"},
		"--vault-url":                 {o.catalog.Vault("", "contoso").URL, "https://contoso.vault.azure.net"},
		"--federated-token-file":      {o.tokenFile, "/var/run/secrets/azure/tokens/azure-identity-token"},
	} {
		if row.got != row.want {
			t.Errorf("%s is %v, want %v", name, row.got, row.want)
		}
	}
	if watched(o.namespaces) != nil {
		t.Error("without --namespaces not all are watched")
	}
}

func TestParse_TakesEveryFlag(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "operators")
	o, err := parsed(
		"--authority-url=https://localhost:8443/", "--ca-bundle", "/etc/ca.pem", "--namespaces=soc, noc,", "--namespaces", "third", "--secret-access=Namespace",
		"--token-requests-per-second=0.5", "--concurrency=1", "--min-token-lifetime=1s", "--metrics-bind-address=:8443",
		"--health-probe-bind-address=127.0.0.1:9", "--leader-elect", "--kubeconfig=/kube", "--zap-log-level=10", "--zap-encoder=console", "--zap-devel",
		"--zap-stacktrace-level=panic", "--zap-time-encoding=iso8601", "--vault-url=https://localhost:8444/", "--federated-token-file=/tokens/mine")
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ got, want any }{
		"--ca-bundle":                 {o.caBundle, "/etc/ca.pem"},
		"--namespaces":                {o.namespaces.String(), "soc,noc,third"},
		"--secret-access":             {o.secretAccess.String(), "Namespace"},
		"--token-requests-per-second": {o.requestsPerSec, 0.5},
		"--concurrency":               {o.concurrency, 1},
		"--min-token-lifetime":        {o.minTokenLifetime, time.Second},
		"--metrics-bind-address":      {o.metricsAddress, ":8443"},
		"--health-probe-bind-address": {o.probeAddress, "127.0.0.1:9"},
		"--leader-elect":              {o.leaderElect, true},
		"--kubeconfig":                {o.kubeconfig, "/kube"},
		"own namespace":               {o.ownNamespace, "operators"},
		"login host":                  {o.catalog.Login("").URL, "https://localhost:8443"},
		"--vault-url":                 {o.catalog.Vault("", "contoso").URL, "https://localhost:8444"},
		"--federated-token-file":      {o.tokenFile, "/tokens/mine"},
		"--zap-devel":                 {o.log.Development, true},
	} {
		if row.got != row.want {
			t.Errorf("%s is %v, want %v", name, row.got, row.want)
		}
	}
	if got := sets.List(sets.KeySet(watched(o.namespaces))); !slices.Equal(got, []string{"noc", "soc", "third"}) {
		t.Errorf("watched are %v", got)
	}
}

func TestParse_TakesTheTokenFileThatAzuresWebhookNames(t *testing.T) {
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/var/run/elsewhere")
	if o, err := parsed(); err != nil || o.tokenFile != "/var/run/elsewhere" {
		t.Errorf("got %q, %v", o.tokenFile, err)
	}
	if o, err := parsed("--federated-token-file=/tokens/mine"); err != nil || o.tokenFile != "/tokens/mine" {
		t.Errorf("the flag does not go first: %q, %v", o.tokenFile, err)
	}
}

func TestParse_ExplainsEveryFlag(t *testing.T) {
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if _, err := parse(nil, flags); err != nil {
		t.Fatal(err)
	}
	var own []string
	flags.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "zap-") {
			return
		}
		own = append(own, f.Name)
		if !strings.HasSuffix(f.Usage, ".") {
			t.Errorf("--%s is explained by no sentence: %q", f.Name, f.Usage)
		}
	})
	want := []string{
		"authority-url", "ca-bundle", "concurrency", "federated-token-file", "health-probe-bind-address", "kubeconfig", "leader-elect", "metrics-bind-address",
		"min-token-lifetime", "namespaces", "secret-access", "token-requests-per-second", "vault-url",
	}
	if !slices.Equal(own, want) {
		t.Errorf("flags %v, want %v", own, want)
	}
}

// refusals are wrong flags and what is said of them. The process ends with each of them.
func refusals() map[string]struct {
	args []string
	want string
} {
	return map[string]struct {
		args []string
		want string
	}{
		"a login host without TLS":     {[]string{"--authority-url=http://localhost"}, `--authority-url: authority URL "http://localhost" must be https://host[:port] without a path`},
		"a login host with a path":     {[]string{"--authority-url=https://localhost/common"}, `--authority-url: authority URL "https://localhost/common" must be https://host[:port] without a path`},
		"a login host with a query":    {[]string{"--authority-url=https://localhost?x=1"}, "must be https://host[:port] without a path"},
		"a login host with a user":     {[]string{"--authority-url=https://me@localhost"}, "must be https://host[:port] without a path"},
		"a login host without scheme":  {[]string{"--authority-url=localhost:8443"}, "must be https://host[:port] without a path"},
		"a vault without TLS":          {[]string{"--vault-url=http://localhost"}, `--vault-url: vault URL "http://localhost" must be https://host[:port] without a path`},
		"no request at all":            {[]string{"--token-requests-per-second=0"}, "--token-requests-per-second must be above zero and finite"},
		"fewer requests than none":     {[]string{"--token-requests-per-second=-1"}, "--token-requests-per-second must be above zero and finite"},
		"requests that are no number":  {[]string{"--token-requests-per-second=NaN"}, "--token-requests-per-second must be above zero and finite"},
		"requests without end":         {[]string{"--token-requests-per-second=+Inf"}, "--token-requests-per-second must be above zero and finite"},
		"another access to Secrets":    {[]string{"--secret-access=cluster"}, `invalid value "cluster" for flag -secret-access: "cluster" is neither Cluster nor Namespace`},
		"no worker":                    {[]string{"--concurrency=0"}, "--concurrency must be at least 1"},
		"half a worker":                {[]string{"--concurrency=0.5"}, "invalid value \"0.5\" for flag -concurrency"},
		"tokens of no life":            {[]string{"--min-token-lifetime=0"}, "--min-token-lifetime must be above zero and at most 25h0m0s"},
		"tokens of a negative life":    {[]string{"--min-token-lifetime=-5m"}, "--min-token-lifetime must be above zero and at most 25h0m0s"},
		"tokens of too long a life":    {[]string{"--min-token-lifetime=26h"}, "--min-token-lifetime must be above zero and at most 25h0m0s"},
		"a life that is no duration":   {[]string{"--min-token-lifetime=5"}, "invalid value \"5\" for flag -min-token-lifetime"},
		"a flag that does not exist":   {[]string{"--token=x"}, "flag provided but not defined: -token"},
		"a log level that is none":     {[]string{"--zap-log-level=loud"}, "invalid value \"loud\" for flag -zap-log-level"},
		"an argument that is no flag":  {[]string{"run"}, `unexpected argument "run"`},
		"an argument after good flags": {[]string{"--leader-elect", "false"}, `unexpected argument "false"`},
	}
}

func TestParse_RefusesWithASentence(t *testing.T) {
	for name, row := range refusals() {
		t.Run(name, func(t *testing.T) {
			_, err := parsed(row.args...)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
	t.Run("several at once", func(t *testing.T) {
		_, err := parsed("--concurrency=0", "--token-requests-per-second=0", "--min-token-lifetime=0")
		if err == nil || strings.Count(err.Error(), "\n") != 2 {
			t.Errorf("got %v, want three sentences", err)
		}
	})
}

func TestMetricsOptions_AskWhoMayReadUnlessOnLoopback(t *testing.T) {
	for address, secure := range map[string]bool{
		":8443": true, "0.0.0.0:8443": true, "10.0.0.1:8443": true, "[::]:8443": true, "metrics.example:8443": true, "nonsense": true,
		"127.0.0.1:8080": false, "localhost:8080": false, "[::1]:8080": false, "127.1.2.3:8080": false,
	} {
		got := metricsOptions(address)
		if got.BindAddress != address || got.SecureServing != secure || (got.FilterProvider != nil) != secure {
			t.Errorf("%s: TLS %v, asks %v, want %v", address, got.SecureServing, got.FilterProvider != nil, secure)
		}
	}
}

func TestManagerOptions_GiveTheLeaseBack(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	got := managerOptions(options{leaderElect: true, ownNamespace: "operators", probeAddress: ":1", metricsAddress: "0"}, scheme)
	if !got.LeaderElection || got.LeaderElectionNamespace != "operators" || !got.LeaderElectionReleaseOnCancel {
		t.Errorf("got %+v", got)
	}
	if *got.LeaseDuration != 15*time.Second || *got.RenewDeadline != 10*time.Second || *got.RetryPeriod != 2*time.Second {
		t.Errorf("lease times %v, %v, %v", *got.LeaseDuration, *got.RenewDeadline, *got.RetryPeriod)
	}
}

func TestNotify_NeverBlocks(t *testing.T) {
	judged := make(chan event.GenericEvent, 1)
	tell := notify(judged)
	tell("first")
	tell("second") // nobody listens, and it is found at the next look
	if got := (<-judged).Object.GetName(); got != "first" {
		t.Errorf("got %s", got)
	}
}
