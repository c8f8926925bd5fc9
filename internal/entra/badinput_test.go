package entra

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
	emulator "github.com/defender-tenant/operator/test/entra"
)

// Here is what a platform team, its network and its clocks get wrong, each through the whole
// client: what people read must name the step that mends it.

// mistake is one of them, and what is said of it. HOST stands for the login host.
type mistake struct {
	arrange func(t *testing.T) (*Client, token.Request)
	reason  string
	code    int64
	says    string
}

func checkMistakes(t *testing.T, scope token.Scope, mistakes map[string]mistake) {
	t.Helper()
	for name, m := range mistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, want := m.arrange(t)
			fault := refuse(t, client, want, m.reason)
			if says := strings.ReplaceAll(m.says, "HOST", client.catalog.Login(want.Cloud).Host()); fault.Message != says {
				t.Errorf("got  %s\nwant %s", fault.Message, says)
			}
			if fault.Code != m.code || fault.Scope != scope {
				t.Errorf("code %d, scope %d", fault.Code, fault.Scope)
			}
		})
	}
}

// answering gives a client whose token requests are all answered with a code.
func answering(code int) func(*testing.T) (*Client, token.Request) {
	return func(t *testing.T) (*Client, token.Request) {
		t.Helper()
		e := startEmulator(t)
		e.Inject(testTenant, emulator.Fault{Code: code}, 0)
		return clientOf(t, e), ask(t)
	}
}

// storing gives a client that asks with a secret, valid or not.
func storing(value string) func(*testing.T) (*Client, token.Request) {
	return func(t *testing.T) (*Client, token.Request) {
		t.Helper()
		e := startEmulator(t)
		e.AddSecret(testApp, "the-one-of-last-year", time.Now().Add(-time.Hour))
		return clientOf(t, e), ask(t, func(r *token.Request) {
			r.Credential = credential.Credential{Name: "secret", Fingerprint: "1", Secret: redacted.New(value)}
		})
	}
}

