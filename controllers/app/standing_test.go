package app

import (
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/health"
)

// A process that has asked nothing yet must not forget what the one before it knew: a restart writes nothing.
func TestSetReachable_ARestartForgetsNothing(t *testing.T) {
	status := v1alpha1.DefenderAppStatus{}
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	says := func(host string, standing health.Standing, want string) {
		t.Helper()
		setReachable(setterOf(&status, now), status.Conditions, host, standing)
		if c := apimeta.FindStatusCondition(status.Conditions, "EntraReachable"); string(c.Status)+": "+c.Message != want {
			t.Errorf("%s: got %s: %s, want %s", host, c.Status, c.Message, want)
		}
	}
	says("login.example", health.Standing{}, "Unknown: login.example has not been asked yet.")
	says("login.example", health.Standing{Known: true}, "True: login.example answers.")
	says("login.example", health.Standing{}, "True: login.example answers.")
	says("login.example.us", health.Standing{}, "Unknown: login.example.us has not been asked yet.")
}
