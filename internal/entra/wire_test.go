package entra

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
	emulator "github.com/defender-tenant/operator/test/entra"
)

func TestFaultsOfTheWire(t *testing.T) {
	t.Parallel()
	page := "<html>" + canary + "</html>"
	cases := map[string]struct {
		fault  emulator.Fault
		reason string
	}{
		"endless":                   {emulator.Fault{Pad: 1 << 50}, v1alpha1.ReasonAnswerInvalid},
		"no answer":                 {emulator.Fault{Hang: true}, v1alpha1.ReasonEntraUnavailable},
		"answer byte by byte":       {emulator.Fault{Drip: 20 * time.Millisecond}, v1alpha1.ReasonEntraUnavailable},
		"reset":                     {emulator.Fault{Reset: true}, v1alpha1.ReasonEntraUnavailable},
		"cut off after the headers": {emulator.Fault{Truncate: -1}, v1alpha1.ReasonEntraUnavailable},
		"too large":                 {emulator.Fault{Pad: 1 << 20}, v1alpha1.ReasonAnswerInvalid},
		"gzip bomb":                 {emulator.Fault{GzipBomb: 1 << 30}, v1alpha1.ReasonAnswerInvalid},
		"small answer compressed":   {emulator.Fault{GzipBomb: 1}, v1alpha1.ReasonAnswerInvalid},
		"page instead of a token":   {emulator.Fault{Body: page}, v1alpha1.ReasonProxyRefused},
		"broken JSON":               {emulator.Fault{Body: `{"access_token":"` + canary}, v1alpha1.ReasonAnswerInvalid},
		"empty object":              {emulator.Fault{Body: `{}`}, v1alpha1.ReasonAnswerInvalid},
		"block page":                {emulator.Fault{Status: 403, Body: page}, v1alpha1.ReasonProxyRefused},
		"login page of a proxy":     {emulator.Fault{Status: 407, Body: page}, v1alpha1.ReasonProxyRefused},
		"bad gateway":               {emulator.Fault{Status: 502, Body: page}, v1alpha1.ReasonEntraUnavailable},
		"429 without a code":        {emulator.Fault{Status: 429, Body: `{}`}, v1alpha1.ReasonThrottled},
	}
	for name, c := range cases {
		for _, on := range []emulator.Kind{emulator.OpenIDConfiguration, emulator.Token} {
			t.Run(fmt.Sprintf("%s on %s", name, on), func(t *testing.T) {
				t.Parallel()
				e := startEmulator(t)
				client := clientOf(t, e, func(o *Options) {
					if c.fault.Hang || c.fault.Drip > 0 {
						o.Timeout = 300 * time.Millisecond
					}
				})
				c.fault.On = on
				e.Inject(testTenant, c.fault, 1)
				began := time.Now()
				fault := refuse(t, client, ask(t), c.reason)
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("took %v", took)
				}
				causes := map[string]error{"endless": errTooLarge, "too large": errTooLarge, "gzip bomb": errEncoded, "small answer compressed": errEncoded}
				if cause := causes[name]; cause != nil && !errors.Is(&fault, cause) {
					t.Errorf("because of %v, want %v", fault.Cause, cause)
				}
				if strings.Contains(fault.Message, "{") {
					t.Errorf("%q has a hole", fault.Message)
				}
			})
		}
	}
}

func TestLifetimesThatCannotBe(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	for _, value := range []string{"0", "-1", "null", `""`, `"soon"`, "3599.5", "1e3", "[]", "9223372036854775808", emulator.OmitExpiresIn} {
		e.Inject(testTenant, emulator.Fault{ExpiresIn: value}, 1)
		refuse(t, c, ask(t), v1alpha1.ReasonAnswerInvalid)
	}
	e.Inject(testTenant, emulator.Fault{ExpiresIn: `"3599"`}, 1)
	if got := acquire(t, c, ask(t)).Lifetime; got != 3599*time.Second {
		t.Errorf("as a string: %v", got)
	}
}

// Number 2 of what always holds: the emulator puts the marker into the token and into
// every error, and the connection ends at many places within them.
func TestCutOffAnswersLeakNothing(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	words := append(e.Marks(), testSecret)
	for offset := 1; offset < 1500; offset += 29 {
		for _, code := range []int{0, 7000215} {
			e.Inject(testTenant, emulator.Fault{Truncate: offset, Code: code}, 1)
			fault := refuse(t, c, ask(t), v1alpha1.ReasonEntraUnavailable)
			checkClean(t, &fault, words...)
		}
	}
}

