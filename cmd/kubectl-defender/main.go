// Command kubectl-defender is a plugin for kubectl: put it on the PATH and call kubectl defender.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Works with the customers of the Defender Tenant Operator.

Usage:
  kubectl defender consent-mail NAME [flags]   print the letter that asks a customer's administrator for consent

Flags of consent-mail:
  -n, --namespace NAME    namespace of the DefenderTenant; that of the kubeconfig's context if empty
      --provider TEXT     your company, as the customer knows it
      --app-name TEXT     name of the application in Microsoft Entra ID; that of the DefenderApp if empty
      --kubeconfig FILE   kubeconfig to use
      --context NAME      context of the kubeconfig to use

Example:
  kubectl defender consent-mail contoso -n soc --provider "Example Security"
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], terminal{os.Stdout, os.Stderr}, connect)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// terminal is where answers and remarks go.
type terminal struct {
	out, notes io.Writer
}

func run(ctx context.Context, args []string, t terminal, connect connector) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		_, err := io.WriteString(t.out, usage)
		return err
	}
	if args[0] != "consent-mail" {
		return fmt.Errorf("there is no command %q; kubectl defender without arguments says which there are", args[0])
	}
	o, err := parse(args[1:], t.out)
	if err != nil {
		return err
	}
	return consentMail(ctx, o, t, connect)
}
