package entra_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/entra"
)

func TestFaultsReplaceTheAnswer(t *testing.T) {
	w := start(t)
	for name, c := range map[string]struct {
		fault  entra.Fault
		status int
		check  func(reply) bool
	}{
		"a code":                  {entra.Fault{Code: 53003}, 400, func(r reply) bool { return strings.Contains(r.body, "access_denied") }},
		"a code with a status":    {entra.Fault{Code: 90033, Status: 500}, 500, func(r reply) bool { return strings.Contains(r.body, "AADSTS90033") }},
		"a code with an error":    {entra.Fault{Code: 7, Error: "odd"}, 400, func(r reply) bool { return strings.Contains(r.body, `"error":"odd"`) }},
		"throttling":              {entra.Fault{Code: 90055, RetryAfter: "17"}, 429, func(r reply) bool { return r.Header.Get("Retry-After") == "17" }},
		"a header":                {entra.Fault{Header: map[string]string{"Content-Type": "text/plain"}}, 200, func(r reply) bool { return r.Header.Get("Content-Type") == "text/plain" }},
		"a status with a body":    {entra.Fault{Status: 502, Body: "<h1>no</h1>"}, 502, func(r reply) bool { return r.body == "<h1>no</h1>" }},
		"a body alone":            {entra.Fault{Body: `{"token_type":"Bearer"}`}, 200, func(r reply) bool { return r.body == `{"token_type":"Bearer"}` }},
		"a redirect":              {entra.Fault{Location: "https://x.example/"}, 307, func(r reply) bool { return r.Header.Get("Location") == "https://x.example/" }},
		"a redirect of a kind":    {entra.Fault{Location: "https://x.example/", Status: 302}, 302, func(r reply) bool { return r.body == "" }},
		"expires_in negative":     {entra.Fault{ExpiresIn: "-1"}, 200, func(r reply) bool { return strings.Contains(r.body, `"expires_in":-1`) }},
		"expires_in as a string":  {entra.Fault{ExpiresIn: `"3599"`}, 200, func(r reply) bool { return strings.Contains(r.body, `"expires_in":"3599"`) }},
		"expires_in left out":     {entra.Fault{ExpiresIn: entra.OmitExpiresIn}, 200, func(r reply) bool { return !strings.Contains(r.body, `"expires_in"`) }},
		"a delay, then an answer": {entra.Fault{Delay: time.Millisecond}, 200, func(r reply) bool { return strings.Contains(r.body, "access_token") }},
		"byte by byte":            {entra.Fault{Drip: time.Microsecond}, 200, func(r reply) bool { return strings.HasSuffix(r.body, "}") }},
		"cut off":                 {entra.Fault{Truncate: 20}, 200, func(r reply) bool { return len(r.body) == 20 && errors.Is(r.err, io.ErrUnexpectedEOF) }},
		"headers alone":           {entra.Fault{Truncate: -1}, 200, func(r reply) bool { return r.body == "" && errors.Is(r.err, io.ErrUnexpectedEOF) }},
		"too large":               {entra.Fault{Pad: 3 << 20}, 200, func(r reply) bool { return len(r.body) > 3<<20 && json.Valid([]byte(r.body)) }},
		"too large, no JSON":      {entra.Fault{Pad: 100, Body: "x"}, 200, func(r reply) bool { return len(r.body) == 101 }},
		"compressed and huge": {entra.Fault{GzipBomb: 5 << 20}, 200, func(r reply) bool {
			return r.Uncompressed && len(r.body) > 5<<20 && json.Valid([]byte(r.body))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w.Inject(contoso, c.fault, 1)
			r := w.ask(contoso, form())
			if r.StatusCode != c.status || !c.check(r) {
				t.Errorf("%d %v %.300s %v", r.StatusCode, r.Header, r.body, r.err)
			}
		})
	}
	w.token(contoso)
}

