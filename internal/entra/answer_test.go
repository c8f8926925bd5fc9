package entra

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ahead := now.Add(30 * time.Second).Format(http.TimeFormat)
	cases := map[string]struct {
		value, date string
		want        time.Duration
	}{
		"none":                       {"", "", 0},
		"seconds":                    {"60", "", time.Minute},
		"blanks":                     {" 60 ", "", time.Minute},
		"zero":                       {"0", "", time.Second},
		"too long":                   {"86400", "", 5 * time.Minute},
		"beyond all numbers":         {strings.Repeat("9", 40), "", 5 * time.Minute},
		"negative":                   {"-5", "", 0},
		"fraction":                   {"1.5", "", 0},
		"nonsense":                   {"soon", "", 0},
		"date":                       {ahead, "", 30 * time.Second},
		"date by the server's clock": {ahead, now.Add(20 * time.Second).Format(http.TimeFormat), 10 * time.Second},
		"date and a broken clock":    {ahead, "yesterday", 30 * time.Second},
		"date in the past":           {now.Add(-time.Hour).Format(http.TimeFormat), "", time.Second},
		"date in a year":             {now.AddDate(1, 0, 0).Format(http.TimeFormat), "", 5 * time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			header := http.Header{"Retry-After": {c.value}, "Date": {c.date}}
			if got := retryAfter(header, now); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "60", "99999999999999999999", "-1", "Mon, 23 Nov 2026 12:00:00 GMT", "\x00"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		got := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(1800000000, 0))
		if got != 0 && (got < time.Second || got > 5*time.Minute) {
			t.Errorf("%q: %v", value, got)
		}
	})
}

func TestTokenAnswers(t *testing.T) {
	cases := map[string]struct {
		status int
		body   string
		want   time.Duration // 0: refused
	}{
		"number":                {200, `{"token_type":"Bearer","access_token":"abc","expires_in":3599}`, 3599 * time.Second},
		"numeric string":        {200, `{"token_type":"Bearer","access_token":"abc","expires_in":"3599"}`, 3599 * time.Second},
		"lower-case type":       {200, `{"token_type":"bearer","access_token":"abc","expires_in":1}`, time.Second},
		"further members":       {200, `{"token_type":"Bearer","access_token":"abc","expires_in":1,"refresh_in":5,"scope":7}`, time.Second},
		"created":               {201, `{"token_type":"Bearer","access_token":"abc","expires_in":3599}`, 0},
		"no type":               {200, `{"access_token":"abc","expires_in":3599}`, 0},
		"another type":          {200, `{"token_type":"pop","access_token":"abc","expires_in":3599}`, 0},
		"no lifetime":           {200, `{"token_type":"Bearer","access_token":"abc"}`, 0},
		"lifetime null":         {200, `{"token_type":"Bearer","access_token":"abc","expires_in":null}`, 0},
		"lifetime zero":         {200, `{"token_type":"Bearer","access_token":"abc","expires_in":0}`, 0},
		"lifetime negative":     {200, `{"token_type":"Bearer","access_token":"abc","expires_in":-1}`, 0},
		"lifetime fraction":     {200, `{"token_type":"Bearer","access_token":"abc","expires_in":3599.5}`, 0},
		"lifetime overflows":    {200, `{"token_type":"Bearer","access_token":"abc","expires_in":9223372036854775807}`, 0},
		"lifetime of a year":    {200, `{"token_type":"Bearer","access_token":"abc","expires_in":31536000}`, 0},
		"no token":              {200, `{"token_type":"Bearer","expires_in":3599}`, 0},
		"empty token":           {200, `{"token_type":"Bearer","access_token":"","expires_in":3599}`, 0},
		"token is no string":    {200, `{"token_type":"Bearer","access_token":{},"expires_in":3599}`, 0},
		"token with line break": {200, `{"token_type":"Bearer","access_token":"a\nb","expires_in":3599}`, 0},
		"token beside an error": {200, `{"error":"x","token_type":"Bearer","access_token":"abc","expires_in":3599}`, 0},
		"two documents":         {200, `{"token_type":"Bearer","access_token":"abc","expires_in":3599}{}`, 0},
		"a list":                {200, `[]`, 0},
		"nothing":               {200, ``, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := parseToken(exchange{status: c.status, body: []byte(c.body)})
			if ok != (c.want != 0) || got.lifetime != c.want {
				t.Errorf("got %v, %v; want %v", got.lifetime, ok, c.want)
			}
			if ok && got.token.Reveal() != "abc" {
				t.Errorf("got another token")
			}
		})
	}
}

