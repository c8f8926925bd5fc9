package token_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/token"
)

func TestAsFault(t *testing.T) {
	throttled := &token.Fault{Reason: "Throttled", Message: "Wait.", Actor: "nobody", After: time.Minute}
	strange := errors.New("connection reset by peer")
	for name, test := range map[string]struct {
		err    error
		reason string
		actor  token.Actor
		cure   token.Cure
		same   bool // as throttled
	}{
		"a fault stays itself":            {err: throttled, same: true},
		"a fault is found in a chain":     {err: fmt.Errorf("mint: %w", fmt.Errorf("ask: %w", throttled)), same: true},
		"a fault is found among many":     {err: errors.Join(strange, throttled), same: true},
		"a fault is found as a cause":     {err: fmt.Errorf("%w, then %w", strange, throttled), same: true},
		"an unknown error is tried again": {err: strange, reason: "EntraUnavailable", actor: "nobody", cure: token.ByRetry},
	} {
		t.Run(name, func(t *testing.T) {
			got := token.AsFault(test.err, "EntraUnavailable", "Entra ID could not be asked.")
			if test.same {
				if got != throttled {
					t.Errorf("got %+v", got)
				}
				return
			}
			if got.Reason != test.reason || got.Actor != test.actor || got.Cure != test.cure || got.Message != "Entra ID could not be asked." {
				t.Errorf("got %+v", got)
			}
			if !errors.Is(got, strange) {
				t.Error("the cause is lost")
			}
		})
	}
	t.Run("no error is no fault", func(t *testing.T) {
		if got := token.AsFault(nil, "a", "b"); got != nil {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFault_IsAnError(t *testing.T) {
	cause := errors.New("changes every time")
	var err error = &token.Fault{Reason: "Throttled", Message: "Wait.", Cause: cause}
	if err.Error() != "Throttled: Wait." {
		t.Errorf("the text is not stable: %q", err)
	}
	var found *token.Fault
	if wrapped := fmt.Errorf("ask: %w", err); !errors.As(wrapped, &found) || found.Reason != "Throttled" || !errors.Is(wrapped, cause) {
		t.Error("wrapping loses the meaning")
	}
	if (&token.Fault{}).Unwrap() != nil {
		t.Error("a cause out of nowhere")
	}
}
