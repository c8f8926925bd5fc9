package tenant_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/controllers/app"
	"github.com/defender-tenant/operator/controllers/tenant"
	"github.com/defender-tenant/operator/internal/cloud"
	"github.com/defender-tenant/operator/internal/entra"
	"github.com/defender-tenant/operator/internal/federation"
	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/secretview"
	"github.com/defender-tenant/operator/internal/token"
	"github.com/defender-tenant/operator/internal/vault"
	emulator "github.com/defender-tenant/operator/test/entra"
)

const (
	clientID     = "00000000-0000-0000-0000-00000000000a"
	customer     = "11111111-1111-1111-1111-111111111111"
	stranger     = "22222222-2222-2222-2222-222222222222"
	clientSecret = "a-client-secret-that-nobody-may-see"
	canary       = "canary-7c1e4a"
	xdr          = "https://api.security.microsoft.com"
	graph        = "https://graph.microsoft.com"
	// patience is real time: generous, because two cores may share it with a compiler.
	patience = 60 * time.Second
)

// world is one namespace with everything in it, on a clock that only the test moves.
type world struct {
	client.Client
	t         *testing.T
	ctx       context.Context
	clock     *clocktesting.FakeClock
	entra     *emulator.Emulator
	namespace string
	app       string
	config    *rest.Config
	operator  *operator
	log       *lockedBuffer
	writes    *writeCounter
	rate      float64 // of token requests per second, for all of the operator
}

// operator is one running process, so to speak: tests restart it.
type operator struct {
	stop  context.CancelFunc
	done  chan error
	queue *observedQueue // of the tenants
	apps  *observedQueue // of the applications, if anybody looks after them
	cache cache.Cache
}

var worlds atomic.Int64

// newWorld starts an emulator with one application and an operator that sees only one namespace.
func newWorld(t *testing.T) *world {
	t.Helper()
	return worldWithRate(t, 1e6)
}

// worldWithRate has an operator that may ask so often, in the time of the test's clock.
func worldWithRate(t *testing.T, rate float64) *world {
	t.Helper()
	w := emptyWorld(t)
	w.rate = rate
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "credential"},
		Data:       map[string][]byte{"client-secret": []byte(clientSecret)},
	})
	w.create(w.newApp())
	w.start()
	return w
}

