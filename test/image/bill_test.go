package image

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cyclonedx and spdx are the two forms of a bill of materials, as far as they are asked for.
type cyclonedx struct {
	Components []struct {
		Name     string `json:"name"`
		Version  string `json:"version"`
		PURL     string `json:"purl"`
		Licenses []struct {
			Expression string `json:"expression"`
			License    struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"license"`
		} `json:"licenses"`
	} `json:"components"`
}

type spdx struct {
	Packages []struct {
		Name         string `json:"name"`
		Version      string `json:"versionInfo"`
		ExternalRefs []struct {
			Locator string `json:"referenceLocator"`
		} `json:"externalRefs"`
	} `json:"packages"`
}

const (
	ours = "github.com/defender-tenant/operator"
	goes = "pkg:golang/" // how the name of each Go module begins
)

// modules reads from the program itself what it was linked from: the compiler wrote it down.
func modules(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, i := range images(t) {
		info, err := buildinfo.Read(bytes.NewReader(i.content["manager"]))
		if err != nil {
			t.Fatal(err)
		}
		found["stdlib"] = info.GoVersion
		for _, module := range info.Deps {
			if module.Replace != nil {
				module = module.Replace
			}
			found[module.Path] = module.Version
		}
	}
	return found
}

func read[T any](t *testing.T, name string) T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(*archive), name))
	if err != nil {
		t.Fatal(err)
	}
	return decode[T](t, data)
}

func TestBills_NameWhatTheProgramWasLinkedFrom(t *testing.T) {
	want := modules(t)
	if want["sigs.k8s.io/controller-runtime"] == "" {
		t.Fatalf("%d modules, and none is what an operator is made of", len(want))
	}
	bills := map[string]map[string]string{"sbom.cdx.json": {}, "sbom.spdx.json": {}}
	for _, c := range read[cyclonedx](t, "sbom.cdx.json").Components {
		if strings.HasPrefix(c.PURL, goes) && c.Name != ours {
			bills["sbom.cdx.json"][c.Name] = c.Version
		}
	}
	for _, p := range read[spdx](t, "sbom.spdx.json").Packages {
		for _, reference := range p.ExternalRefs {
			if strings.HasPrefix(reference.Locator, goes) && p.Name != ours {
				bills["sbom.spdx.json"][p.Name] = p.Version
			}
		}
	}
	for file, got := range bills {
		for _, module := range slices.Sorted(maps.Keys(want)) {
			if got[module] != want[module] {
				t.Errorf("%s: %s is %q, the program was linked from %q", file, module, got[module], want[module])
			}
			delete(got, module)
		}
		for module, version := range got {
			t.Errorf("%s: %s %s is not in the program", file, module, version)
		}
	}
}

func TestBills_HaveOnlyLicencesThatWereAgreedOn(t *testing.T) {
	want := modules(t)
	data, err := os.ReadFile("../../hack/supply/licenses.txt")
	if err != nil {
		t.Fatal(err)
	}
	var agreed []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		agreed = append(agreed, strings.TrimSpace(line))
	}
	for _, c := range read[cyclonedx](t, "sbom.cdx.json").Components {
		if want[c.Name] == "" {
			continue // our own, and what the base image brings
		}
		if len(c.Licenses) == 0 {
			t.Errorf("%s %s has no licence", c.Name, c.Version)
		}
		for _, l := range c.Licenses {
			if name := cmp.Or(l.Expression, l.License.ID, l.License.Name); name == "" || !slices.Contains(agreed, name) {
				t.Errorf("%s %s is under %q: read it, and add it to hack/supply/licenses.txt if it is acceptable", c.Name, c.Version, name)
			}
		}
	}
}
