// Package image looks at what `make image` and `make sbom` wrote: what is in it, that it starts, and
// that the bills of materials tell the truth.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var archive = flag.String("archive", "", "OCI archive of the operator's image, absolute")

// descriptor, index, manifest and config are of the OCI image format, as far as they are asked for.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Platform  struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

type index struct {
	Manifests []descriptor `json:"manifests"`
}

type manifest struct {
	Config descriptor   `json:"config"`
	Layers []descriptor `json:"layers"`
}

type config struct {
	Created      time.Time `json:"created"`
	Architecture string    `json:"architecture"`
	Config       struct {
		User       string            `json:"User"`
		Env        []string          `json:"Env"`
		Entrypoint []string          `json:"Entrypoint"`
		Labels     map[string]string `json:"Labels"`
	} `json:"config"`
}

// image is the operator's for one platform.
type image struct {
	config  config
	pulled  int // bytes of layers, as a registry keeps them
	layers  [][]*tar.Header
	content map[string][]byte // of regular files
}

// images reads the archive: a tar file of blobs, each named by its digest, and an index.
func images(t *testing.T) []image {
	t.Helper()
	if *archive == "" {
		t.Skip("`make image` runs this on the image that it built")
	}
	file, err := os.Open(*archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	_, blobs := untar(t, file)
	var found []image
	for _, d := range manifests(t, blobs, decode[index](t, blobs["index.json"])) {
		m := decode[manifest](t, blob(blobs, d))
		i := image{config: decode[config](t, blob(blobs, m.Config)), content: map[string][]byte{}}
		for _, layer := range m.Layers {
			i.pulled += len(blob(blobs, layer))
			headers, content := untar(t, plain(t, blob(blobs, layer)))
			i.layers = append(i.layers, headers)
			maps.Copy(i.content, content)
		}
		found = append(found, i)
	}
	if len(found) == 0 {
		t.Fatal("no image in the archive")
	}
	return found
}

// manifests follows an index to those of images: an image for several platforms has an index of its own.
func manifests(t *testing.T, blobs map[string][]byte, in index) []descriptor {
	t.Helper()
	var found []descriptor
	for _, d := range in.Manifests {
		if strings.Contains(d.MediaType, "index") {
			found = append(found, manifests(t, blobs, decode[index](t, blob(blobs, d)))...)
		} else {
			found = append(found, d)
		}
	}
	return found
}

func blob(blobs map[string][]byte, d descriptor) []byte {
	return blobs["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
}

func untar(t *testing.T, from io.Reader) (headers []*tar.Header, content map[string][]byte) {
	t.Helper()
	content = map[string][]byte{}
	for archive := tar.NewReader(from); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return headers, content
		}
		if err != nil {
			t.Fatal(err)
		}
		header.Name = strings.TrimSuffix(header.Name, "/")
		headers = append(headers, header)
		if header.Typeflag == tar.TypeReg {
			if content[header.Name], err = io.ReadAll(archive); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func plain(t *testing.T, layer []byte) io.Reader {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatalf("%v in %.100q", err, data)
	}
	return value
}

// unpack writes the image's files as a container runtime would.
func (i image) unpack(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, headers := range i.layers {
		for _, header := range headers {
			path := filepath.Join(root, header.Name)
			var err error
			switch header.Typeflag {
			case tar.TypeDir:
				err = os.MkdirAll(path, 0o755)
			case tar.TypeReg:
				err = os.WriteFile(path, i.content[header.Name], header.FileInfo().Mode().Perm())
			case tar.TypeSymlink:
				err = os.Symlink(header.Linkname, path)
			default:
				t.Fatalf("%s is of type %q", header.Name, header.Typeflag)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}
