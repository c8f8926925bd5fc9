package tenant_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/controllers/tenant"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/entra"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// awake is a new world whose operator is at work.
func awake(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.eventually("the operator is at work", func() bool { return w.starts() > 0 })
	return w
}

// restart starts the operator that halt stopped.
func (w *world) restart() {
	w.t.Helper()
	before := w.starts()
	w.start()
	w.eventually("the operator is at work again", func() bool { return w.starts() > before })
}

// starts counts how often a controller of DefenderTenants went to work.
func (w *world) starts() int {
	return strings.Count(w.log.String(), `"msg"="Starting workers" "controller"="defendertenant"`)
}

// witness sees every version of every Secret of a world, in order, whatever the operator
// does between two looks of a test.
type witness struct {
	w       *world
	mu      sync.Mutex
	seen    []version
	markers int
	arrived map[string]bool
}

// version is a Secret as it was at some time.
type version struct {
	secret *corev1.Secret
	at     time.Time
	gone   bool
}

func (w *world) watchSecrets() *witness {
	w.t.Helper()
	c, err := client.NewWithWatch(plane.Config, client.Options{Scheme: newScheme(w.t)})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := c.Watch(ctx, &corev1.SecretList{}, client.InNamespace(w.namespace))
	w.must(err)
	x := &witness{w: w, arrived: map[string]bool{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range stream.ResultChan() {
			x.note(e)
		}
	}()
	w.t.Cleanup(func() { stream.Stop(); cancel(); <-done })
	return x
}

func (x *witness) note(e watch.Event) {
	secret, ok := e.Object.(*corev1.Secret)
	if !ok {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if strings.HasPrefix(secret.Name, "marker-") {
		x.arrived[secret.Name] = true
		return
	}
	x.seen = append(x.seen, version{secret, x.w.clock.Now(), e.Type == watch.Deleted})
}

// versions are all so far, of one Secret: a Secret of the test's own that is written now
// comes after them in the stream.
func (x *witness) versions(name string) []version {
	x.w.t.Helper()
	x.mu.Lock()
	x.markers++
	marker := fmt.Sprintf("marker-%d", x.markers)
	x.mu.Unlock()
	x.w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: x.w.namespace, Name: marker}})
	x.w.eventually("the watch catches up", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.arrived[marker]
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	var found []version
	for _, v := range x.seen {
		if v.secret.Name == name {
			found = append(found, v)
		}
	}
	return found
}

// published checks every token that was ever in a Secret against what the emulator knows
// of it: its tenant, its audience, and that it had not ended. It gives their number.
func (x *witness) published(name string) int {
	x.w.t.Helper()
	tokens := map[string]bool{}
	for _, v := range x.versions(name) {
		raw := string(v.secret.Data["token"])
		if raw == "" || v.gone {
			continue
		}
		tokens[raw] = true
		issued, known := x.w.issued(raw)
		switch {
		case !known:
			x.w.t.Errorf("Secret %s held a token that the emulator never issued", name)
		case issued.Tenant != customer || issued.AppID != clientID || len(issued.Roles) == 0:
			x.w.t.Errorf("Secret %s held a token of tenant %s, application %s, roles %v", name, issued.Tenant, issued.AppID, issued.Roles)
		case issued.Aud != string(v.secret.Data["resource"]):
			x.w.t.Errorf("Secret %s held a token for %s, and says %s", name, issued.Aud, v.secret.Data["resource"])
		}
	}
	return len(tokens)
}

// issued finds a token in the emulator's ledger.
func (w *world) issued(raw string) (emulator.IssuedToken, bool) {
	sum := sha256.Sum256([]byte(raw))
	for _, issued := range w.entra.Tokens() {
		if issued.SHA256 == hex.EncodeToString(sum[:]) {
			return issued, true
		}
	}
	return emulator.IssuedToken{}, false
}

// attempts are the times of the token requests from some moment on, by the operator's clock.
func (w *world) attempts(from time.Time) []time.Time {
	var times []time.Time
	for _, r := range w.entra.Requests() {
		if r.Kind == emulator.Token && !r.Time.Before(from) {
			times = append(times, r.Time)
		}
	}
	return times
}

// settled has everything in place and waits for tokens of some life.
func (w *world) settled(lifetime time.Duration, tokens ...v1alpha1.TokenSpec) {
	w.t.Helper()
	w.grant()
	w.entra.SetLifetime(customer, lifetime)
	w.entra.Consent(customer, clientID)
	w.apply(tokens...)
	w.expect(allGood)
}

// leap lets time go by in longer steps than pass, where nothing depends on seconds, or
// in shorter ones, where everything does.
func (w *world) leap(d, stride time.Duration, others ...*operator) {
	w.t.Helper()
	for ; d > 0; d -= stride {
		w.settleAll(others)
		w.clock.Step(min(d, stride))
	}
	w.settleAll(others)
}

