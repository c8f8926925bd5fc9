// Command golangci-lint is golangci-lint with kube-api-linter compiled in: `golangci-lint custom`
// would generate the same, but from a clone of its repository.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter"
)

func main() {
	if err := commands.Execute(buildInfo()); err != nil {
		fmt.Fprintln(os.Stderr, "golangci-lint:", err)
		os.Exit(exitcodes.Failure)
	}
}

// buildInfo names the linters' versions, which also decide which cached results are still good.
func buildInfo() commands.BuildInfo {
	var described commands.BuildInfo
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return described
	}
	described.GoVersion = info.GoVersion
	for _, module := range info.Deps {
		switch module.Path {
		case "github.com/golangci/golangci-lint/v2":
			described.Version += module.Version
		case "sigs.k8s.io/kube-api-linter":
			described.Version += " with kube-api-linter " + module.Version
		}
	}
	return described
}
