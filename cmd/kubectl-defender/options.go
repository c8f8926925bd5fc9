package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// options are the arguments of consent-mail.
type options struct {
	name       string
	namespace  string
	provider   string
	appName    string
	kubeconfig string
	context    string
}

// parse takes flags before and behind the name, as kubectl does.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("kubectl defender consent-mail", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is reported once, by main
	flags.StringVar(&o.namespace, "namespace", "", "")
	flags.StringVar(&o.namespace, "n", "", "")
	flags.StringVar(&o.provider, "provider", "Your security provider", "")
	flags.StringVar(&o.appName, "app-name", "", "")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "")
	flags.StringVar(&o.context, "context", "", "")
	var names []string
	for len(args) > 0 {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			_, problem := io.WriteString(out, usage)
			return o, errors.Join(err, problem)
		}
		if err != nil {
			return o, err
		}
		if args = flags.Args(); len(args) > 0 {
			names, args = append(names, args[0]), args[1:]
		}
	}
	if len(names) != 1 {
		return o, fmt.Errorf("consent-mail needs the name of one DefenderTenant, got %d; kubectl get defendertenants shows which there are", len(names))
	}
	o.name = names[0]
	return o, nil
}

// connector opens the connection to a cluster and fills in the namespace.
type connector func(*options) (client.Reader, error)

func connect(o *options) (client.Reader, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	if o.namespace == "" {
		if o.namespace, _, err = loader.Namespace(); err != nil {
			return nil, fmt.Errorf("read namespace of the kubeconfig: %w", err)
		}
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
}