// signing gives a client that asks with a certificate of so long a life, while Entra ID's
// clock is off by so much.
func signing(life, skew time.Duration, registered bool) func(*testing.T) (*Client, token.Request) {
	return func(t *testing.T) (*Client, token.Request) {
		t.Helper()
		e, err := emulator.Start(emulator.Options{Now: func() time.Time { return time.Now().Add(skew) }, Marker: canary})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		e.RegisterApp(emulator.App{ClientID: testApp, Permissions: map[string][]string{xdr: {"Incident.Read.All"}}})
		e.Consent(testTenant, testApp)
		cert, certPEM, keyPEM := signingCertificate(t, life)
		if registered {
			e.AddCertificate(testApp, cert)
		}
		held, err := credential.FromPEM("cert", certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		return clientOf(t, e), ask(t, func(r *token.Request) { r.Credential = held })
	}
}

func TestEachRefusedCredentialNamesWhatMendsIt(t *testing.T) {
	t.Parallel()
	const (
		federated = "No federated credential of application " + testApp + " "
		compare   = "The platform team must compare issuer, subject and audience, letter by letter."
	)
	checkMistakes(t, token.ScopeCredential, map[string]mistake{
		"wrong secret": {
			storing("somebody-elses"), "CredentialRefused", 7000215,
			"Entra ID refuses the client secret of application " + testApp + ". The platform team must store the value of a secret that is valid, not its ID.",
		},
		"ID of a secret that got past the check": {
			storing("5f0c1f7e-58d8-4b5c-9d0a-2f6c0f8f7a11"), "CredentialRefused", 7000215,
			"Entra ID refuses the client secret of application " + testApp + ". The platform team must store the value of a secret that is valid, not its ID.",
		},
		"expired secret": {
			storing("the-one-of-last-year"), "CredentialRefused", 7000222,
			"The client secret of application " + testApp + " has expired. The platform team must make a new one and store its value.",
		},
		"certificate that is not registered": {
			signing(time.Hour, 0, false), "CredentialRefused", 700027,
			"Entra ID finds no key that fits the assertion of application " + testApp + ". The platform team must register the certificate that the DefenderApp uses; for workloadIdentity, it must publish the current keys of the cluster's issuer.",
		},
		"expired certificate": {
			signing(-time.Minute, 0, true), "CertificateExpired", 700027,
			"The certificate of application " + testApp + " has expired. The platform team must make a new one, register it and store it with its key.",
		},
		"certificate that has expired by Entra ID's clock, and not yet by ours": {
			signing(time.Minute, 2*time.Minute, true), "CertificateExpired", 700027,
			"The certificate of application " + testApp + " has expired. The platform team must make a new one, register it and store it with its key.",
		},
		"clock of ours an hour behind": {
			signing(24*time.Hour, time.Hour, true), "ClockSkew", 700024,
			"Entra ID finds the assertion of application " + testApp + " outside of its time, because the clock of the operator's node is wrong by more than five minutes. The platform team must set that clock.",
		},
		"clock of ours half an hour ahead": {
			signing(24*time.Hour, -30*time.Minute, true), "ClockSkew", 700024,
			"Entra ID finds the assertion of application " + testApp + " outside of its time, because the clock of the operator's node is wrong by more than five minutes. The platform team must set that clock.",
		},
		"old service-account token": {
			answering(700024), "CredentialRefused", 700024,
			"Entra ID finds the assertion of application " + testApp + " outside of its time. The platform team must check that the operator's service-account token is renewed, and the clock of the operator's node.",
		},
		"federated subject": {
			answering(700213), "FederationMismatch", 700213,
			federated + "has the subject of the operator's service-account token. The platform team must enter system:serviceaccount:NAMESPACE:NAME of the operator there.",
		},
		"federated subject in another case": {
			answering(7002138), "FederationMismatch", 7002138,
			"A federated credential of application " + testApp + " has the subject of the operator's service-account token, but in other upper and lower case. The platform team must correct it letter by letter.",
		},
		"federated issuer": {
			answering(700211), "FederationMismatch", 700211,
			federated + "has the issuer of the operator's service-account token. The platform team must enter the issuer URL of this cluster there, letter by letter.",
		},
		"federated audience": {
			answering(700212), "FederationMismatch", 700212,
			federated + "has the audience of the operator's service-account token. The platform team must give the projected token and the federated credential the same audience, that of the cloud.",
		},
		"something about the federated credential": {
			answering(70021), "FederationMismatch", 70021,
			federated + "matches the operator's service-account token. " + compare,
		},
		"no federated credential": {
			answering(70025), "FederationMismatch", 70025,
			"Application " + testApp + " has no federated credential. The platform team must add one with the issuer, subject and audience of the operator's service-account token.",
		},
		"issuer that Entra ID cannot read": {
			answering(90061), "CredentialRefused", 90061,
			"Entra ID cannot read the keys of the cluster's issuer, so that it cannot check the service-account token for application " + testApp + ". The platform team must make the issuer's /.well-known/openid-configuration and its keys readable from the internet.",
		},
		"issuer that the home tenant does not allow": {
			answering(700238), "FederationMismatch", 700238,
			"A policy of the home tenant of application " + testApp + " does not allow federated credentials of this issuer. The platform team must have the issuer allowed there, or use another kind of credential.",
		},
	})
}

// The ID of a secret is found before anybody is asked.
func TestIDOfASecretIsNoSecret(t *testing.T) {
	_, err := credential.FromSecret("secret", testApp, []byte("5f0c1f7e-58d8-4b5c-9d0a-2f6c0f8f7a11\n"), time.Time{})
	const says = "a GUID is stored, most likely the ID of the client secret: store its value, which Entra ID shows once when the secret is made"
	if err == nil || err.Error() != says {
		t.Errorf("got %v", err)
	}
}

// through gives a client that reaches the public cloud through a proxy, and trusts ca.
func through(proxy func(t *testing.T) *url.URL, ca []byte) func(*testing.T) (*Client, token.Request) {
	return func(t *testing.T) (*Client, token.Request) {
		t.Helper()
		client, err := New(Options{CABundle: writeFile(t, ca), Proxy: http.ProxyURL(proxy(t)), Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.clients.line.CloseIdleConnections)
		return client, ask(t)
	}
}

// refusing is a proxy that answers CONNECT with a status and a page.
func refusing(status int) func(*testing.T) *url.URL {
	return func(t *testing.T) *url.URL {
		t.Helper()
		return proxyThat(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>"+canary+"</html>")
		})
	}
}

// intercepting is a proxy that opens the connection with a certificate of its own and answers
// with a page.
func intercepting(ca authority, name string, status int, change ...func(*tls.Config)) func(*testing.T) *url.URL {
	return func(t *testing.T) *url.URL {
		t.Helper()
		page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>"+canary+"</html>")
		})
		address := serve(t, ca.issue(t, name, time.Now().Add(time.Hour)), page, change...)
		return proxyTo(t, strings.TrimPrefix(address, "https://"), func(string) {})
	}
}