func emptyWorld(t *testing.T) *world {
	t.Helper()
	// Whole seconds, so that times in status compare equal. The API server's own clock plays no part.
	clk := clocktesting.NewFakeClock(time.Now().UTC().Truncate(time.Second))
	emu, err := emulator.Start(emulator.Options{Now: clk.Now, Marker: canary, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(emu.Close)
	emu.RegisterApp(emulator.App{
		ClientID: clientID, DisplayName: "Partner",
		Permissions: map[string][]string{xdr: {"Incident.Read.All"}, graph: {"SecurityIncident.Read.All"}},
	})
	emu.AddSecret(clientID, clientSecret, clk.Now().Add(1000*time.Hour))
	emu.AddTenant(customer)

	c, err := client.New(plane.Config, client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("soc-%d", worlds.Add(1))
	w := &world{
		Client: c, t: t, ctx: t.Context(), clock: clk, entra: emu, namespace: name, app: name,
		log: &lockedBuffer{}, writes: &writeCounter{}, rate: 1e6, config: rest.CopyConfig(plane.Config),
	}
	w.config.QPS = -1
	w.config.Wrap(w.writes.wrap)
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	t.Cleanup(w.end)
	return w
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, addTo := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := addTo(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func (w *world) newApp() *v1alpha1.DefenderApp {
	return &v1alpha1.DefenderApp{
		ObjectMeta: metav1.ObjectMeta{Name: w.app},
		Spec: v1alpha1.DefenderAppSpec{
			ClientID: clientID,
			Credentials: []v1alpha1.Credential{{
				Name:         "secret",
				ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: "credential"}},
			}},
		},
	}
}

// start runs the operator's controllers as cmd/manager wires them, but on the test's clock.
func (w *world) start() {
	w.t.Helper()
	log := redacted.Logger(funcr.New(func(prefix, args string) { w.log.line(prefix, args) }, funcr.Options{Verbosity: 10}))
	shared := true
	mgr, err := ctrl.NewManager(w.config, ctrl.Options{
		Scheme: newScheme(w.t), Logger: log, Metrics: server.Options{BindAddress: "0"},
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{w.namespace: {}},
			// As in production: whoever changes what the cache hands out shows in the race detector.
			DefaultUnsafeDisableDeepCopy: &shared,
		},
	})
	w.must(err)
	credentials, err := cache.New(w.config, cache.Options{Scheme: mgr.GetScheme(), DefaultNamespaces: map[string]cache.Config{w.namespace: {}}})
	w.must(err)
	w.must(mgr.Add(credentials))
	catalog, err := cloud.NewCatalog(w.entra.URL())
	w.must(err)
	bundle := filepath.Join(w.t.TempDir(), "ca.pem")
	w.must(os.WriteFile(bundle, w.entra.CAPEM(), 0o600))
	source, err := entra.New(entra.Options{Catalog: catalog, RequestsPerSecond: 1e6, CABundle: bundle, Now: w.clock.Now, Timeout: 5 * time.Second, Proxy: w.noInternet})
	w.must(err)
	judged := make(chan event.GenericEvent, 16)
	tell := func(name string) {
		judged <- event.GenericEvent{Object: &v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: name}}}
	}
	turns := health.New(health.Options{
		RequestsPerSecond: w.rate, Workers: 4, AppChanged: tell, Changed: func(string) { tell(w.app) },
	})
	keys := &keyring.Keyring{
		Secrets: credentials, Namespace: w.namespace,
		Federation: federation.Tokens{File: filepath.Join(w.t.TempDir(), "no-token"), Now: w.clock.Now},
		Vaults:     vault.New(source, catalog, source.Transport(), w.clock.Now),
		Changed: func(name string) {
			turns.Reconsider(name)
			tell(name)
		},
	}
	o := &operator{done: make(chan error, 1), queue: &observedQueue{}, apps: &observedQueue{}, cache: mgr.GetCache()}
	tenants := &tenant.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Secrets: w.views(mgr), Tokens: source, Keyring: keys, Health: turns, Catalog: catalog,
		Gate: token.Gate{MinLifetime: token.DefaultMinLifetime}, Clock: w.clock, Events: mgr.GetEventRecorder("operator"),
	}
	w.must(tenants.Setup(w.ctx, mgr, credentials, o.queue.options(w.clock, 4)))
	apps := &app.Reconciler{
		Client: ownApp{mgr.GetClient(), w.app}, Keyring: keys, Health: turns, Tokens: source, Catalog: catalog, Clock: w.clock,
		Events: mgr.GetEventRecorder("operator"), Judged: judged,
	}
	w.must(apps.Setup(mgr, credentials, o.apps.options(w.clock, 1)))
	ctx, cancel := context.WithCancel(context.Background())
	o.stop = cancel
	go func() { o.done <- mgr.Start(ctx) }()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		w.t.Fatal("caches did not sync")
	}
	w.operator = o
}

// views are of the namespaces where there are objects, as each world has its own.
func (w *world) views(mgr ctrl.Manager) *secretview.Views {
	return secretview.New(secretview.Options{
		PerNamespace: true, Open: tenant.OpenSecrets(mgr), Review: secretview.Review(mgr.GetClient()),
		Account: types.NamespacedName{Namespace: "defender-system", Name: "defender-tenant-operator"},
		Clock:   w.clock, Log: mgr.GetLogger(),
	})
}

// ownApp hides the applications of other worlds, or the operators of all worlds would write
// what they know of them into one status.
type ownApp struct {
	client.Client
	name string
}

// Get finds no other application.
func (c ownApp) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if _, isApp := object.(*v1alpha1.DefenderApp); isApp && key.Name != c.name {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("defenderapps").GroupResource(), key.Name)
	}
	return c.Client.Get(ctx, key, object, options...)
}

// options put the queue on the test's clock.
func (q *observedQueue) options(clk *clocktesting.FakeClock, workers int) controller.Options {
	skip := true
	return controller.Options{
		SkipNameValidation: &skip, MaxConcurrentReconciles: workers,
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
			q.TypedRateLimitingInterface = workqueue.NewTypedRateLimitingQueueWithConfig(limiter,
				workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: clk})
			q.made.Store(true)
			return q
		},
	}
}

// halt stops the operator as SIGTERM would.
func (w *world) halt() {
	w.t.Helper()
	if w.operator == nil {
		return
	}
	w.operator.stop()
	if err := <-w.operator.done; err != nil {
		w.t.Errorf("operator ended with: %v", err)
	}
	w.operator = nil
}

// end leaves nothing behind that another test could see, and looks for leaks.
func (w *world) end() {
	w.halt()
	w.ctx = context.Background()
	w.assertNoLeak()
	for _, object := range []client.Object{
		&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}},
		&v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: w.app}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}},
	} {
		if err := w.Delete(w.ctx, object); client.IgnoreNotFound(err) != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	w.must(w.Create(w.ctx, object))
}

