package secretview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// world is an API server that refuses what it is told to.
type world struct {
	*Views
	mu      sync.Mutex
	missing map[string][]string // verbs by namespace
	broken  error               // no question is answered
	asked   map[string]int
	opened  []string
	slow    map[string]bool // namespaces whose cache does not come into sync
	told    []string        // namespaces that changed
	refused map[string]func(error)
	broke   map[string]func() // ends a cache by itself
	// unopenable is why no cache can be made.
	unopenable error
}

func newWorld(t *testing.T, perNamespace bool) *world {
	t.Helper()
	w := &world{missing: map[string][]string{}, asked: map[string]int{}, slow: map[string]bool{}, refused: map[string]func(error){}, broke: map[string]func(){}}
	w.Views = New(Options{
		PerNamespace: perNamespace, Account: types.NamespacedName{Namespace: "defender-system", Name: "defender-tenant-operator"}, Clock: clock.RealClock{},
		Review: func(_ context.Context, namespace string, verbs []string) ([]string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.asked[namespace] += len(verbs)
			missing := slices.DeleteFunc(slices.Clone(verbs), func(v string) bool { return !slices.Contains(w.missing[namespace], v) })
			return missing, w.broken
		},
		Open: func(_ context.Context, namespace string, refused func(error)) (cache.Cache, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.unopenable != nil {
				return nil, w.unopenable
			}
			w.opened = append(w.opened, namespace)
			w.refused[namespace] = refused
			broken := make(chan struct{})
			w.broke[namespace] = func() { close(broken) }
			return &shown{slow: w.slow[namespace], broken: broken}, nil
		},
	})
	return w
}

// refuse has the API server end the look at a namespace.
func (w *world) refuse(namespace, verb string) {
	w.mu.Lock()
	refused := w.refused[namespace]
	w.mu.Unlock()
	refused(forbidden(verb))
}

// hold has a cache come into sync, or not.
func (w *world) hold(namespace string, slow bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow[namespace] = slow
}

// count gives how many questions there were since the last count.
func (w *world) count(namespace string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked[namespace]
	w.asked[namespace] = 0
	return asked
}

// forbidden is what the API server answers where a right is missing.
func forbidden(verb string) error {
	return apierrors.NewForbidden(corev1.Resource("secrets"), "", fmt.Errorf(`User "operator" cannot %s resource "secrets" in API group ""`, verb))
}

// start runs the views until the test ends, with a controller that leads.
func (w *world) start(t *testing.T) {
	t.Helper()
	w.run(t)
	w.lead(t)
}

// lead has a controller that wants to know what changes.
func (w *world) lead(t *testing.T) {
	t.Helper()
	source := w.Feed(handler.Funcs{}, func(_ context.Context, _ Queue, namespace string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, namespace)
	})
	if err := source.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := source.WaitForSync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) forbid(namespace string, verbs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing[namespace] = verbs
}

// sees tells whether a namespace is in view, and which reason there is if it may not be.
func (w *world) sees(namespace string) (bool, string) {
	reader, lack := w.In(namespace)
	if lack != nil {
		return reader != nil, lack.Fault.Reason
	}
	return reader != nil, ""
}

func (w *world) expect(t *testing.T, namespace string, inView bool, reason string) {
	t.Helper()
	if got, why := w.sees(namespace); got != inView || why != reason {
		t.Errorf("%s: in view %v, reason %q; want %v, %q", namespace, got, why, inView, reason)
	}
}

// pass lets time pass, of which there is as much as one likes.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// shown is a cache without anything in it.
type shown struct {
	cache.Cache // the rest of the interface: nobody calls it
	slow        bool
	broken      <-chan struct{}
}

func (s *shown) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.broken:
		return errors.New("broken")
	}
}

func (*shown) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return informer{}, nil
}

func (s *shown) WaitForCacheSync(ctx context.Context) bool {
	if s.slow {
		<-ctx.Done()
	}
	return ctx.Err() == nil
}

type informer struct{ cache.Informer }

func (informer) AddEventHandlerWithOptions(toolscache.ResourceEventHandler, toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	return registered{}, nil
}

type registered struct {
	toolscache.ResourceEventHandlerRegistration
}

func (registered) HasSynced() bool { return true }

func TestANamespaceThatRefusesHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.forbid("refusing", "create", "update")
		w.slow["slow"] = true
		w.start(t)
		for _, namespace := range []string{"refusing", "slow", "soc"} {
			w.sees(namespace)
		}
		synctest.Wait()
		w.expect(t, "refusing", true, v1alpha1.ReasonNoSecretRight) // it may look, but not write
		w.expect(t, "slow", false, "")
		w.expect(t, "soc", true, "")
		pass(time.Minute)
		if asked := w.asked["refusing"]; asked != 5*6 || w.asked["soc"] != 6 {
			t.Errorf("asked %d times in a minute where something is missing, and %d where not; want 30 and 6", asked, w.asked["soc"])
		}
		w.told = nil
		w.forbid("refusing")
		pass(15 * time.Second)
		w.expect(t, "refusing", true, "")
		if !slices.Equal(w.told, []string{"refusing"}) {
			t.Errorf("told %v", w.told)
		}
	})
}

func TestARightThatComesOpensTheView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.forbid("soc", "get", "list", "watch", "create", "update", "delete")
		w.start(t)
		w.sees("soc")
		synctest.Wait()
		w.expect(t, "soc", false, v1alpha1.ReasonNoSecretRight)
		if len(w.opened) > 0 {
			t.Errorf("opened %v without a right", w.opened)
		}
		w.forbid("soc")
		pass(15 * time.Second)
		w.expect(t, "soc", true, "")
	})
}

// TestWhatWasSeenStaysKnown while the right to look is away, and is looked at anew afterwards.
func TestWhatWasSeenStaysKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.start(t)
		w.sees("soc")
		synctest.Wait()
		w.forbid("soc", "watch")
		w.refuse("soc", "watch")
		synctest.Wait()
		w.expect(t, "soc", true, v1alpha1.ReasonNoSecretRight)
		w.hold("soc", true)
		w.forbid("soc")
		pass(15 * time.Second)
		w.expect(t, "soc", false, "")
		if !slices.Equal(w.opened, []string{"soc", "soc"}) {
			t.Errorf("opened %v", w.opened)
		}
	})
}

func TestAWriteThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.start(t)
		w.sees("soc")
		synctest.Wait()
		quota := apierrors.NewForbidden(corev1.Resource("secrets"), "contoso-xdr", errors.New("exceeded quota"))
		if fault, err := w.Refused(t.Context(), "soc", quota); fault != nil || err != nil {
			t.Errorf("got %v, %v for what is no want of a right", fault, err)
		}
		w.forbid("soc", "update")
		if fault, err := w.Refused(t.Context(), "soc", quota); fault != nil || err != nil {
			t.Errorf("got %v, %v for a quota where another right is missing", fault, err)
		}
		fault, _ := w.Refused(t.Context(), "soc", forbidden("update"))
		if fault == nil || !strings.Contains(fault.Message, "may not update secrets in namespace soc") {
			t.Errorf("got %v", fault)
		}
		w.expect(t, "soc", true, v1alpha1.ReasonNoSecretRight) // for everybody there
		synctest.Wait()
		asked := w.asked["soc"]
		if again, _ := w.Refused(t.Context(), "soc", forbidden("update")); again == nil || w.asked["soc"] > asked {
			t.Error("what is known is asked again")
		}
		w.forbid("soc")
		pass(15 * time.Second)
		w.expect(t, "soc", true, "")
	})
}

func TestTheViewOfAllHoldsTheControllerBackUntilItIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		w.broken = errors.New("the API server does not answer")
		w.run(t)
		source := w.Feed(handler.Funcs{}, func(context.Context, Queue, string) {})
		if err := source.Start(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var decided bool
		go func() {
			if err := source.WaitForSync(t.Context()); err != nil {
				t.Error(err)
			}
			decided = true
		}()
		pass(time.Minute)
		if decided || w.Ready(nil) == nil {
			t.Error("it is known although nobody answered")
		}
		w.mu.Lock()
		w.broken = nil
		w.mu.Unlock()
		w.forbid("", "list")
		pass(time.Second)
		if !decided || w.Ready(nil) != nil {
			t.Error("a refusal holds the controller back")
		}
		_, lack := w.In("soc")
		want := "may not list secrets in all namespaces, soc among them. ClusterRole " +
			"defender-tenant-operator-secrets lacks these verbs, or ClusterRoleBinding defender-tenant-operator-secrets names another role"
		if fault := lack.Of("list"); fault == nil || !strings.Contains(fault.Message, want) || len(fault.Message) > 1024 {
			t.Errorf("got %v", fault)
		}
		w.forbid("")
		pass(15 * time.Second)
		w.expect(t, "soc", true, "")
	})
}

// TestAReplicaThatStandsBy has everything in view before it leads.
func TestAReplicaThatStandsBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		w.run(t)
		synctest.Wait()
		w.expect(t, "soc", true, "")
	})
}

func TestKeepClosesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.start(t)
		w.Keep(map[string]bool{"soc": true, "noc": true})
		synctest.Wait()
		w.Keep(map[string]bool{"noc": true})
		synctest.Wait()
		w.expect(t, "soc", true, "") // it is wanted, although the round found no tenant there
		w.Keep(map[string]bool{"noc": true})
		synctest.Wait()
		w.expect(t, "soc", true, "")
		w.Keep(map[string]bool{"noc": true})
		w.Keep(map[string]bool{"noc": true})
		synctest.Wait()
		if len(w.views) != 1 || w.views["noc"] == nil || !slices.Contains(w.opened, "soc") {
			t.Errorf("opened %v, kept %v", w.opened, w.views)
		}
	})
}

func TestTheMessageHasTheBinding(t *testing.T) {
	w := newWorld(t, true)
	for _, namespace := range []string{"soc", "42", strings.Repeat("n", 63)} {
		message := w.fault(namespace, needed()).Message
		if len(message) > 1024 {
			t.Errorf("%d bytes are more than a status takes", len(message))
		}
		_, text, _ := strings.Cut(message, "apply: ")
		var got rbacv1.RoleBinding
		if err := yaml.UnmarshalStrict([]byte(text), &got); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if got.Namespace != namespace || got.Kind != "RoleBinding" || got.RoleRef.Name != "defender-tenant-operator-secrets" || got.RoleRef.Kind != "ClusterRole" ||
			len(got.Subjects) != 1 || got.Subjects[0] != (rbacv1.Subject{Kind: "ServiceAccount", Name: "defender-tenant-operator", Namespace: "defender-system"}) {
			t.Errorf("got %+v", got)
		}
		if !strings.HasPrefix(message, "The operator may not get, list, watch, create, update or delete secrets in namespace "+namespace+".") {
			t.Errorf("got %s", message)
		}
	}
}

func TestWhereNobodyMayLookFewQuestionsAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.forbid("soc", needed()...)
		w.start(t)
		w.sees("soc")
		pass(10*time.Minute + time.Second)
		if asked := w.count("soc"); asked != 6+40*2 {
			t.Errorf("asked %d questions in the first ten minutes, want 86", asked)
		}
		pass(time.Hour)
		if asked := w.count("soc"); asked != 60*2 {
			t.Errorf("asked %d questions in an hour, want 120", asked)
		}
		w.forbid("soc", "list")
		pass(time.Minute)
		_, lack := w.In("soc")
		if !slices.Equal(lack.Verbs, []string{"list"}) {
			t.Errorf("missing %v", lack.Verbs)
		}
		w.forbid("soc")
		pass(time.Minute)
		w.expect(t, "soc", true, "")
	})
}

// TestWhereNobodyMayAsk the rights are tried.
func TestWhereNobodyMayAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		w.broken = apierrors.NewForbidden(schema.GroupResource{Resource: "selfsubjectaccessreviews"}, "", errors.New("no"))
		w.hold("", true)
		w.run(t)
		synctest.Wait()
		w.refuse("", "list")
		w.lead(t)
		synctest.Wait()
		w.expect(t, "soc", false, v1alpha1.ReasonNoSecretRight)
		if _, lack := w.In("soc"); !slices.Equal(lack.Verbs, []string{"list"}) {
			t.Errorf("missing %v", lack.Verbs)
		}
		pass(15 * time.Second)
		w.refuse("", "list")
		pass(time.Second)
		w.expect(t, "soc", false, v1alpha1.ReasonNoSecretRight)
		w.hold("", false)
		pass(15 * time.Second)
		w.expect(t, "soc", true, "")
		if len(w.opened) != 3 {
			t.Errorf("opened %d times, want 3", len(w.opened))
		}
		fault, err := w.Refused(t.Context(), "soc", forbidden("update"))
		if err != nil || fault == nil || fault.Cure != token.ByRetry || !strings.Contains(fault.Message, "may not update secrets") {
			t.Errorf("got %v, %v", fault, err)
		}
		if fault, err := w.Refused(t.Context(), "soc", apierrors.NewForbidden(corev1.Resource("secrets"), "", errors.New("exceeded quota"))); fault != nil || err == nil {
			t.Errorf("got %v, %v for what nobody can tell", fault, err)
		}
	})
}

// TestAViewThatEndsIsOpenedAnew be it that it never began.
func TestAViewThatEndsIsOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.unopenable = errors.New("not now")
		w.start(t)
		w.sees("soc")
		pass(time.Second)
		w.expect(t, "soc", false, "")
		w.mu.Lock()
		w.unopenable = nil
		w.mu.Unlock()
		pass(2 * time.Second)
		w.expect(t, "soc", true, "")
		w.broke["soc"]()
		pass(2 * time.Second)
		w.expect(t, "soc", true, "")
		if opened := len(w.opened); opened < 2 {
			t.Errorf("opened %d times", opened)
		}
	})
}
