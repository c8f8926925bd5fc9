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

// moved sets only the wall clock reading of a time forward, as setting or suspending a machine does: the difference of
// two such times still is what passed on the monotonic clock. Package time has no way to say that, so this reaches into
// its representation, whose wall seconds start at bit 30; a test holds that.
func moved(t time.Time, by time.Duration) time.Time {
	const secondsBit = 30
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall += uint64(int64(by/time.Second)) << secondsBit
	return t
}
