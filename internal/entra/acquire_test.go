package entra

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/token"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// Number 6 of what always holds.
func TestOneTokenCostsOneRequestAndTheFirstOneMore(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	first := acquire(t, c, ask(t))
	if got := e.Requests(); len(got) != 2 || got[0].Kind != emulator.OpenIDConfiguration || got[1].Kind != emulator.Token {
		t.Fatalf("the first token took %+v", got)
	}
	second := acquire(t, c, ask(t))
	if got := e.Requests(); len(got) != 3 || got[2].Kind != emulator.Token {
		t.Fatalf("the second token took %+v", got[2:])
	}
	if first.Token.Reveal() == second.Token.Reveal() {
		t.Error("the second token came from a cache")
	}
	if got := e.Requests()[1]; got.ClientID != testApp || got.Resource != xdr || got.Credential != "secret" {
		t.Errorf("asked for %+v", got)
	}
}

func TestIssuedSaysWhatTheAnswerSaid(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	c := clientOf(t, e, func(o *Options) { o.Now = func() time.Time { return now } })
	before := time.Now().Add(-2 * time.Second)
	issued := acquire(t, c, ask(t))
	if issued.Lifetime != 3599*time.Second {
		t.Errorf("lifetime %v", issued.Lifetime)
	}
	if !issued.ReceivedAt.Equal(now) {
		t.Errorf("received at %v, not by the clock given", issued.ReceivedAt)
	}
	if issued.ServerTime.Before(before) || issued.ServerTime.After(time.Now()) {
		t.Errorf("server time %v", issued.ServerTime)
	}
	if !guid.MatchString(issued.TraceID) {
		t.Errorf("trace ID %q", issued.TraceID)
	}
	claims, err := token.Parse(issued.Token)
	if err != nil || claims.TenantID != testTenant || claims.ClientID != testApp {
		t.Errorf("claims %+v, %v", claims, err)
	}
}

func TestCertificateSignsTheAssertion(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	cert, certPEM, keyPEM := signingCertificate(t, time.Hour)
	held, err := credential.FromPEM("cert", certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, e)
	want := ask(t, func(r *token.Request) { r.Credential = held })
	fault := refuse(t, c, want, v1alpha1.ReasonCredentialRefused)
	if fault.Code != 700027 || fault.Actor != token.ActorPlatform {
		t.Errorf("before it is registered: %+v", fault)
	}
	e.AddCertificate(testApp, cert)
	acquire(t, c, want)
	if got := e.Requests()[2].Credential; !strings.HasPrefix(got, "certificate") {
		t.Errorf("authenticated by %q", got)
	}
}

// The chain lets Entra ID accept a renewed certificate by its subject and issuer.
func TestAssertionCarriesTheChainAndNoKey(t *testing.T) {
	t.Parallel()
	_, certPEM, keyPEM := signingCertificate(t, time.Hour)
	held, err := credential.FromPEM("cert", certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t, "test CA")
	var assertion string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", configurationOf(ownIssuer, func(r *http.Request) string {
		return "https://" + r.Host + "/" + testTenant + "/oauth2/v2.0/token"
	}, new(atomic.Int32)).ServeHTTP)
	mux.HandleFunc("POST /", func(_ http.ResponseWriter, r *http.Request) { assertion = r.PostFormValue("client_assertion") })
	c := clientAt(t, serve(t, ca.issue(t, "", time.Now().Add(time.Hour)), mux), ca.pem)
	fault := refuse(t, c, ask(t, func(r *token.Request) { r.Credential = held }), v1alpha1.ReasonAnswerInvalid)
	checkClean(t, &fault, assertion)
	head, _, _ := strings.Cut(assertion, ".")
	var header struct {
		X5C []string `json:"x5c"`
	}
	data, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || json.Unmarshal(data, &header) != nil {
		t.Fatalf("cannot read %q", head)
	}
	if want := base64.StdEncoding.EncodeToString(held.Chain[0].Raw); !slices.Equal(header.X5C, []string{want}) {
		t.Errorf("x5c is %v", header.X5C)
	}
}

func TestRefusedSecretIsThePlatformTeamsMatter(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	wrong := ask(t, func(r *token.Request) { r.Credential = secretCredential(t, "wrong-secret-canary") })
	fault := refuse(t, c, wrong, v1alpha1.ReasonCredentialRefused)
	if fault.Code != 7000215 || fault.Actor != token.ActorPlatform || fault.Cure != token.ByPoll || fault.TraceID == "" {
		t.Errorf("%+v", fault)
	}
	checkClean(t, &fault, "wrong-secret-canary")
	e.AddSecret(testApp, "old", time.Now().Add(-time.Hour))
	expired := ask(t, func(r *token.Request) { r.Credential = secretCredential(t, "old") })
	if fault := refuse(t, c, expired, v1alpha1.ReasonCredentialRefused); fault.Code != 7000222 {
		t.Errorf("expired: %+v", fault)
	}
}