// grant allows the namespace everything for the customer.
func (w *world) grant() *v1alpha1.DefenderGrant {
	w.t.Helper()
	grant := &v1alpha1.DefenderGrant{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Spec: v1alpha1.DefenderGrantSpec{
			App: w.app, Namespaces: []string{w.namespace}, TenantIDs: []string{customer},
			APIs: []string{"DefenderXDR", "MicrosoftGraph"},
		},
	}
	w.create(grant)
	return grant
}

// apply creates the DefenderTenant contoso with the given tokens.
func (w *world) apply(tokens ...v1alpha1.TokenSpec) *v1alpha1.DefenderTenant {
	w.t.Helper()
	object := &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "contoso"},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: customer, App: w.app, Tokens: tokens},
	}
	w.create(object)
	return object
}

// edit changes an object, again if somebody else wrote in between.
func edit[T client.Object](w *world, object T, change func(T)) {
	w.t.Helper()
	for {
		w.must(w.Get(w.ctx, client.ObjectKeyFromObject(object), object))
		change(object)
		err := w.Update(w.ctx, object)
		if !apierrors.IsConflict(err) {
			w.must(err)
			return
		}
	}
}

func (w *world) tenant() *v1alpha1.DefenderTenant {
	w.t.Helper()
	object := &v1alpha1.DefenderTenant{}
	w.must(w.Get(w.ctx, types.NamespacedName{Namespace: w.namespace, Name: "contoso"}, object))
	return object
}

// secret gives a Secret, or nil.
func (w *world) secret(name string) *corev1.Secret {
	w.t.Helper()
	object := &corev1.Secret{}
	err := w.Get(w.ctx, types.NamespacedName{Namespace: w.namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return object
}

// noInternet lets requests reach the emulator and nothing else.
func (w *world) noInternet(r *http.Request) (*url.URL, error) {
	if "https://"+r.URL.Host != w.entra.URL() {
		return nil, fmt.Errorf("a test must not reach %s", r.URL.Host)
	}
	return nil, nil
}

// eventually waits, in real time, until the world is as it should be. The clock creeps
// forward by milliseconds so that the shortest waits of the operator end too.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
			w.clock.Step(10 * time.Millisecond)
		case <-deadline.C:
			w.t.Fatalf("never came true: %s\n%s", what, w.describe())
		}
	}
}

// pass lets time go by in steps, with the operator idle between them.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	const stride = 15 * time.Second
	for ; d > 0; d -= stride {
		w.settle()
		w.clock.Step(min(d, stride))
	}
	w.settle()
}

