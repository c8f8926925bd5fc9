package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

const callPatience = 10 * time.Second

// clients are the administrator's browser, which follows the link, and the workload's, whose calls to
// real names end at the emulator's APIs.
func clients(e *entra.Emulator) (browser, workload *http.Client, err error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(e.CAPEM()) {
		return nil, nil, errors.New("the emulator has no trust root")
	}
	trust := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	apis := strings.TrimPrefix(e.APIURL(), "https://")
	var dialer net.Dialer
	browser = &http.Client{Timeout: callPatience, Transport: &http.Transport{TLSClientConfig: trust}}
	workload = &http.Client{Timeout: callPatience, Transport: &http.Transport{
		TLSClientConfig: trust,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, apis)
		},
	}}
	return browser, workload, nil
}

// consentPage is what an administrator sees behind the link.
type consentPage struct {
	title       string
	permissions []string
	action      *url.URL // where its form goes
}

// open opens the link.
func (s *stage) open(ctx context.Context, link string) (consentPage, error) {
	text, err := s.browse(ctx, http.MethodGet, link, nil)
	if err != nil {
		return consentPage{}, err
	}
	page := consentPage{title: firstMatch(text, `(?s)<h1>(.*?)</h1>`)}
	for _, match := range regexp.MustCompile(`<li><code>(.*?)</code></li>`).FindAllStringSubmatch(text, -1) {
		page.permissions = append(page.permissions, html.UnescapeString(match[1]))
	}
	base, err := url.Parse(link)
	if err != nil {
		return page, err
	}
	page.action, err = base.Parse(firstMatch(text, `<form method="post" action="([^"]*)"`))
	return page, err
}

// accept presses the page's button and gives the text of the page that follows.
func (s *stage) accept(ctx context.Context, page consentPage) (string, error) {
	text, err := s.browse(ctx, http.MethodPost, page.action.String(), url.Values{"decision": {"accept"}})
	return firstMatch(text, `<p role="status">(.*?)</p>`), err
}

func (s *stage) browse(ctx context.Context, method, link string, form url.Values) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, link, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := s.browser.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	err = errors.Join(err, answer.Body.Close())
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, link, answer.Status)
	}
	return string(text), err
}

func firstMatch(text, pattern string) string {
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		return ""
	}
	return html.UnescapeString(match[1])
}
