package chaos

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// checkpoint stands between the operator and the API server, ends TLS and sees every write. The operator has no state but
// what it wrote: to stop it before or after a write is to stop it at every step that makes a difference, and that with the
// binary that is shipped.
type checkpoint struct {
	kubeconfig string

	mu sync.Mutex
	// arriving is called with a write that arrived. If it returns false the write is lost.
	arriving func(*http.Request) bool
	// done is called with a write that the API server has answered. If it returns false the answer is lost.
	done func(*http.Request) bool
}

// openCheckpoint opens one. Who passes it is, for the API server, a cluster administrator or the user whom access names.
func (sc *scene) openCheckpoint(access *rest.Config) *checkpoint {
	sc.t.Helper()
	c := &checkpoint{kubeconfig: filepath.Join(sc.t.TempDir(), "kubeconfig")}
	transport, err := rest.TransportFor(access)
	sc.must(err)
	target, err := url.Parse(access.Host)
	sc.must(err)
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ModifyResponse: func(r *http.Response) error {
			if isWrite(r.Request) && !c.call(&c.done, r.Request) {
				return errors.New("the answer is lost")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The API server refuses a write before it has read it. With the rest of the body still on its way a
		// ReverseProxy between two HTTP/2 connections sometimes never passes such an answer on.
		body, err := io.ReadAll(r.Body)
		if err != nil || isWrite(r) && !c.call(&c.arriving, r) {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	sc.root.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	sc.must(writeKubeconfig(c.kubeconfig, server.URL, server.Certificate()))
	return c
}

func isWrite(r *http.Request) bool { return r.Method != http.MethodGet }

// call calls one of the functions, if there is one.
func (c *checkpoint) call(which *func(*http.Request) bool, r *http.Request) bool {
	c.mu.Lock()
	call := *which
	c.mu.Unlock()
	return call == nil || call(r)
}

// inspect puts the functions in place.
func (c *checkpoint) inspect(arriving, done func(*http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arriving, c.done = arriving, done
}

func writeKubeconfig(path, server string, certificate *x509.Certificate) error {
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"checkpoint": {
			Server: server, CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}),
		}},
		Contexts:       map[string]*clientcmdapi.Context{"checkpoint": {Cluster: "checkpoint"}},
		CurrentContext: "checkpoint",
	}, path)
}
