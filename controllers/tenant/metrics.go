package tenant

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

// Metrics are the counters of the controller. No label names a tenant or a Secret: who
// may read metrics may not be meant to know the customers. A nil *Metrics counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	writes   prometheus.Counter
	overdue  prometheus.Gauge
	soonest  prometheus.Gauge
	hosts    *prometheus.GaugeVec
	waiting  *prometheus.GaugeVec
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
		hosts: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "defender_tenant_login_host_up",
			Help: "1 while a login host answers, 0 while the operator holds requests back because it does not or asked for fewer.",
		}, []string{"host"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "defender_tenant_waiting",
			Help: "DefenderTenants that wait for their turn to ask a login host, as the last sweep found them.",
		}, []string{"host"}),
	}
	registry.MustRegister(m.requests, m.writes, m.overdue, m.soonest, m.hosts, m.waiting)
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

// stands tells how a login host stands.
func (m *Metrics) stands(host string, standing health.Standing) {
	if m == nil || !standing.Known {
		return
	}
	up := 1.0
	if standing.Fault != nil {
		up = 0
	}
	m.hosts.WithLabelValues(host).Set(up)
	m.waiting.WithLabelValues(host).Set(float64(standing.Waiting))
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
