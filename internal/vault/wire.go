package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const (
	// deadline bounds one request with its answer.
	deadline = 10 * time.Second
	// maxAnswer is ten times a certificate with its policy.
	maxAnswer = 256 << 10
)

var errForbidden = errors.New("the request would have left the vault and was not sent")

// wire is the HTTP client that the SDK is given.
type wire struct{ transport http.RoundTripper }

// options of the SDK's clients: one try, nothing about us in the headers.
func (w *wire) options() policy.ClientOptions {
	return policy.ClientOptions{
		Transport: w,
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
}

// Do sends the request that the question in its context is about. The error is a
// *credential.Defect for everything but a good answer.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	q, ok := questionOf(r.Context())
	if !ok || r.URL.Scheme != "https" || !strings.EqualFold(r.URL.Host, q.at.Host()) || r.URL.User != nil {
		return nil, errForbidden
	}
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	sent := r.Clone(ctx)
	sent.Header.Set("Authorization", "Bearer "+q.token.Reveal())
	sent.Header.Set("User-Agent", "defender-tenant-operator")
	response, err := w.transport.RoundTrip(sent)
	if err != nil {
		return nil, q.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // everything of use has been read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case ctx.Err() != nil:
		return nil, q.unreachable(fmt.Errorf("time-out: %w", ctx.Err()))
	case err != nil:
		return nil, q.unreachable(errors.New("connection ended"))
	case len(body) > maxAnswer || response.Header.Get("Content-Encoding") != "":
		return nil, q.stranger(response.StatusCode)
	case response.StatusCode != http.StatusOK:
		code, inner := codes(body)
		return nil, q.refusal(response.StatusCode, code, inner)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: r,
	}, nil
}

// codes reads the codes of a vault's error answer, which are empty in the answer of anybody else.
func codes(body []byte) (code, inner string) {
	var answer struct {
		Error struct {
			Code  string `json:"code"`
			Inner struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", ""
	}
	return answer.Error.Code, answer.Error.Inner.Code
}
