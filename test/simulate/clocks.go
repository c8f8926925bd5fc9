package simulate

import (
	"sync/atomic"
	"time"
	"unsafe"

	"k8s.io/utils/clock"
)

// clocks are the time of the world and that of the operator's machine. The bubble's own time is the machine's monotonic
// one: all timers run on it.
type clocks struct {
	started   time.Time
	suspended atomic.Int64 // how much of the world's time the machine slept through
	wrong     atomic.Int64 // how far the machine's wall clock is ahead of the world's
}

func newClocks() *clocks { return &clocks{started: time.Now()} }

// elapsed is the world's time since the start of the day.
func (c *clocks) elapsed() time.Duration {
	return time.Since(c.started) + time.Duration(c.suspended.Load())
}

// world is the true time, Entra ID's.
func (c *clocks) world() time.Time { return c.started.Add(c.elapsed()) }

// operators is the clock of the operator's machine.
func (c *clocks) operators() clock.WithTicker { return wallClock{offset: c.offset} }

func (c *clocks) offset() time.Duration { return time.Duration(c.suspended.Load() + c.wrong.Load()) }

// wallClock reads the bubble's time on a wall clock that was moved; timers run on without noticing.
type wallClock struct {
	clock.RealClock
	offset func() time.Duration
}

// Now is what time.Now gives on such a machine.
func (w wallClock) Now() time.Time { return moved(time.Now(), w.offset()) }

// Since is what time.Since gives: the machine's monotonic clock was not moved.
func (w wallClock) Since(t time.Time) time.Duration { return w.Now().Sub(t) }

// moved is the bubble's time as a machine shows it whose wall clock was set, or went on while the machine slept: the
// wall clock reading is moved, and the difference of two such times still is what passed on the monotonic clock. In a
// bubble time.Now has no monotonic reading, and package time no way to set one, so this writes the representation that
// it documents; a test holds that.
func moved(t time.Time, by time.Duration) time.Time {
	const (
		hasMonotonic = 1 << 63
		secondsBit   = 30
		from1885     = 2682288000 // seconds up to 1970
	)
	at := t.Add(by)
	representation := (*struct {
		wall uint64
		ext  int64
	})(unsafe.Pointer(&at))
	representation.wall = hasMonotonic | uint64(at.Unix()+from1885)<<secondsBit | uint64(at.Nanosecond())
	representation.ext = t.UnixNano()
	return at
}