func TestTraceIDIsAGUIDOrNothing(t *testing.T) {
	cases := map[string]struct{ body, header, want string }{
		"body":            {`{"error":"x","trace_id":"` + testTrace + `"}`, testApp, testTrace},
		"header":          {`{"error":"x"}`, testTrace, testTrace},
		"text in body":    {`{"error":"x","trace_id":"` + canary + `"}`, testTrace, testTrace},
		"text everywhere": {`{"error":"x","trace_id":"` + canary + `"}`, canary, ""},
		"GUID and more":   {`{"error":"x","trace_id":"` + testTrace + ` ` + canary + `"}`, "", ""},
		"no JSON":         {canary, testTrace, testTrace},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			seen := exchange{status: 400, body: []byte(c.body), header: http.Header{"X-Ms-Request-Id": {c.header}}}
			if got := testCall().classify(seen).TraceID; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestErrorMembersOfWrongTypesDoNotHideTheOthers(t *testing.T) {
	cases := map[string]struct {
		body string
		code int64
	}{
		"codes":                  {`{"error":"invalid_client","error_codes":[7000215]}`, 7000215},
		"trace ID is a number":   {`{"error":"invalid_client","error_codes":[7000215],"trace_id":7}`, 7000215},
		"one code is no number":  {`{"error":"invalid_client","error_codes":["x",null,{},7000215]}`, 7000215},
		"codes are no list":      {`{"error":"invalid_client","error_codes":7000215}`, 0},
		"code is negative":       {`{"error":"invalid_client","error_codes":[-7000215]}`, 0},
		"code is far too large":  {`{"error":"invalid_client","error_codes":[99999999999999999999]}`, 0},
		"code beyond all others": {`{"error":"invalid_client","error_codes":[1,2,3,4,5,6,7,8,7000215]}`, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := testCall().classify(exchange{status: 401, body: []byte(c.body)}).Code; got != c.code {
				t.Errorf("got %d, want %d", got, c.code)
			}
		})
	}
}

// Whatever comes: no panic, and a sentence from the tables.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		"", "{}", "null", "[]", `{"error":"invalid_client","error_codes":[7000215],"trace_id":"` + testTrace + `"}`,
		`{"token_type":"Bearer","access_token":"abc","expires_in":3599}`, `{"error":7,"error_codes":{}}`,
		`{"issuer":"https://login.example","authorization_endpoint":"x","token_endpoint":"https://login.example/t"}`,
	} {
		for _, status := range []int{200, 307, 401, 403, 429, 503} {
			f.Add(status, "application/json", "5", body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, kind, wait, body string) {
		call := testCall()
		seen := exchange{status: status, body: []byte(body), header: http.Header{"Content-Type": {kind}, "Retry-After": {wait}, "X-Ms-Request-Id": {wait}}}
		if got, ok := parseToken(seen); ok && (got.token.IsEmpty() || got.lifetime <= 0) {
			t.Error("a token without value or life")
		}
		if endpoint, ok := parseConfiguration(seen); ok && endpoint == nil {
			t.Error("a configuration without an endpoint")
		}
		fault := call.classify(seen)
		if !slices.Contains(fixedMessages(call), fault.Message) {
			t.Errorf("%q is in no table", fault.Message)
		}
	})
}
