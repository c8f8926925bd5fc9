package health

import "time"

// pace is a token bucket whose rate falls when a host asks for fewer requests and recovers
// by addition. Whatever the bucket holds, no second sees more turns than the limit.
type pace struct {
	limit  float64 // requests per second at best
	burst  float64
	rate   float64 // requests per second now
	growth float64 // of the rate, per second
	tokens float64
	at     time.Time
	recent window
}

const (
	// burstShare is the part of the limit that may come at once. Tokens end on whole seconds, so
	// renewals come in bursts, and each that has to wait costs a second pass. It is half, because
	// a turn may take two requests: the first of a tenant, and those in which a credential is refused.
	burstShare = 0.5
	// slowestRate is where halving ends.
	slowestRate = 1
	// quickRecovery and slowRecovery are the seconds from nothing to the full rate: after an
	// outage, and after the host asked for fewer requests.
	quickRecovery = 20
	slowRecovery  = 60
)

func newPace(limit float64) pace {
	burst := max(1, limit*burstShare)
	return pace{limit: limit, burst: burst, rate: limit, tokens: burst, growth: limit / slowRecovery}
}

func (p *pace) advance(now time.Time) {
	elapsed := now.Sub(p.at).Seconds()
	if p.at.IsZero() || elapsed < 0 { // the clock was set back
		elapsed = 0
	}
	p.at = now
	p.rate = min(p.limit, p.rate+p.growth*elapsed)
	p.tokens = min(p.burst, p.tokens+p.rate*elapsed)
}

// take uses up one request, if there is one.
func (p *pace) take(now time.Time) bool {
	p.advance(now)
	if p.tokens < 1 || !p.recent.allows(p.limit, now) {
		return false
	}
	p.tokens--
	p.recent.count(now)
	return true
}

// charge counts a request that was made without a turn of its own.
func (p *pace) charge() {
	p.tokens--
	p.recent.charge()
}

// giveBack returns a turn that was not used.
func (p *pace) giveBack() {
	p.tokens = min(p.burst, p.tokens+1)
	p.recent.discount()
}

// next is when there may be a request to take.
func (p *pace) next(now time.Time) time.Time {
	p.advance(now)
	if p.tokens < 1 {
		return now.Add(time.Duration((1-p.tokens)/p.rate*float64(time.Second)) + time.Millisecond)
	}
	if !p.recent.allows(p.limit, now) {
		return now.Add(slotLength)
	}
	return now
}

// halve answers a host that asks for fewer requests.
func (p *pace) halve(now time.Time) {
	p.advance(now)
	p.rate = max(min(slowestRate, p.limit), p.rate/2)
	p.growth = p.limit / slowRecovery
	p.tokens = min(p.tokens, 0)
}

// restart begins anew after requests were held back, from a quarter of the rate at most.
func (p *pace) restart(now time.Time, throttled bool) {
	p.advance(now)
	p.rate = min(p.rate, p.limit/4)
	p.growth = p.limit / quickRecovery
	if throttled {
		p.growth = p.limit / slowRecovery
	}
	p.tokens = min(p.tokens, 0)
}

const (
	// slots are the parts of a second in which requests are counted, with one to spare.
	slots      = 41
	slotLength = time.Second / (slots - 1)
)

// window counts the requests of the last second, a little more of it rather than less.
type window struct {
	counts [slots]int
	sum    int
	slot   int64 // the current one, since the epoch
}

func (w *window) allows(limit float64, now time.Time) bool {
	w.turn(now)
	return float64(w.sum) < max(1, limit)
}

func (w *window) count(now time.Time) {
	w.turn(now)
	w.counts[w.slot%slots]++
	w.sum++
}

// charge counts a request that follows one that was just counted.
func (w *window) charge() {
	w.counts[w.slot%slots]++
	w.sum++
}

// discount takes back the latest request that was counted.
func (w *window) discount() {
	for i := range int64(slots) {
		if at := (w.slot - i + slots) % slots; w.counts[at] > 0 {
			w.counts[at]--
			w.sum--
			return
		}
	}
}

// turn forgets what is older than a second, or all of it when the clock jumps.
func (w *window) turn(now time.Time) {
	slot := now.UnixNano() / int64(slotLength)
	if slot < w.slot || slot-w.slot >= slots {
		*w = window{slot: slot}
		return
	}
	for w.slot < slot {
		w.slot++
		w.sum -= w.counts[w.slot%slots]
		w.counts[w.slot%slots] = 0
	}
}