func TestRedirectsAreNeverFollowed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	var hits atomic.Int32
	elsewhere := serve(t, ca.issue(t, "", time.Now().Add(time.Hour)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	e := startEmulator(t)
	c := clientAt(t, e.URL(), append(e.CAPEM(), ca.pem...))
	for _, on := range []emulator.Kind{emulator.OpenIDConfiguration, emulator.Token} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			e.Inject(testTenant, emulator.Fault{On: on, Status: status, Location: elsewhere + "/" + testTenant + "/oauth2/v2.0/token"}, 1)
			refuse(t, c, ask(t), v1alpha1.ReasonAnswerInvalid)
		}
		acquire(t, c, ask(t))
	}
	if got := hits.Load(); got != 0 {
		t.Errorf("%d requests went elsewhere", got)
	}
}

func TestHostileConfigurationGetsNoCredential(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	certificate := ca.issue(t, "", time.Now().Add(time.Hour))
	var hits atomic.Int32
	other := serve(t, certificate, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	path := "/" + testTenant + "/oauth2/v2.0/token"
	cases := map[string]struct {
		endpoint string // {host}: the login host's own
		issuer   string
		reason   string
	}{
		"another host":         {endpoint: other + path, reason: v1alpha1.ReasonAnswerInvalid},
		"another tenant":       {endpoint: "https://{host}/44444444-4444-4444-8444-444444444444/oauth2/v2.0/token", reason: v1alpha1.ReasonAnswerInvalid},
		"organizations":        {endpoint: "https://{host}/organizations/oauth2/v2.0/token", reason: v1alpha1.ReasonAnswerInvalid},
		"plain HTTP":           {endpoint: "http://{host}" + path, reason: v1alpha1.ReasonAnswerInvalid},
		"user in the address":  {endpoint: "https://x@{host}" + path, reason: v1alpha1.ReasonAnswerInvalid},
		"host as user":         {endpoint: "https://{host}@evil.example" + path, reason: v1alpha1.ReasonAnswerInvalid},
		"query":                {endpoint: "https://{host}" + path + "?to=evil", reason: v1alpha1.ReasonAnswerInvalid},
		"encoded path":         {endpoint: "https://{host}/" + testTenant + "/oauth2/v2.0/%74oken", reason: v1alpha1.ReasonAnswerInvalid},
		"no address":           {endpoint: "token", reason: v1alpha1.ReasonAnswerInvalid},
		"another cloud":        {endpoint: "https://login.microsoftonline.us" + path, reason: v1alpha1.ReasonWrongCloud},
		"issuer of a stranger": {endpoint: "https://{host}" + path, issuer: "https://evil.example/" + canary, reason: v1alpha1.ReasonAnswerInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			issuer := ownIssuer
			if c.issuer != "" {
				issuer = func(*http.Request) string { return c.issuer }
			}
			endpoint := func(r *http.Request) string { return strings.ReplaceAll(c.endpoint, "{host}", r.Host) }
			client := clientAt(t, serve(t, certificate, configurationOf(issuer, endpoint, &hits)), ca.pem)
			for range 2 { // not remembered either
				fault := refuse(t, client, ask(t), c.reason)
				checkClean(t, &fault, "evil")
			}
		})
	}
	if got := hits.Load(); got != 0 {
		t.Errorf("%d requests went where they must not", got)
	}
}

func TestHTTP2IsSpoken(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	var versions []int
	address := serve(t, ca.issue(t, "", time.Now().Add(time.Hour)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		versions = append(versions, r.ProtoMajor)
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, `{"token_type":"Bearer","access_token":"abc","expires_in":60}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"issuer":"https://%[1]s/","authorization_endpoint":"x","token_endpoint":"https://%[1]s/%[2]s/oauth2/v2.0/token"}`, r.Host, testTenant)
	}))
	acquire(t, clientAt(t, address, ca.pem), ask(t))
	if !slices.Equal(versions, []int{2, 2}) {
		t.Errorf("got versions %v", versions)
	}
}

func TestOutageIsNotOurFault(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	acquire(t, c, ask(t))
	e.Down(true)
	refuse(t, c, ask(t), v1alpha1.ReasonEntraUnavailable) // on the connection that was open
	fault := refuse(t, c, ask(t), v1alpha1.ReasonEntraUnavailable)
	if fault.Actor != token.ActorNobody || fault.Cure != token.ByRetry || fault.Cause.Error() != "connection refused" {
		t.Errorf("%+v", fault)
	}
	e.Down(false)
	acquire(t, c, ask(t))
}
