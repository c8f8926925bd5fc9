// Command chart brings into the Helm chart what is written elsewhere: the manifests that kustomize and Helm
// share, and from the comments in values.yaml the page that explains them.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
)

// own are files of config/ for which the chart has a template, because values change what is in them.
func own() []string { return []string{"kustomization.yaml", "service-account.yaml"} }

func main() {
	config := flag.String("config", "config", "the folder of kustomize")
	chart := flag.String("chart", "charts/defender-tenant-operator", "the folder of the chart")
	flag.Parse()
	if err := run(*config, *chart); err != nil {
		log.Fatal(err)
	}
}

func run(config, chart string) error {
	for from, to := range map[string]string{"crd/bases": "crds", "rbac": "rbac", "guard": "guard"} {
		if err := share(filepath.Join(config, from), filepath.Join(chart, "files", to)); err != nil {
			return err
		}
	}
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	// A page is for everybody to read.
	return os.WriteFile(filepath.Join(chart, "README.md"), []byte(page(string(values))), 0o644)
}

// share makes one folder hold the manifests of another, and nothing else.
func share(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if slices.Contains(own(), name) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o644); err != nil {
			return fmt.Errorf("share %s: %w", path, err)
		}
	}
	return nil
}
