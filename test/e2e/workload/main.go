// Command workload is that of the end-to-end test. Every second it reads the files of a token Secret and calls the API
// with what it finds, as any workload would, and serves a record of what came of it.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/defender-tenant/operator/test/e2e/record"
)

const (
	pace = time.Second
	// patience with a call is less than the pace, so that there is a call every second.
	patience = 900 * time.Millisecond
	// mostProblems bounds the record.
	mostProblems = 50
)

func main() {
	files := flag.String("files", "/var/run/defender/xdr", "folder that the token Secret is mounted at")
	apis := flag.String("apis", "", "address that stands for all hosts of the APIs")
	roots := flag.String("roots", "", "file with the trust root of that address")
	listen := flag.String("listen", ":8080", "address of the record")
	flag.Parse()
	if err := run(*files, *apis, *roots, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func run(files, apis, roots, listen string) error {
	pem, err := os.ReadFile(roots)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", roots)
	}
	var dialer net.Dialer
	w := &workload{files: files, client: &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, apis)
		},
	}}}
	go w.callAll()
	server := &http.Server{Addr: listen, Handler: w, ReadHeaderTimeout: patience}
	return server.ListenAndServe()
}

type workload struct {
	files  string
	client *http.Client

	mu  sync.Mutex
	gap time.Duration
	all record.Record
	// margins are those of the tokens.
	margins []time.Duration
}

// ServeHTTP gives the record.
func (w *workload) ServeHTTP(out http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Gap = w.gap.String()
	for i, margin := range w.margins {
		w.all.Tokens[i].Margin = margin.String()
	}
	_ = json.NewEncoder(out).Encode(w.all) // who asks notices
}

func (w *workload) callAll() {
	for range time.Tick(pace) {
		w.call()
	}
}

// mount is what the files of the Secret say, all of the same version of it.
type mount struct {
	authorization, url string
	expires            time.Time
}

func (w *workload) read() (mount, error) {
	// The kubelet changes all files at once by turning this link.
	version, err := filepath.EvalSymlinks(filepath.Join(w.files, "..data"))
	if err != nil {
		return mount{}, err
	}
	text := func(key string) string {
		content, problem := os.ReadFile(filepath.Join(version, key))
		err = errors.Join(err, problem)
		return string(content)
	}
	m := mount{authorization: text("authorization"), url: text("apiURL")}
	expires := text("expiresAt")
	if err != nil {
		return m, err
	}
	m.expires, err = time.Parse(time.RFC3339, expires)
	return m, err
}

// call makes one call and records it.
func (w *workload) call() {
	m, err := w.read()
	if err != nil {
		w.problem(err)
		return
	}
	status, err := w.ask(m)
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Calls++
	w.use(m, now)
	switch {
	case status == http.StatusUnauthorized:
		w.all.Unauthorized++
	case err != nil:
		w.add(err)
	case status != http.StatusOK:
		w.add(fmt.Errorf("the API answered %d", status))
	default:
		if !w.all.LastGood.IsZero() {
			w.gap = max(w.gap, now.Sub(w.all.LastGood))
		}
		w.all.LastGood = now
	}
}

func (w *workload) ask(m mount) (status int, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, m.url+"/api/incidents", http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", m.authorization)
	response, err := w.client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

// use needs mu. It records that a token was used.
func (w *workload) use(m mount, now time.Time) {
	digest := sha256.Sum256([]byte(strings.TrimPrefix(m.authorization, "Bearer ")))
	name := hex.EncodeToString(digest[:])
	margin := m.expires.Sub(now)
	last := len(w.all.Tokens) - 1
	if last < 0 || w.all.Tokens[last].SHA256 != name {
		w.all.Tokens = append(w.all.Tokens, record.Token{SHA256: name, FirstUsed: now, Expires: m.expires})
		w.margins = append(w.margins, margin)
		last++
	}
	w.all.Tokens[last].Calls++
	w.margins[last] = min(w.margins[last], margin)
}

func (w *workload) problem(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(err)
}

// add needs mu.
func (w *workload) add(err error) {
	if len(w.all.Problems) < mostProblems {
		w.all.Problems = append(w.all.Problems, time.Now().Format(time.TimeOnly)+" "+err.Error())
	}
}
