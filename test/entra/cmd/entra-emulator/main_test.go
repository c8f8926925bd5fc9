package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const configuration = `
lifetime: 90s
apps:
- clientID: 0a0a0a0a-1111-4222-8333-444444444444
  displayName: Partner
  homeTenantID: 99999999-9999-4999-8999-999999999999
  permissions:
    https://api.security.microsoft.com: [Incident.Read.All]
  redirectURIs: [https://operator.example/consent]
  secrets:
  - value: the-secret
tenants:
- id: 11111111-1111-4111-8111-111111111111
  consented: [0a0a0a0a-1111-4222-8333-444444444444]
`

func TestRunServesUntilItIsTold(t *testing.T) {
	folder := t.TempDir()
	s := settings{
		listen: "127.0.0.1:0", lifetime: time.Hour,
		caFile: filepath.Join(folder, "ca.pem"), config: filepath.Join(folder, "config.yaml"),
	}
	if err := os.WriteFile(s.config, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, s, out) }()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(line[strings.LastIndex(line, " ")+1:])
	if body := post(t, s.caFile, address); !strings.Contains(body, `"expires_in":89`) {
		t.Errorf("token answer %s", body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// post asks for a token with nothing but what the command gave.
func post(t *testing.T, caFile, address string) string {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	r, err := client.PostForm(address+"/11111111-1111-4111-8111-111111111111/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"0a0a0a0a-1111-4222-8333-444444444444"},
		"client_secret": {"the-secret"}, "scope": {"https://api.security.microsoft.com/.default"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	wrong := filepath.Join(folder, "wrong.yaml")
	if err := os.WriteFile(wrong, []byte("tenant: typo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]settings{
		"address":       {listen: "256.0.0.1:1"},
		"trust root":    {listen: "127.0.0.1:0", caFile: filepath.Join(folder, "none", "ca.pem")},
		"missing file":  {listen: "127.0.0.1:0", config: filepath.Join(folder, "none.yaml")},
		"unknown field": {listen: "127.0.0.1:0", config: wrong},
	} {
		if err := run(t.Context(), s, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
