// Package docs_test keeps the documentation true.
package docs_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/cluster"
)

func threatModel(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheThreatModelNamesTestsThatExist(t *testing.T) {
	exists := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.`)
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllSubmatch(text, -1) {
			exists[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	threats := 0
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	for line := range strings.Lines(threatModel(t)) {
		names := named.FindAllStringSubmatch(line, -1)
		for _, name := range names {
			if !exists[name[1]] {
				t.Errorf("there is no %s", name[1])
			}
		}
		if strings.HasPrefix(line, "| T") {
			threats++
			if len(names) == 0 && !strings.Contains(line, "| no test: ") {
				t.Errorf("neither a test nor why there is none: %s", line)
			}
		}
	}
	if threats < 30 {
		t.Errorf("%d threats: were they read?", threats)
	}
}

func TestSecretsAreUnreadableInEtcdWithTheSample(t *testing.T) {
	_, after, _ := strings.Cut(threatModel(t), "```yaml\n")
	sample, _, _ := strings.Cut(after, "```")
	if !strings.Contains(sample, "BASE64_OF_32_RANDOM_BYTES") {
		t.Fatalf("no place for a key in %q", sample)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	file := filepath.Join(t.TempDir(), "encryption.yaml")
	sample = strings.Replace(sample, "BASE64_OF_32_RANDOM_BYTES", base64.StdEncoding.EncodeToString(key), 1)
	if err := os.WriteFile(file, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		config   string
		readable bool
	}{
		"with the sample":    {file, false},
		"without encryption": {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readableInEtcd(t, row.config); got != row.readable {
				t.Errorf("the token is readable in etcd's files: %t, want %t", got, row.readable)
			}
		})
	}
}

// readableInEtcd stores a token Secret and looks for it on the disk.
func readableInEtcd(t *testing.T, config string) bool {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{EncryptionConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	api, err := client.New(c.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const token = "a-token-that-lies-on-a-disk"
	err = api.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "contoso-xdr"},
		Type:       v1alpha1.SecretType,
		Data:       map[string][]byte{v1alpha1.KeyToken: []byte(token)},
	})
	if err != nil {
		t.Fatal(err)
	}
	found, named := false, false
	err = filepath.WalkDir(c.EtcdData(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		stored, err := os.ReadFile(path)
		found = found || bytes.Contains(stored, []byte(token)) || bytes.Contains(stored, []byte(base64.StdEncoding.EncodeToString([]byte(token))))
		named = named || bytes.Contains(stored, []byte("/registry/secrets/default/contoso-xdr"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !named {
		t.Error("the Secret is in no file: are these etcd's?")
	}
	return found
}