func TestFaultsChangeTheToken(t *testing.T) {
	w := start(t)
	now := float64(w.clock.Now().Unix())
	for name, c := range map[string]struct {
		fault entra.Fault
		want  map[string]any
	}{
		"tenant":     {entra.Fault{Claims: map[string]any{"tid": fabrikam}}, map[string]any{"tid": fabrikam, "aud": entra.DefenderXDR}},
		"audience":   {entra.Fault{Claims: map[string]any{"aud": "x"}}, map[string]any{"aud": "x"}},
		"app":        {entra.Fault{Claims: map[string]any{"appid": "x"}}, map[string]any{"appid": "x"}},
		"no roles":   {entra.Fault{Claims: map[string]any{"roles": nil}}, map[string]any{"roles": nil}},
		"a person":   {entra.Fault{Claims: map[string]any{"idtyp": "user", "scp": "s"}}, map[string]any{"idtyp": "user", "scp": "s"}},
		"a mutation": {entra.Fault{Mutate: func(c map[string]any) { c["exp"] = c["iat"] }}, map[string]any{"exp": now - 300}},
		"skew":       {entra.Fault{Skew: time.Hour}, map[string]any{"iat": now + 3300, "nbf": now + 3300, "exp": now + 7200}},
	} {
		w.Inject(contoso, c.fault, 1)
		r := w.ask(contoso, form())
		token, _ := r.object(t)["access_token"].(string)
		_, claims := claimsOf(t, token)
		for claim, want := range c.want {
			if !reflect.DeepEqual(claims[claim], want) {
				t.Errorf("%s: %s is %v, want %v", name, claim, claims[claim], want)
			}
		}
		if date, _ := http.ParseTime(r.Header.Get("Date")); !date.Equal(w.clock.Now().Add(c.fault.Skew)) {
			t.Errorf("%s: Date %v", name, date)
		}
	}
}

func TestOpaqueTokensAreGoodForTheAPIAlone(t *testing.T) {
	w := start(t)
	w.Inject(contoso, entra.Fault{Opaque: true}, 0)
	token := w.token(contoso)
	if strings.Contains(token, ".") {
		t.Errorf("a JWT: %s", token)
	}
	if r := w.call("/api/incidents", token); r.StatusCode != http.StatusOK {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

func TestResetIsSeenAsReset(t *testing.T) {
	w := start(t)
	w.Inject(contoso, entra.Fault{Reset: true}, 1)
	if _, err := w.do(http.MethodPost, "/"+contoso+"/oauth2/v2.0/token", form()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("want a reset, got %v", err)
	}
}

func TestHangingAnswersAreReleasedByClose(t *testing.T) {
	for name, f := range map[string]entra.Fault{"hang": {Hang: true}, "delay": {Delay: time.Hour}, "drip": {Drip: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			e, err := entra.Start(entra.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e.Inject("", f, 0)
			w := &world{Emulator: e, t: t, client: e.HTTPClient()}
			broken := make(chan bool)
			go func() {
				r, err := w.do(http.MethodPost, "/"+contoso+"/oauth2/v2.0/token", form())
				broken <- err != nil || r.err != nil
			}()
			if err := e.Await(t.Context(), entra.Token, "", 1); err != nil {
				t.Fatal(err)
			}
			e.Close()
			if !<-broken {
				t.Error("an answer came")
			}
		})
	}
}

func TestFaultsAreUsedInOrder(t *testing.T) {
	w := start(t)
	status := func(tenant string) int { return w.ask(tenant, form()).StatusCode }
	w.Inject("", entra.Fault{Status: 510}, 1)
	w.Inject(contoso, entra.Fault{Status: 500}, 0)
	w.Inject(contoso, entra.Fault{Status: 501}, 2)
	w.Inject(contoso, entra.Fault{Status: 502}, 1)
	var got []int
	for range 5 {
		got = append(got, status(contoso))
	}
	if want := []int{501, 501, 502, 500, 500}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	w.Clear(contoso)
	if got := []int{status(contoso), status(contoso)}; !reflect.DeepEqual(got, []int{510, 200}) {
		t.Errorf("the fault of all tenants, then none: %v", got)
	}
	w.Inject("", entra.Fault{Status: 511}, 0)
	w.Clear("")
	w.Inject(strings.ToUpper(contoso), entra.Fault{On: entra.OpenIDConfiguration, Status: 503}, 1)
	w.Inject(contoso, entra.Fault{On: entra.API, Status: 429, RetryAfter: "5"}, 1)
	token := w.token(contoso)
	if r := w.call("/api/incidents", token); r.StatusCode != 429 {
		t.Errorf("API %d", r.StatusCode)
	}
	if r := w.must(http.MethodGet, "/"+contoso+"/v2.0/.well-known/openid-configuration", nil); r.StatusCode != 503 {
		t.Errorf("configuration %d", r.StatusCode)
	}
}

func TestFaultsThatCannotBeSentAreRefused(t *testing.T) {
	w := start(t)
	for _, f := range []entra.Fault{{Status: 42}, {ExpiresIn: "soon"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was taken", f)
				}
			}()
			w.Inject(contoso, f, 1)
		}()
	}
}
