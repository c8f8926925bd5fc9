package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// The object that the story is about.
const (
	namespace  = "soc"
	customer   = "contoso"
	secretName = "contoso-xdr"
)

// callAPI does what a workload does: it reads its files and calls the API. The files are those of the
// Secret, which the kubelet would have mounted.
func (s *stage) callAPI(ctx context.Context) error {
	secret, err := s.secret(ctx)
	if err != nil {
		return err
	}
	address := string(secret.Data[v1alpha1.KeyAPIURL]) + "/api/incidents"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", string(secret.Data[v1alpha1.KeyAuthorization]))
	answer, err := s.workload.Do(request)
	if err != nil {
		return err
	}
	var incidents struct {
		Value []struct {
			Title    string `json:"incidentName"`
			Severity string `json:"severity"`
		} `json:"value"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&incidents)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("GET %s: %s: %w", address, answer.Status, err)
	}
	lines := []string{"GET " + address, "    HTTP " + answer.Status + fmt.Sprintf(", %d incidents", len(incidents.Value))}
	for _, incident := range incidents.Value {
		lines = append(lines, fmt.Sprintf("    %-8s %s", incident.Severity, incident.Title))
	}
	s.tell.say(lines...)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answered %s", answer.Status)
	}
	return nil
}

func (s *stage) secret(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	return secret, s.api.Get(ctx, types.NamespacedName{Namespace: namespace, Name: secretName}, secret)
}

func (s *stage) tenant(ctx context.Context, name string) (*v1alpha1.DefenderTenant, error) {
	tenant := &v1alpha1.DefenderTenant{}
	return tenant, s.api.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, tenant)
}

// claims are what a token says, as far as the story needs it.
type claims struct {
	ID       string   `json:"uti"`
	Tenant   string   `json:"tid"`
	Audience string   `json:"aud"`
	Roles    []string `json:"roles"`
	Expires  int64    `json:"exp"`
}

func (c claims) expires() time.Time { return time.Unix(c.Expires, 0) }

// held decodes the token in the Secret, without a look at its signature.
func (s *stage) held(ctx context.Context) (claims, error) {
	var c claims
	secret, err := s.secret(ctx)
	if err != nil {
		return c, err
	}
	parts := strings.Split(string(secret.Data[v1alpha1.KeyToken]), ".")
	if len(parts) != 3 {
		return c, fmt.Errorf("the Secret holds no token; its state is %s", secret.Data[v1alpha1.KeyState])
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(payload, &c)
}

// awaitCondition waits until a condition of a customer has a status and, unless empty, a reason.
func (s *stage) awaitCondition(ctx context.Context, name, kind string, status metav1.ConditionStatus, reason string) error {
	what := fmt.Sprintf("%s to be %s=%s", name, kind, status)
	return s.tell.await(ctx, what, func(ctx context.Context) error {
		tenant, err := s.tenant(ctx, name)
		if err != nil {
			return err
		}
		condition := apimeta.FindStatusCondition(tenant.Status.Conditions, kind)
		if condition == nil {
			return fmt.Errorf("there is no condition %s", kind)
		}
		if condition.Status != status || reason != "" && condition.Reason != reason {
			return fmt.Errorf("it is %s=%s, %s: %s", kind, condition.Status, condition.Reason, condition.Message)
		}
		return nil
	})
}
