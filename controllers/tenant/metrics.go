package tenant

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/defender-tenant/operator/internal/token"
)

// Metrics are the counters of the controller. No label names a tenant or a Secret: who
// may read metrics may not be meant to know the customers. A nil *Metrics counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	writes   prometheus.Counter
	overdue  prometheus.Gauge
	soonest  prometheus.Gauge
}

// NewMetrics registers the counters.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "defender_tenant_token_requests_total",
			Help: "Token requests by outcome: Issued, or the reason of the failure.",
		}, []string{"outcome"}),
		writes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "defender_tenant_secret_writes_total",
			Help: "Secrets written.",
		}),
		overdue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "defender_tenant_overdue_tokens",
			Help: "Tokens whose renewal is overdue, as the last sweep found them.",
		}),
		soonest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "defender_tenant_token_min_remaining_seconds",
			Help: "Remaining life of the valid token that ends first, as the last sweep found it; +Inf without any.",
		}),
	}
	registry.MustRegister(m.requests, m.writes, m.overdue, m.soonest)
	return m
}

func (m *Metrics) requested(fault *token.Fault) {
	if m == nil {
		return
	}
	outcome := "Issued"
	if fault != nil {
		outcome = fault.Reason
	}
	m.requests.WithLabelValues(outcome).Inc()
}

func (m *Metrics) wrote() {
	if m != nil {
		m.writes.Inc()
	}
}

func (m *Metrics) swept(overdue int, soonest float64) {
	if m != nil {
		m.overdue.Set(float64(overdue))
		m.soonest.Set(soonest)
	}
}