func TestEachMistakeOfTheNetworkNamesWhatMendsIt(t *testing.T) {
	t.Parallel()
	known, unknown := newAuthority(t, "Known CA"), newAuthority(t, "Corp Proxy CA")
	const login = "login.microsoftonline.com"
	old := func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }
	at := func(address string) func(*testing.T) *url.URL {
		return func(*testing.T) *url.URL { return &url.URL{Scheme: "http", Host: address} }
	}
	checkMistakes(t, token.ScopeHost, map[string]mistake{
		"proxy wants a login": {
			through(refusing(407), known.pem), "ProxyRefused", 0,
			"A proxy between the operator and HOST wants a login. The platform team must put its user and password into HTTPS_PROXY, or let the operator through without.",
		},
		"proxy forbids the host": {
			through(refusing(403), known.pem), "ProxyRefused", 0,
			"A proxy between the operator and HOST refuses. The platform team must allow HOST there.",
		},
		"proxy cannot reach the host": {
			through(refusing(502), known.pem), "EntraUnavailable", 0,
			"HOST cannot be reached, or does not answer in time. The operator tries again; if other hosts can be reached, the platform team checks network policies, firewall and proxy.",
		},
		"proxy is down": {
			through(at("127.0.0.1:1"), known.pem), "EntraUnavailable", 0,
			"The proxy on the way to HOST cannot be reached. The operator tries again; if it stays, the platform team checks the proxy, and its address in HTTPS_PROXY.",
		},
		"block page with status 200": {
			through(intercepting(known, login, 200), known.pem), "ProxyRefused", 0,
			"A web page comes in place of an answer of HOST, most likely the block or login page of a proxy. The platform team must allow HOST there.",
		},
		"block page with status 403": {
			through(intercepting(known, login, 403), known.pem), "ProxyRefused", 0,
			"A proxy between the operator and HOST refuses. The platform team must allow HOST there.",
		},
		"proxy opens TLS and is not trusted": {
			through(intercepting(unknown, login, 200), known.pem), "TLSUntrusted", 0,
			"The certificate presented for HOST was issued by \"Corp Proxy CA\", which is not trusted. If that is the platform's own proxy, the platform team must give its CA certificate to the operator with --ca-bundle.",
		},
		"certificate for another host": {
			through(intercepting(known, "proxy.example", 200), known.pem), "TLSUntrusted", 0,
			"The certificate presented for HOST, issued by \"Known CA\", is for another host. The platform team must look for what answers in its place; --ca-bundle does not help here.",
		},
		"TLS 1.1": {
			through(intercepting(known, login, 200, old), known.pem), "TLSUntrusted", 0,
			"What answers for HOST does not offer TLS 1.2 or newer. The platform team must look for a proxy that opens the connection, and let it speak TLS 1.2.",
		},
		"nobody listens": {
			func(t *testing.T) (*Client, token.Request) {
				t.Helper()
				return clientAt(t, "https://127.0.0.1:1", known.pem), ask(t)
			}, "EntraUnavailable", 0,
			"HOST cannot be reached, or does not answer in time. The operator tries again; if other hosts can be reached, the platform team checks network policies, firewall and proxy.",
		},
		"the name does not resolve": {
			resolving(rcodeNoSuchName, known.pem), "EntraUnavailable", 0,
			"The name HOST does not resolve. The operator tries again; if it stays, the platform team checks the cluster's DNS, and whether the operator needs a proxy (HTTPS_PROXY).",
		},
		"the name cannot be looked up now": {
			resolving(rcodeFailure, known.pem), "EntraUnavailable", 0,
			"HOST cannot be reached, or does not answer in time. The operator tries again; if other hosts can be reached, the platform team checks network policies, firewall and proxy.",
		},
	})
}

// What a DNS server answers, from RFC 1035.
const (
	rcodeFailure    = 2
	rcodeNoSuchName = 3
)

// resolving gives a client that looks names up at a server which answers every question so.
func resolving(rcode byte, ca []byte) func(*testing.T) (*Client, token.Request) {
	return func(t *testing.T) (*Client, token.Request) {
		t.Helper()
		server := nameServer(t, rcode)
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", server)
		}}
		client := clientAt(t, "https://login.example", ca)
		client.clients.line.trust.current.DialContext = (&net.Dialer{Resolver: resolver}).DialContext
		return client, ask(t)
	}
}

func nameServer(t *testing.T, rcode byte) string {
	t.Helper()
	server, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		message := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(message)
			if err != nil {
				return
			}
			// The question comes back as it is, marked as an answer.
			flags := binary.BigEndian.Uint16(message[2:])
			binary.BigEndian.PutUint16(message[2:], flags|1<<15|uint16(rcode))
			_, _ = server.WriteTo(message[:n], from)
		}
	}()
	return server.LocalAddr().String()
}
