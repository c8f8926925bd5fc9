package health

import "time"

// pace is a token bucket whose rate falls when a host asks for fewer requests and recovers
// by addition. Burst and rate together never exceed the limit within any second.
type pace struct {
	full   float64 // requests per second at best
	burst  float64
	rate   float64 // requests per second now
	growth float64 // of the rate, per second
	tokens float64
	at     time.Time
}

const (
	// burstShare is the part of the limit that may come at once.
	burstShare = 0.05
	// slowestRate is where halving ends.
	slowestRate = 1
	// quickRecovery and slowRecovery are the seconds from nothing to the full rate: after an
	// outage, and after the host asked for fewer requests.
	quickRecovery = 20
	slowRecovery  = 60
)

func newPace(limit float64) pace {
	burst := max(1, limit*burstShare)
	full := limit
	if limit > burst {
		full -= burst
	}
	return pace{full: full, burst: burst, rate: full, tokens: burst, growth: full / slowRecovery}
}

func (p *pace) advance(now time.Time) {
	if p.at.IsZero() {
		p.at = now
	}
	elapsed := now.Sub(p.at).Seconds()
	if elapsed <= 0 {
		if elapsed < -1 { // the clock was set back
			p.at = now
		}
		return
	}
	p.at = now
	p.rate = min(p.full, p.rate+p.growth*elapsed)
	p.tokens = min(p.burst, p.tokens+p.rate*elapsed)
}

// take uses up one request, if there is one.
func (p *pace) take(now time.Time) bool {
	p.advance(now)
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

// charge counts a request that was made without a turn of its own.
func (p *pace) charge() { p.tokens-- }

// giveBack returns a turn that was not used.
func (p *pace) giveBack() { p.tokens = min(p.burst, p.tokens+1) }

// next is when there will be a request to take.
func (p *pace) next(now time.Time) time.Time {
	p.advance(now)
	if p.tokens >= 1 {
		return now
	}
	return now.Add(time.Duration((1-p.tokens)/p.rate*float64(time.Second)) + time.Millisecond)
}

// halve answers a host that asks for fewer requests.
func (p *pace) halve(now time.Time) {
	p.advance(now)
	p.rate = max(min(slowestRate, p.full), p.rate/2)
	p.growth = p.full / slowRecovery
	p.tokens = min(p.tokens, 0)
}

// restart begins anew after requests were held back, from a quarter of the rate at most.
func (p *pace) restart(now time.Time, throttled bool) {
	p.advance(now)
	p.rate = min(p.rate, p.full/4)
	p.growth = p.full / quickRecovery
	if throttled {
		p.growth = p.full / slowRecovery
	}
	p.tokens = min(p.tokens, 0)
}