// settleAll waits until no operator has anything to do.
func (w *world) settleAll(others []*operator) {
	w.t.Helper()
	w.settle()
	if len(others) == 0 {
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for calm := 0; calm < 3; {
		<-tick.C
		calm++
		for _, o := range others {
			if !o.queue.idle() {
				calm = 0
			}
		}
	}
	w.settle()
}

// wiring is how a process differs from that of the harness.
type wiring struct {
	timeout time.Duration
	metrics prometheus.Registerer
	queue   func(queue) queue
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// process starts a further operator, or one in place of the harness's. It ends with the test.
func (w *world) process(with wiring) *operator {
	w.t.Helper()
	log := redacted.Logger(funcr.New(func(prefix, args string) { w.log.line(prefix, args) }, funcr.Options{Verbosity: 10}))
	namespaces := map[string]cache.Config{w.namespace: {}}
	mgr, err := ctrl.NewManager(w.config, ctrl.Options{
		Scheme: newScheme(w.t), Logger: log, Metrics: server.Options{BindAddress: "0"},
		Cache: cache.Options{DefaultNamespaces: namespaces},
	})
	w.must(err)
	credentials, err := cache.New(w.config, cache.Options{Scheme: mgr.GetScheme(), DefaultNamespaces: namespaces})
	w.must(err)
	w.must(mgr.Add(credentials))
	catalog, err := cloud.NewCatalog(w.entra.URL())
	w.must(err)
	bundle := filepath.Join(w.t.TempDir(), "ca.pem")
	w.must(os.WriteFile(bundle, w.entra.CAPEM(), 0o600))
	source, err := entra.New(entra.Options{Catalog: catalog, RequestsPerSecond: 1e6, CABundle: bundle, Now: w.clock.Now, Timeout: with.timeout, Proxy: w.noInternet})
	w.must(err)
	o := &operator{done: make(chan error, 1), queue: &observedQueue{}, cache: mgr.GetCache()}
	reconciler := &tenant.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Secrets: w.views(mgr), Tokens: source, Keyring: &keyring.Keyring{Secrets: credentials, Namespace: w.namespace},
		Health:  health.New(health.Options{RequestsPerSecond: 1e6, Workers: 4}),
		Catalog: catalog, Gate: token.Gate{MinLifetime: token.DefaultMinLifetime}, Clock: w.clock, Events: mgr.GetEventRecorder("operator"),
	}
	if with.metrics != nil {
		reconciler.Metrics = tenant.NewMetrics(with.metrics)
	}
	// Made here and not when the controller starts, so that it can be looked at from now on.
	o.queue.TypedRateLimitingInterface = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.DefaultTypedControllerRateLimiter[reconcile.Request](), workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Clock: w.clock})
	if with.queue != nil {
		o.queue.TypedRateLimitingInterface = with.queue(o.queue.TypedRateLimitingInterface)
	}
	o.queue.made.Store(true)
	skip := true
	w.must(reconciler.Setup(w.ctx, mgr, credentials, controller.Options{
		SkipNameValidation: &skip, MaxConcurrentReconciles: 4,
		NewQueue: func(string, workqueue.TypedRateLimiter[reconcile.Request]) queue { return o.queue },
	}))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { o.done <- mgr.Start(ctx) }()
	var once sync.Once
	o.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-o.done; err != nil {
				w.t.Errorf("operator ended with: %v", err)
			}
		})
	}
	w.t.Cleanup(o.stop)
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		w.t.Fatal("caches did not sync")
	}
	return o
}

// recorder notes each write of the operator.
type recorder struct {
	mu     sync.Mutex
	writes []string
}

func (r *recorder) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodGet && !isQuestion(req) {
			r.mu.Lock()
			r.writes = append(r.writes, req.Method+" "+req.URL.Path)
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

// to are the writes whose path ends in a name.
func (r *recorder) to(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []string
	for _, line := range r.writes {
		if strings.HasSuffix(line, "/"+name) {
			found = append(found, line)
		}
	}
	return found
}

// passes counts how often the controller of DefenderTenants looked at an object.
func (w *world) passes() int {
	n := 0
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `"Reconciling"`) && strings.Contains(line, `"controller"="defendertenant"`) {
			n++
		}
	}
	return n
}

// leaks looks for secrets wherever somebody may read: the log, every object with its
// annotations and status, the metadata of Secrets, events and metrics.
func (w *world) leaks(registry *prometheus.Registry, secrets ...string) {
	w.t.Helper()
	texts := map[string]string{"log": w.log.String()}
	for name, list := range map[string]client.ObjectList{
		"DefenderTenants": &v1alpha1.DefenderTenantList{}, "DefenderApps": &v1alpha1.DefenderAppList{}, "DefenderGrants": &v1alpha1.DefenderGrantList{},
		"events": &corev1.EventList{}, "ConfigMaps": &corev1.ConfigMapList{}, "namespaces": &corev1.NamespaceList{}, "Secrets": &corev1.SecretList{},
	} {
		w.must(w.List(w.ctx, list))
		if held, ok := list.(*corev1.SecretList); ok {
			for i := range held.Items {
				held.Items[i].Data = nil
			}
		}
		text, err := json.Marshal(list)
		w.must(err)
		texts[name] = string(text)
	}
	if registry != nil {
		answer := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(w.ctx, http.MethodGet, "/metrics", nil))
		texts["metrics"] = answer.Body.String()
		if !strings.Contains(texts["metrics"], "defender_tenant_token_requests_total") {
			w.t.Error("there are no metrics to look at")
		}
	}
	forms := append(w.entra.Marks(), clientSecret, "eyJ")
	for _, secret := range secrets {
		forms = append(forms, secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)))
	}
	for name, text := range texts {
		if text == "" {
			w.t.Errorf("%s: there is nothing to look at", name)
		}
		for _, form := range forms {
			if i := strings.Index(text, form); i >= 0 {
				w.t.Errorf("%s: %q leaked: …%s…", name, form, text[max(0, i-80):min(len(text), i+20)])
			}
		}
	}
}
