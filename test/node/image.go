package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"runtime"
)

// The media types of the OCI image specification.
const (
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	// unprivileged is the user that programs run as.
	unprivileged = "65532:65532"
)

// blob is a part of an image, which others name by its digest.
type blob struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
	content   []byte
}

// WriteImage writes an OCI archive of an image that holds one static program and nothing else.
func WriteImage(archive, program string) error {
	executable, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	name := "/" + path.Base(program)
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	if err := add(files, name[1:], 0o755, executable); err != nil {
		return err
	}
	if err := files.Close(); err != nil {
		return err
	}
	content := newBlob(layerType, layer.Bytes())
	config, err := describe(configType, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{name}, "User": unprivileged},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{content.Digest}},
	})
	if err != nil {
		return err
	}
	manifest, err := describe(manifestType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []blob{content},
	})
	if err != nil {
		return err
	}
	index, err := describe(indexType, map[string]any{
		"schemaVersion": 2, "mediaType": indexType, "manifests": []blob{manifest},
	})
	if err != nil {
		return err
	}
	return writeArchive(archive, index.content, content, config, manifest)
}

func writeArchive(archive string, index []byte, blobs ...blob) error {
	var content bytes.Buffer
	files := tar.NewWriter(&content)
	if err := add(files, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := add(files, "index.json", 0o644, index); err != nil {
		return err
	}
	for _, b := range blobs {
		if err := add(files, "blobs/sha256/"+b.Digest[len("sha256:"):], 0o644, b.content); err != nil {
			return err
		}
	}
	if err := files.Close(); err != nil {
		return err
	}
	return os.WriteFile(archive, content.Bytes(), 0o600)
}

func add(files *tar.Writer, name string, mode int64, content []byte) error {
	if err := files.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err := files.Write(content)
	return err
}

func describe(mediaType string, content map[string]any) (blob, error) {
	text, err := json.Marshal(content)
	return newBlob(mediaType, text), err
}

func newBlob(mediaType string, content []byte) blob {
	digest := sha256.Sum256(content)
	return blob{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(digest[:]), Size: len(content), content: content}
}