func TestNewVersionOfACredentialReplacesTheOld(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	acquire(t, c, ask(t))
	e.RemoveSecret(testApp, testSecret)
	e.AddSecret(testApp, "the-new-one", time.Time{})
	refuse(t, c, ask(t), v1alpha1.ReasonCredentialRefused)
	fresh := ask(t, func(r *token.Request) { r.Credential = secretCredential(t, "the-new-one") })
	acquire(t, c, fresh)
	if got := len(c.clients.held); got != 1 {
		t.Errorf("%d clients are held", got)
	}
	other := fresh
	other.Credential.Name = "another"
	acquire(t, c, other)
	if got := len(c.clients.held); got != 2 {
		t.Errorf("%d clients are held for two credentials", got)
	}
}

func TestConsentShowsAtOnce(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	e.Withdraw(testTenant, testApp)
	c := clientOf(t, e)
	fault := refuse(t, c, ask(t), v1alpha1.ReasonConsentRequired)
	if fault.Actor != token.ActorCustomer || fault.Cure != token.ByPoll || !strings.Contains(fault.Message, testTenant) {
		t.Errorf("%+v", fault)
	}
	e.Consent(testTenant, testApp)
	acquire(t, c, ask(t))
}

func TestUnknownTenantIsRefusedByItsConfiguration(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	e.RemoveTenant(testTenant)
	fault := refuse(t, clientOf(t, e), ask(t), v1alpha1.ReasonTenantNotFound)
	if fault.Unsent {
		t.Error("an answer of the host does not count as one")
	}
	if fault.Code != 90002 || fault.Actor != token.ActorAuthor {
		t.Errorf("%+v", fault)
	}
	if got := e.CountRequests(emulator.Token, ""); got != 0 {
		t.Errorf("%d token requests were sent", got)
	}
}

func TestEveryCodeComesThroughTheLibrary(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	for _, on := range []emulator.Kind{emulator.OpenIDConfiguration, emulator.Token} {
		for _, code := range Catalogue().Codes {
			e.Inject(testTenant, emulator.Fault{On: on, Code: int(code.Number), RetryAfter: "7"}, 1)
			fault := refuse(t, c, ask(t), code.Reason)
			if fault.Code != code.Number || fault.Actor != code.Actor || fault.Cure != code.Cure || !guid.MatchString(fault.TraceID) {
				t.Errorf("AADSTS%d on %s: %+v", code.Number, on, fault)
			}
			if fault.After < 7*time.Second {
				t.Errorf("AADSTS%d on %s: waits %v", code.Number, on, fault.After)
			}
		}
		acquire(t, c, ask(t)) // from here on the configuration is known
	}
}

func TestRequestThatMustNotBeSentIsNot(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	cases := map[string]func(*token.Request){
		"empty tenant":            func(r *token.Request) { r.TenantID = "" },
		"tenant by domain":        func(r *token.Request) { r.TenantID = "contoso.onmicrosoft.com" },
		"organizations":           func(r *token.Request) { r.TenantID = "organizations" },
		"tenant with a path":      func(r *token.Request) { r.TenantID = "x/../" + testTenant },
		"tenant with a line feed": func(r *token.Request) { r.TenantID = testTenant + "\n" },
		"empty application":       func(r *token.Request) { r.ClientID = "" },
		"empty resource":          func(r *token.Request) { r.Resource = "" },
		"two scopes":              func(r *token.Request) { r.Resource = "https://a.example/.default https://b.example" },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			fault := refuse(t, c, ask(t, change), v1alpha1.ReasonTenantNotFound)
			if !fault.Unsent {
				t.Error("it counts as an answer of the host")
			}
			if fault.Actor != token.ActorAuthor || fault.Cure != token.ByWatch {
				t.Errorf("%+v", fault)
			}
			checkClean(t, &fault, "contoso", "organizations", "example")
		})
	}
	t.Run("no credential", func(t *testing.T) {
		refuse(t, c, ask(t, func(r *token.Request) { r.Credential = credential.Credential{Name: "x"} }), v1alpha1.ReasonCredentialUnusable)
	})
	t.Run("key without certificate", func(t *testing.T) {
		refuse(t, c, ask(t, func(r *token.Request) { r.Credential.Key = &credential.Key{} }), v1alpha1.ReasonCredentialUnusable)
	})
	if got := e.Requests(); len(got) != 0 {
		t.Errorf("sent: %+v", got)
	}
}

func TestTrailingSlashOfAResourceIsKept(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	acquire(t, clientOf(t, e), ask(t, func(r *token.Request) { r.Resource = xdr + "/" }))
	if got := e.Requests()[1].Resource; got != xdr+"/" {
		t.Errorf("asked for %q", got)
	}
}

func TestUpperCaseTenantIsTheSameTenant(t *testing.T) {
	t.Parallel()
	const upper, lower = "AAAAAAAA-1111-4111-8111-111111111111", "aaaaaaaa-1111-4111-8111-111111111111"
	e := startEmulator(t)
	e.Consent(lower, testApp)
	acquire(t, clientOf(t, e), ask(t, func(r *token.Request) { r.TenantID = upper }))
	if got := e.CountRequests(emulator.Token, lower); got != 1 {
		t.Errorf("%d token requests", got)
	}
}

