package node_test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/defender-tenant/operator/test/node"
)

func TestStartSaysWhereItCan(t *testing.T) {
	if _, err := node.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "node.Isolate") {
		t.Errorf("outside of the namespaces: %v", err)
	}
}

// TestWriteImage follows the digests of an image from its index to the program in its layer, as containerd does.
func TestWriteImage(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(program, []byte("a static program"), 0o600); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := node.WriteImage(archive, program); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	files := untar(t, file)
	blob := func(digest string) []byte {
		content := files["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")]
		if sum := sha256.Sum256(content); "sha256:"+hex.EncodeToString(sum[:]) != digest {
			t.Errorf("blob %s is another or missing", digest)
		}
		return content
	}
	type reference struct{ Digest string }
	var index struct{ Manifests []reference }
	var manifest struct {
		Config reference
		Layers []reference
	}
	var config struct {
		Config struct {
			Entrypoint []string
			User       string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	for _, part := range []struct {
		text func() []byte
		into any
	}{
		{func() []byte { return files["index.json"] }, &index},
		{func() []byte { return blob(index.Manifests[0].Digest) }, &manifest},
		{func() []byte { return blob(manifest.Config.Digest) }, &config},
	} {
		if err := json.Unmarshal(part.text(), part.into); err != nil {
			t.Fatal(err)
		}
	}
	if config.Config.Entrypoint[0] != "/pause" || config.Config.User != "65532:65532" || config.RootFS.DiffIDs[0] != manifest.Layers[0].Digest {
		t.Errorf("got %+v", config)
	}
	if layer := untar(t, strings.NewReader(string(blob(manifest.Layers[0].Digest)))); string(layer["pause"]) != "a static program" {
		t.Errorf("the layer holds %q", layer)
	}
}

func untar(t *testing.T, archive io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}
