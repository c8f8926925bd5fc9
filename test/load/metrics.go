package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// requestsMetric is what the API server counts its requests in.
const requestsMetric = "apiserver_request_total"

// sample is one line of a metrics page.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// scrape reads the samples with the given names from a metrics page.
func scrape(ctx context.Context, client *http.Client, url string, names ...string) ([]sample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // everything of use has been read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return parseSamples(response.Body, names...)
}

func parseSamples(page io.Reader, names ...string) ([]sample, error) {
	var found []sample
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for _, name := range names {
			rest, ok := strings.CutPrefix(lines.Text(), name)
			if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
				continue
			}
			s, err := parseSample(name, rest)
			if err != nil {
				return nil, err
			}
			found = append(found, s)
		}
	}
	return found, lines.Err()
}

// parseSample reads what follows the name: {label="value",…} number.
func parseSample(name, rest string) (sample, error) {
	s := sample{name: name, labels: map[string]string{}}
	for strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, ",") {
		label, after, ok := strings.Cut(rest[1:], "=")
		quoted, err := strconv.QuotedPrefix(after)
		if !ok || err != nil {
			return s, fmt.Errorf("metric %s: labels cannot be read", name)
		}
		if s.labels[label], err = strconv.Unquote(quoted); err != nil {
			return s, fmt.Errorf("metric %s: %w", name, err)
		}
		rest = after[len(quoted):]
	}
	number := strings.Fields(strings.TrimPrefix(rest, "}"))
	if len(number) == 0 {
		return s, fmt.Errorf("metric %s has no value", name)
	}
	var err error
	s.value, err = strconv.ParseFloat(number[0], 64)
	return s, err
}

// apiRequest is a kind of request to the API server.
type apiRequest struct{ verb, resource string }

// apiRequests counts what the API server answered, by kind. Watches count when they end.
type apiRequests map[apiRequest]int

func countRequests(samples []sample) apiRequests {
	counts := apiRequests{}
	for _, s := range samples {
		resource := s.labels["resource"]
		if sub := s.labels["subresource"]; sub != "" {
			resource += "/" + sub
		}
		counts[apiRequest{s.labels["verb"], resource}] += int(s.value)
	}
	return counts
}

// since is what came after an earlier count.
func (r apiRequests) since(before apiRequests) apiRequests {
	grown := apiRequests{}
	for kind, n := range r {
		if more := n - before[kind]; more != 0 {
			grown[kind] = more
		}
	}
	return grown
}

// writes adds the writes to one resource, such as defendertenants/status.
func (r apiRequests) writes(resource string) int {
	n := 0
	for kind, count := range r {
		if kind.resource == resource && kind.isWrite() {
			n += count
		}
	}
	return n
}

func (k apiRequest) isWrite() bool {
	switch k.verb {
	case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		return true
	}
	return false
}
