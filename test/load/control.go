package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

const (
	clientID     = "0a0a0a0a-1111-4222-8333-444444444444"
	clientSecret = "load-client-secret"
	resource     = "https://api.security.microsoft.com"
	// series is the prefix of the tenants' identifiers.
	series = "b"
)

// emulatorConfig describes one application and all customers, who consented.
func emulatorConfig(tenants int) entra.Config {
	return entra.Config{
		Lifetime: "1h",
		Apps: []entra.AppConfig{{
			App: entra.App{
				ClientID: clientID, DisplayName: "Load",
				Permissions: map[string][]string{resource: {"Incident.Read.All", "AdvancedHunting.Read.All"}},
			},
			Secrets: []entra.SecretConfig{{Value: clientSecret}},
		}},
		Series: []entra.SeriesConfig{{Count: tenants, Prefix: series, Consented: []string{clientID}}},
	}
}

// control is the way to the emulator's control API.
type control struct {
	url    string
	client *http.Client
}

// trusting makes an HTTP client for the emulator out of the trust root that it wrote.
func trusting(caFile string) (*http.Client, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the emulator's trust root is no PEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64}
	return &http.Client{Transport: transport, Timeout: time.Minute}, nil
}

// entraStats are the counts of the emulator.
type entraStats struct {
	Requests map[entra.Kind]int `json:"requests"`
	Tokens   int                `json:"tokens"`
}

// asked are the requests that the operator's limiter counts.
func (s entraStats) asked() int {
	return s.Requests[entra.Token] + s.Requests[entra.OpenIDConfiguration]
}

func (s entraStats) since(before entraStats) entraStats {
	grown := entraStats{Requests: maps.Clone(s.Requests), Tokens: s.Tokens - before.Tokens}
	for kind, n := range before.Requests {
		grown.Requests[kind] -= n
	}
	return grown
}

func (c *control) stats(ctx context.Context) (entraStats, error) {
	var s entraStats
	return s, c.do(ctx, http.MethodGet, "/emulator/stats", nil, &s)
}

// requests are those that the ledger still has, in order of arrival.
func (c *control) requests(ctx context.Context) ([]entra.Request, error) {
	var ledger struct {
		Requests []entra.Request `json:"requests"`
	}
	return ledger.Requests, c.do(ctx, http.MethodGet, "/emulator/ledger", nil, &ledger)
}

// setLifetime is for all tokens from now on.
func (c *control) setLifetime(ctx context.Context, d time.Duration) error {
	return c.do(ctx, http.MethodPost, "/emulator/config", entra.Config{Lifetime: d.String()}, nil)
}

func (c *control) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if in == nil {
		body = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // everything of use has been read
	answer, err := io.ReadAll(response.Body)
	if err != nil || out == nil && response.StatusCode == http.StatusOK {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s %s", method, path, response.Status, answer)
	}
	return json.Unmarshal(answer, out)
}
