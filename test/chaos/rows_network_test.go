package chaos

import (
	"crypto/tls"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// networkRows are about what stands between the operator and Entra ID. They concern everybody.
func networkRows() []row {
	return []row{
		untrusted("certificate expired", false, func(sc *scene) *tls.Config {
			return sc.newAuthority("Yesterday CA").issue("127.0.0.1", time.Now().Add(-time.Hour))
		}, `"Yesterday CA"`, "not valid now"),
		untrusted("certificate of another host", false, func(sc *scene) *tls.Config {
			return sc.newAuthority("Elsewhere CA").issue("example.com", time.Now().Add(time.Hour))
		}, `"Elsewhere CA"`, "another host"),
		untrusted("issuer unknown", true, func(sc *scene) *tls.Config {
			return sc.newAuthority("Unknown CA").issue("127.0.0.1", time.Now().Add(time.Hour))
		}, `"Unknown CA"`, "--ca-bundle"),
		untrusted("TLS 1.0", false, func(sc *scene) *tls.Config {
			config := sc.newAuthority("Old CA").issue("127.0.0.1", time.Now().Add(time.Hour))
			config.MaxVersion = tls.VersionTLS10
			return config
		}, "TLS 1.2"),
		authorityReplaced(),
		proxyRefuses(http.StatusProxyAuthRequired),
		proxyRefuses(http.StatusForbidden),
		blockPage(),
		intercepted(),
		proxyUnresolved(),
		nameUnresolved(),
		bulky("512 MiB of body", v1alpha1.ReasonAnswerInvalid, true, entra.Fault{Pad: 512 << 20}),
		bulky("gzip bomb of 2 GiB", v1alpha1.ReasonAnswerInvalid, false, entra.Fault{GzipBomb: 2 << 30}),
		bulky("body byte by byte", v1alpha1.ReasonEntraUnavailable, false, entra.Fault{Drip: time.Second}),
		bulky("headers of 8 MiB", v1alpha1.ReasonEntraUnavailable, false, entra.Fault{Header: map[string]string{"X-Large": strings.Repeat("x", 8<<20)}}),
	}
}

// untrusted is a login host that cannot prove who it is.
func untrusted(name string, always bool, config func(*scene) *tls.Config, sentence ...string) row {
	return row{
		matrix: "13", name: name, always: always, tenants: 2, budget: 2,
		play: func(sc *scene) {
			i := sc.usurp()
			i.serve(config(sc))
			sc.refreshAll()
			sc.fails(0, v1alpha1.ReasonTLSUntrusted)
			sc.fails(1, v1alpha1.ReasonTLSUntrusted)
			sc.says(0, sentence...)
			if made := sc.made(); made != 0 {
				sc.t.Errorf("%d token requests, with the credential in them, went to a host that is not trusted", made)
			}
			i.leave()
		},
	}
}

// authorityReplaced is a login host whose certificate is of another authority from one moment to the
// next. The bundle follows later, and no restart is needed.
func authorityReplaced() row {
	return row{
		matrix: "13", name: "certificate rotates to another authority", tenants: 2, budget: 4,
		play: func(sc *scene) {
			fresh := sc.newAuthority("New CA")
			i := sc.usurp()
			i.serve(fresh.issue("127.0.0.1", time.Now().Add(time.Hour)))
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonTLSUntrusted)
			sc.trustToo(fresh)
			sc.eventually("the new certificate is trusted", sc.recovered)
			sc.unaffected(1)
			i.leave()
		},
	}
}

// proxyRefuses is a proxy that wants a password, or forbids.
func proxyRefuses(status int) row {
	return row{
		matrix: "N1", name: "proxy answers " + http.StatusText(status), tenants: 2, budget: 3,
		play: func(sc *scene) {
			proxy := sc.newWebProxy()
			sc.behindProxy(proxy.URL)
			sc.unaffected(1) // all is well through the proxy
			proxy.refuse(status)
			proxy.cut()
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonProxyRefused)
			sc.says(0, loginHost, "proxy", "platform team")
			proxy.permit()
		},
	}
}

// blockPage is a proxy that is trusted, opens the connection and shows a page of its own.
func blockPage() row {
	return row{
		matrix: "N2", name: "proxy shows a block page", tenants: 2, budget: 3,
		play: func(sc *scene) {
			inspection := sc.newAuthority("Contoso Inspection CA")
			sc.trustToo(inspection)
			proxy := sc.newWebProxy()
			proxy.intercept(inspection.issue(loginHost, time.Now().Add(time.Hour)), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte("<html>" + canary))
			}))
			sc.behindProxy(proxy.URL)
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonProxyRefused)
			sc.says(0, loginHost, "proxy", "platform team")
			proxy.permit()
			proxy.cut()
		},
	}
}

// trustToo adds an authority to the bundle until the row is over.
func (sc *scene) trustToo(a *authority) {
	sc.t.Helper()
	before, err := os.ReadFile(sc.bundle)
	sc.must(err)
	sc.must(os.WriteFile(sc.bundle, append(before, a.pem()...), 0o600))
	sc.t.Cleanup(func() { sc.must(os.WriteFile(sc.bundle, before, 0o600)) })
}

// intercepted is a proxy that opens the connection and whose authority the operator was not told of.
func intercepted() row {
	return row{
		matrix: "N3", name: "proxy intercepts TLS", always: true, tenants: 2, budget: 3,
		play: func(sc *scene) {
			inspection := sc.newAuthority("Contoso Inspection CA")
			proxy := sc.newWebProxy()
			proxy.intercept(inspection.issue(loginHost, time.Now().Add(time.Hour)), sc.behind())
			sc.behindProxy(proxy.URL)
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonTLSUntrusted)
			sc.says(0, `"Contoso Inspection CA"`, "--ca-bundle", loginHost)
			sc.trustToo(inspection)
		},
	}
}

// proxyUnresolved is a proxy whose name nobody knows, until the operator is given another one.
func proxyUnresolved() row {
	return row{
		matrix: "14", name: "name of the proxy does not resolve", tenants: 2, budget: 2,
		play: func(sc *scene) {
			sc.behindProxy("http://proxy.invalid:3128")
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonEntraUnavailable)
			sc.says(0, loginHost, "HTTPS_PROXY")
			sc.exchange(nil)
		},
	}
}

// nameUnresolved is a login host whose name nobody knows.
func nameUnresolved() row {
	return row{
		matrix: "14", name: "name of the login host does not resolve", tenants: 2, budget: 2,
		play: func(sc *scene) {
			sc.replace(nil, "--authority-url=https://login.invalid")
			sc.refresh(0)
			sc.fails(0, v1alpha1.ReasonEntraUnavailable)
			sc.says(0, "login.invalid", "DNS")
			sc.exchange(nil)
		},
	}
}

// bulky is an answer that would take all memory, or all time.
func bulky(name, reason string, always bool, fault entra.Fault) row {
	return row{
		matrix: "9", name: name, always: always, budget: 4,
		play: func(sc *scene) {
			sc.pass(2 * time.Second) // the start is over
			sc.resetPeak()
			before := sc.resident()
			sc.entra.Inject(sc.tenantIDs[0], fault, 0)
			sc.refresh(0)
			sc.within(20*time.Second, "the answer is given up", func() bool { return sc.failure(0) != nil })
			sc.fails(0, reason)
			sc.entra.Clear(sc.tenantIDs[0])
			grown := sc.resident() - before
			sc.t.Logf("memory grew by %d KiB", grown>>10)
			if grown > 10<<20 {
				sc.t.Errorf("memory grew by %d KiB, at most 10 MiB are allowed", grown>>10)
			}
		},
	}
}
