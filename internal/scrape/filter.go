package scrape

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// deadline bounds the two questions to the API server.
const deadline = 10 * time.Second

// Filter makes the filter of a metrics server. now is its clock.
func Filter(now func() time.Time) func(*rest.Config, *http.Client) (server.Filter, error) {
	return func(config *rest.Config, httpClient *http.Client) (server.Filter, error) {
		tokens, err := authenticationclient.NewForConfigAndClient(config, httpClient)
		if err != nil {
			return nil, fmt.Errorf("make client for token reviews: %w", err)
		}
		access, err := authorizationclient.NewForConfigAndClient(config, httpClient)
		if err != nil {
			return nil, fmt.Errorf("make client for access reviews: %w", err)
		}
		d := &door{tokens: tokens.TokenReviews(), access: access.SubjectAccessReviews(), verdicts: newVerdicts(now)}
		return func(log logr.Logger, inside http.Handler) (http.Handler, error) {
			return d.before(log, inside), nil
		}, nil
	}
}

// door asks the API server about whoever knocks.
type door struct {
	tokens   authenticationclient.TokenReviewInterface
	access   authorizationclient.SubjectAccessReviewInterface
	verdicts *verdicts
}

func (d *door) before(log logr.Logger, inside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := d.judge(r)
		switch {
		case err != nil:
			log.Error(err, "Could not ask who may read the metrics")
			http.Error(w, "the API server could not be asked who may read this", http.StatusInternalServerError)
		case status == http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the bearer token of a user or service account of this cluster is needed", status)
		case status == http.StatusForbidden:
			http.Error(w, "this user has no right to get "+r.URL.Path+", as the ClusterRole defender-tenant-operator-metrics-reader gives it", status)
		default:
			inside.ServeHTTP(w, r)
		}
	})
}

// judge gives 200, 401 or 403.
func (d *door) judge(r *http.Request) (int, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return http.StatusUnauthorized, nil
	}
	verb := strings.ToLower(r.Method)
	of := about(token, verb, r.URL.Path)
	if status, ok := d.verdicts.known(of); ok {
		return status, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	status, err := d.ask(ctx, token, verb, r.URL.Path)
	if err == nil {
		d.verdicts.keep(of, status)
	}
	return status, err
}

func (d *door) ask(ctx context.Context, token, verb, path string) (int, error) {
	who, err := d.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("review token: %w", err)
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	may, err := d.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("review access of %s: %w", user.Username, err)
	}
	if !may.Status.Allowed {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}