// settle waits until nothing is being worked on and nothing waits for a worker.
func (w *world) settle() {
	w.t.Helper()
	if w.operator == nil {
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for calm := 0; calm < 3; {
		<-tick.C
		if w.operator.queue.idle() && (w.operator.apps == nil || w.operator.apps.idle()) {
			calm++
		} else {
			calm = 0
		}
	}
}

func (w *world) describe() string {
	var text strings.Builder
	object := &v1alpha1.DefenderTenant{}
	if err := w.Get(w.ctx, types.NamespacedName{Namespace: w.namespace, Name: "contoso"}, object); err == nil {
		for _, c := range object.Status.Conditions {
			fmt.Fprintf(&text, "%s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
		}
		for _, entry := range object.Status.Tokens {
			fmt.Fprintf(&text, "token %s ready=%v expires=%v failure=%+v\n", entry.Name, entry.Ready, entry.ExpiresAt, entry.Failure)
		}
	}
	fmt.Fprintf(&text, "now %s, token requests %d\n", w.clock.Now(), w.entra.CountRequests(emulator.Token, ""))
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	for _, line := range lines[max(0, len(lines)-12):] {
		fmt.Fprintln(&text, line)
	}
	return text.String()
}

// requests are the token requests so far.
func (w *world) requests() int { return w.entra.CountRequests(emulator.Token, "") }

// assertNoLeak looks for anything secret in the log and in every object that people read.
func (w *world) assertNoLeak() {
	w.t.Helper()
	seen := w.log.String()
	var tenants v1alpha1.DefenderTenantList
	var apps v1alpha1.DefenderAppList
	var events corev1.EventList
	for _, list := range []client.ObjectList{&tenants, &apps, &events} {
		if err := w.List(w.ctx, list); err != nil {
			w.t.Error(err)
		}
		seen += fmt.Sprintf("%+v", list)
	}
	for _, secret := range append(w.entra.Marks(), clientSecret, "eyJ") {
		if i := strings.Index(seen, secret); i >= 0 {
			w.t.Errorf("%q leaked: …%s…", secret, seen[max(0, i-80):min(len(seen), i+20)])
		}
	}
}

// observedQueue tells whether there is anything to do.
type observedQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	working atomic.Int64
	made    atomic.Bool // the queue is there: the controller makes it when it starts
}

// Get counts what is handed out.
func (q *observedQueue) Get() (reconcile.Request, bool) {
	item, shutdown := q.TypedRateLimitingInterface.Get()
	if !shutdown {
		q.working.Add(1)
	}
	return item, shutdown
}

// Done counts what came back.
func (q *observedQueue) Done(item reconcile.Request) {
	q.TypedRateLimitingInterface.Done(item)
	q.working.Add(-1)
}

func (q *observedQueue) idle() bool {
	return q.made.Load() && q.working.Load() == 0 && q.Len() == 0
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) line(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.WriteString(strings.Join(parts, " ") + "\n")
}

// String gives everything so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// secretNames are the names of our Secrets in the namespace.
func (w *world) secretNames() []string {
	w.t.Helper()
	var list corev1.SecretList
	w.must(w.List(w.ctx, &list, client.InNamespace(w.namespace)))
	var names []string
	for _, s := range list.Items {
		if s.Type == v1alpha1.SecretType {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// ready has everything in place and waits for the tokens, which live ten minutes.
func (w *world) ready(tokens ...v1alpha1.TokenSpec) *v1alpha1.DefenderTenant {
	w.t.Helper()
	w.grant()
	w.entra.SetLifetime(customer, 10*time.Minute)
	w.entra.Consent(customer, clientID)
	object := w.apply(tokens...)
	w.promptly(allGood)
	return object
}

// atOnce waits for what needs no time to pass. The clock moves by less than the shortest
// backoff, so that nothing that comes by trying again or by polling can be mistaken for it.
func (w *world) atOnce(what string, holds func() bool) {
	w.t.Helper()
	creep := 2 * time.Second
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
			if creep > 0 {
				creep -= 10 * time.Millisecond
				w.clock.Step(10 * time.Millisecond)
			}
		case <-deadline.C:
			w.t.Fatalf("did not come true at once: %s\n%s", what, w.describe())
		}
	}
}

// passUntil lets time go by until a moment.
func (w *world) passUntil(at time.Time) {
	w.t.Helper()
	w.pass(at.Sub(w.clock.Now()))
}

// shown waits until the operator's cache shows an object as the API server has it, or
// that it is gone, and until the operator has dealt with it.
func (w *world) shown(object client.Object) {
	w.t.Helper()
	key := client.ObjectKeyFromObject(object)
	live, cached := object.DeepCopyObject().(client.Object), object.DeepCopyObject().(client.Object)
	w.atOnce("the cache shows "+key.String(), func() bool {
		errLive, errCached := w.Get(w.ctx, key, live), w.operator.cache.Get(w.ctx, key, cached)
		if apierrors.IsNotFound(errLive) && apierrors.IsNotFound(errCached) {
			return true
		}
		return errLive == nil && errCached == nil && live.GetResourceVersion() == cached.GetResourceVersion()
	})
	w.settle()
}

// ask requests a refresh by the annotation and waits until that is acknowledged.
func (w *world) ask(value string) {
	w.t.Helper()
	edit(w, w.tenant(), func(o *v1alpha1.DefenderTenant) { annotate(o, "refresh-requested", value) })
	w.atOnce("refresh request "+value+" is acknowledged", func() bool { return w.tenant().Status.LastHandledRefresh == value })
	w.settle()
}

// annotate sets an annotation under the operator's own prefix.
func annotate(object client.Object, name, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations["defender.tenant-operator.dev/"+name] = value
	object.SetAnnotations(annotations)
}

// entry is what the status says of one token.
func (w *world) entry(name string) v1alpha1.TokenStatus {
	w.t.Helper()
	for _, entry := range w.tenant().Status.Tokens {
		if entry.Name == name {
			return entry
		}
	}
	w.t.Fatalf("status says nothing of token %s", name)
	return v1alpha1.TokenStatus{}
}

// reason is why a token's last attempt failed, or nothing.
func (w *world) reason(name string) string {
	w.t.Helper()
	if failure := w.entry(name).Failure; failure != nil {
		return failure.Reason
	}
	return ""
}

// token is the token in a Secret, or nothing.
func (w *world) token(secret string) string {
	w.t.Helper()
	if found := w.secret(secret); found != nil {
		return string(found.Data["token"])
	}
	return ""
}

// unchanged tells whether nobody wrote a Secret since it was read.
func (w *world) unchanged(before *corev1.Secret) {
	w.t.Helper()
	if now := w.secret(before.Name); now == nil || now.ResourceVersion != before.ResourceVersion || now.UID != before.UID {
		w.t.Errorf("Secret %s was written or replaced", before.Name)
	}
}

// key names an object of the world.
func key(w *world, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: w.namespace, Name: name}
}