func TestRegionFromTheEnvironmentIsIgnored(t *testing.T) {
	t.Setenv("MSAL_FORCE_REGION", "westus2")
	e := startEmulator(t)
	acquire(t, clientOf(t, e), ask(t))
	if got := len(e.Requests()); got != 2 {
		t.Errorf("%d requests", got)
	}
}

func TestManyTenantsAtOnce(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	const tenants, rounds = 50, 3
	var all sync.WaitGroup
	for i := range tenants {
		id := emulator.TenantID("ab", i)
		e.Consent(id, testApp)
		want := ask(t, func(r *token.Request) { r.TenantID = id })
		all.Go(func() {
			for range rounds {
				issued, err := c.Acquire(t.Context(), want)
				if err != nil {
					t.Error(err)
					return
				}
				if claims, err := token.Parse(issued.Token); err != nil || claims.TenantID != id {
					t.Errorf("tenant %s got a token of %s (%v)", id, claims.TenantID, err)
				}
			}
		})
	}
	all.Wait()
	if got := e.CountRequests(emulator.OpenIDConfiguration, ""); got != tenants {
		t.Errorf("%d configurations for %d tenants", got, tenants)
	}
	if got := e.CountRequests(emulator.Token, ""); got != tenants*rounds {
		t.Errorf("%d token requests for %d tokens", got, tenants*rounds)
	}
}

// The library empties its cache and looks into it in two steps. A token of another call
// must not slip in between.
func TestCallsForTheSameTokenNeverShareOne(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e)
	const calls = 100
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	want := ask(t)
	for range calls {
		all.Go(func() {
			issued, err := c.Acquire(t.Context(), want)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[issued.Token.Reveal()] = true
		})
	}
	all.Wait()
	if len(seen) != calls || e.CountRequests(emulator.Token, "") != calls {
		t.Errorf("%d calls got %d tokens in %d requests", calls, len(seen), e.CountRequests(emulator.Token, ""))
	}
}

// A fault of the request that several calls share reaches each of them, each its own copy.
func TestCallsThatShareARequestShareItsFault(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	e.Inject(testTenant, emulator.Fault{On: emulator.OpenIDConfiguration, Code: 90002}, 0)
	c := clientOf(t, e)
	var all sync.WaitGroup
	var mu sync.Mutex
	var faults []*token.Fault
	want := ask(t)
	for range 20 {
		all.Go(func() {
			_, err := c.Acquire(t.Context(), want)
			fault := token.AsFault(err, "", "")
			fault.TraceID = "changed by the caller"
			mu.Lock()
			defer mu.Unlock()
			if fault.Code != 90002 || slices.Contains(faults, fault) {
				t.Errorf("%+v", fault)
			}
			faults = append(faults, fault)
		})
	}
	all.Wait()
}

func TestLimiterCountsEveryRequest(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e, func(o *Options) { o.RequestsPerSecond = 0.0001 })
	fault := refuse(t, c, ask(t), v1alpha1.ReasonThrottled) // the second of two requests has no turn
	if !fault.Unsent {
		t.Error("it counts as an answer of the host")
	}
	if fault.Cure != token.ByRetry {
		t.Errorf("%+v", fault)
	}
	if got := e.Requests(); len(got) != 1 || got[0].Kind != emulator.OpenIDConfiguration {
		t.Errorf("sent: %+v", got)
	}
}

func TestWaitForTheLimiterIsNotTimeOfTheRequest(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	c := clientOf(t, e, func(o *Options) { o.RequestsPerSecond, o.Timeout = 0.2, 4*time.Second })
	acquire(t, c, ask(t)) // the second request of it waits for five seconds
}

func TestCallerMayGiveUp(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	e.Inject(testTenant, emulator.Fault{Hang: true}, 0)
	c := clientOf(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_ = e.Await(ctx, emulator.Token, "", 1)
		cancel()
	}()
	_, err := c.Acquire(ctx, ask(t))
	if fault := token.AsFault(err, "", ""); fault.Reason != v1alpha1.ReasonEntraUnavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("%v because of %v", fault, fault.Cause)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]Options{
		"bundle is missing":       {CABundle: filepath.Join(t.TempDir(), "none")},
		"bundle is a folder":      {CABundle: t.TempDir()},
		"bundle is empty":         {CABundle: writeFile(t, nil)},
		"bundle is no PEM":        {CABundle: writeFile(t, []byte("hello"))},
		"negative rate":           {RequestsPerSecond: -1},
		"rate is no number":       {RequestsPerSecond: math.NaN()},
		"infinite rate":           {RequestsPerSecond: math.Inf(1)},
		"negative time":           {Timeout: -time.Second},
		"bundle is far too large": {CABundle: writeFile(t, make([]byte, maxBundle+1))},
	}
	for name, o := range cases {
		t.Run(name, func(t *testing.T) {
			if c, err := New(o); err == nil {
				t.Errorf("got %v", c)
			}
		})
	}
	if _, err := New(Options{}); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}
