package entra

import (
	"fmt"
	"sync"
	"time"
)

// outageMode is how sign-in fails during an outage that the control API started.
type outageMode string

const (
	outageNone        outageMode = ""
	outageUnavailable outageMode = "unavailable" // HTTP 503 with AADSTS90033
	outageReset       outageMode = "reset"       // connections are reset without an answer
)

// outage concerns all sign-in requests but leaves control and APIs alone, unlike Down.
type outage struct {
	mu      sync.Mutex
	current outageMode
	until   time.Time // zero: until ended
}

func (o *outage) mode(now time.Time) outageMode {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.until.IsZero() && !now.Before(o.until) {
		return outageNone
	}
	return o.current
}

func (o *outage) set(mode outageMode, until time.Time) error {
	switch mode {
	case outageNone, outageUnavailable, outageReset:
	default:
		return fmt.Errorf("mode must be %q or %q: %q", outageUnavailable, outageReset, mode)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.current, o.until = mode, until
	return nil
}
