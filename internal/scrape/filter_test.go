package scrape_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/defender-tenant/operator/internal/scrape"
	"github.com/defender-tenant/operator/test/cluster"
)

// world is a metrics page behind the filter, and a real API server to ask.
type world struct {
	*testing.T
	api       kubernetes.Interface
	page      http.Handler
	now       time.Time
	questions atomic.Int32
	away      atomic.Bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{})
	must(t, err)
	t.Cleanup(func() { _ = c.Stop() })
	w := &world{T: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.api, err = kubernetes.NewForConfig(c.Config)
	must(t, err)
	config := rest.CopyConfig(c.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			w.questions.Add(1)
			if w.away.Load() {
				return nil, http.ErrServerClosed
			}
			return next.RoundTrip(r)
		})
	})
	client, err := rest.HTTPClientFor(config)
	must(t, err)
	filter, err := scrape.Filter(func() time.Time { return w.now })(config, client)
	must(t, err)
	w.page, err = filter(logr.Discard(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) }))
	must(t, err)
	return w
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// read asks for a path with the value of an Authorization header.
func (w *world) read(path, authorization string) int {
	request := httptest.NewRequestWithContext(w.Context(), http.MethodGet, path, nil)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer := httptest.NewRecorder()
	w.page.ServeHTTP(answer, request)
	if got := answer.Body.String(); (answer.Code == http.StatusOK) != (got == "up 1\n") {
		w.Errorf("%d with %q", answer.Code, got)
	}
	return answer.Code
}

// account makes a service account and gives a token of it.
func (w *world) account(name string) string {
	w.Helper()
	accounts := w.api.CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(w.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(w.T, err)
	return w.token(name)
}

func (w *world) token(name string, audiences ...string) string {
	w.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	issued, err := w.api.CoreV1().ServiceAccounts("default").CreateToken(w.Context(), name, request, metav1.CreateOptions{})
	must(w.T, err)
	return issued.Status.Token
}

// settled waits until the API server has taken in a change of a service account's right.
func (w *world) settled(name string, allowed bool) {
	w.Helper()
	for {
		review, err := w.api.AuthorizationV1().SubjectAccessReviews().Create(w.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User:                  "system:serviceaccount:default:" + name,
				NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"},
			},
		}, metav1.CreateOptions{})
		must(w.T, err) // also when the test runs out of time
		if review.Status.Allowed == allowed {
			return
		}
	}
}

// allow lets a service account get /metrics and nothing else.
func (w *world) allow(name string) {
	w.Helper()
	meta := metav1.ObjectMeta{Name: "reads-" + name}
	_, err := w.api.RbacV1().ClusterRoles().Create(w.Context(), &rbacv1.ClusterRole{
		ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	must(w.T, err)
	_, err = w.api.RbacV1().ClusterRoleBindings().Create(w.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: name}},
	}, metav1.CreateOptions{})
	must(w.T, err)
	w.settled(name, true)
}

func TestFilter_AsksTheAPIServerWhoMayRead(t *testing.T) {
	w := newWorld(t)
	reader, other := w.account("reader"), w.account("other")
	w.allow("reader")
	for name, row := range map[string]struct {
		path, authorization string
		want                int
	}{
		"nobody":                       {"/metrics", "", 401},
		"a password":                   {"/metrics", "Basic cmVhZGVyOnJlYWRlcg==", 401},
		"no token":                     {"/metrics", "Bearer ", 401},
		"a token of nobody's":          {"/metrics", "Bearer nobody", 401},
		"a token for somebody else":    {"/metrics", "Bearer " + w.token("reader", "somebody-else"), 401},
		"a user without the right":     {"/metrics", "Bearer " + other, 403},
		"a user with another right":    {"/other", "Bearer " + reader, 403},
		"a user with the right":        {"/metrics", "Bearer " + reader, 200},
		"a scheme in lower case":       {"/metrics", "bearer " + reader, 200},
		"a part of a token that works": {"/metrics", "Bearer " + reader[:len(reader)-8], 401},
	} {
		if got := w.read(row.path, row.authorization); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}

func TestFilter_RemembersForAMomentOnly(t *testing.T) {
	w := newWorld(t)
	late := "Bearer " + w.account("late")
	expect := func(what string, status int, questions int32) {
		t.Helper()
		before := w.questions.Load()
		if got := w.read("/metrics", late); got != status || w.questions.Load()-before != questions {
			t.Errorf("%s: %d with %d questions, want %d with %d", what, got, w.questions.Load()-before, status, questions)
		}
	}
	expect("at first", 403, 2)
	expect("at once again", 403, 0)
	w.allow("late")
	w.now = w.now.Add(11 * time.Second)
	expect("when the right came", 200, 2)
	w.now = w.now.Add(59 * time.Second)
	expect("within a minute", 200, 0)
	must(t, w.api.RbacV1().ClusterRoleBindings().Delete(t.Context(), "reads-late", metav1.DeleteOptions{}))
	w.settled("late", false)
	w.now = w.now.Add(2 * time.Second)
	expect("when the right is gone", 403, 2)
	w.now = w.now.Add(time.Hour)
	w.away.Store(true)
	if got := w.read("/metrics", late); got != 500 {
		t.Errorf("without an API server: %d, want 500", got)
	}
	w.away.Store(false)
	expect("when it is back", 403, 2) // what was no answer is not remembered
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
