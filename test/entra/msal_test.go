package entra_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"github.com/defender-tenant/operator/test/entra"
)

// msalClient is Microsoft's own client, which is the yardstick for being faithful.
func (w *world) msalClient(credential confidential.Credential, options ...confidential.Option) confidential.Client {
	w.t.Helper()
	options = append(options, confidential.WithHTTPClient(w.client), confidential.WithInstanceDiscovery(false))
	c, err := confidential.New(w.URL()+"/organizations", clientID, credential, options...)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) acquire(c confidential.Client, tenant string) (confidential.AuthResult, error) {
	return c.AcquireTokenByCredential(w.t.Context(), []string{entra.DefenderXDR + "/.default"}, confidential.WithTenantID(tenant))
}

func (w *world) secretClient() confidential.Client {
	w.t.Helper()
	credential, err := confidential.NewCredFromSecret(password)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.msalClient(credential)
}

func TestMSALGetsATokenWithASecret(t *testing.T) {
	w := start(t)
	w.Consent(fabrikam, clientID)
	c := w.secretClient()
	for _, tenant := range []string{contoso, fabrikam} {
		result, err := w.acquire(c, tenant)
		if err != nil {
			t.Fatal(err)
		}
		if _, claims := claimsOf(t, result.AccessToken); claims["tid"] != tenant {
			t.Errorf("a token of %v for %s", claims["tid"], tenant)
		}
		if n := w.CountRequests(entra.OpenIDConfiguration, tenant); n != 1 {
			t.Errorf("%d configuration requests", n)
		}
	}
	for _, r := range w.Requests() {
		if r.ClientRequestID == "" {
			t.Errorf("the client-request-id of %s is missing", r.Path)
		}
	}
}

func TestMSALGetsATokenWithACertificate(t *testing.T) {
	for name, options := range map[string][]confidential.Option{"plain": nil, "with chain": {confidential.WithX5C()}} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			// MSAL dates its assertions by the real clock.
			w.clock.Step(time.Since(w.clock.Now()))
			mine := newIdentity(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
			credential, err := confidential.NewCredFromCert([]*x509.Certificate{mine.cert}, mine.key)
			if err != nil {
				t.Fatal(err)
			}
			c := w.msalClient(credential, options...)
			if _, err := w.acquire(c, contoso); codeOf(t, err) != 700027 {
				t.Errorf("before the certificate is registered: %v", err)
			}
			w.AddCertificate(clientID, mine.cert)
			result, err := w.acquire(c, contoso)
			if err != nil {
				t.Fatal(err)
			}
			if _, claims := claimsOf(t, result.AccessToken); claims["appidacr"] != "2" {
				t.Errorf("appidacr %v", claims["appidacr"])
			}
		})
	}
}

// codeOf takes the AADSTS code out of MSAL's error, or 0.
func codeOf(t *testing.T, err error) int {
	t.Helper()
	var call msal.CallErr
	if !errors.As(err, &call) {
		return 0
	}
	var body struct {
		Codes       []int  `json:"error_codes"`
		Correlation string `json:"correlation_id"`
	}
	if err := json.NewDecoder(call.Resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if sent := call.Req.Header.Get("client-request-id"); body.Correlation != sent || call.Resp.Header.Get("x-ms-request-id") == "" {
		t.Errorf("correlation %q, sent %q, headers %v", body.Correlation, sent, call.Resp.Header)
	}
	if len(body.Codes) == 0 {
		return 0
	}
	return body.Codes[0]
}

func TestMSALSeesRefusalsAndFaults(t *testing.T) {
	w := start(t)
	c := w.secretClient()
	if _, err := w.acquire(c, nobodysTenant); codeOf(t, err) != 90002 {
		t.Errorf("unknown tenant: %v", err)
	}
	if _, err := w.acquire(c, fabrikam); codeOf(t, err) != 7000229 {
		t.Errorf("no consent: %v", err)
	}
	w.Inject(contoso, entra.Fault{Code: 90055, RetryAfter: "60"}, 1)
	_, err := w.acquire(c, contoso)
	var call msal.CallErr
	if !errors.As(err, &call) || call.Resp.StatusCode != http.StatusTooManyRequests || call.Resp.Header.Get("Retry-After") != "60" {
		t.Errorf("throttled: %v", err)
	}
	for _, broken := range []entra.Fault{
		{ExpiresIn: entra.OmitExpiresIn},
		{Body: "garbage"},
		{Truncate: 10},
		{Reset: true},
		{Location: "https://evil.example/token"},
	} {
		w.Inject(contoso, broken, 1)
		if _, err := w.acquire(c, contoso); err == nil {
			t.Errorf("no error for %+v", broken)
		}
	}
	if _, err := w.acquire(c, contoso); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

func TestMSALFindsTheCloudByInstanceDiscovery(t *testing.T) {
	w := start(t)
	credential, err := confidential.NewCredFromSecret(password)
	if err != nil {
		t.Fatal(err)
	}
	c, err := confidential.New("https://login.microsoftonline.com/organizations", clientID, credential, confidential.WithHTTPClient(w.client))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.acquire(c, contoso); err != nil {
		t.Fatal(err)
	}
	var kinds []entra.Kind
	for _, r := range w.Requests() {
		kinds = append(kinds, r.Kind)
	}
	if want := []entra.Kind{entra.Discovery, entra.OpenIDConfiguration, entra.Token}; !reflect.DeepEqual(kinds, want) {
		t.Errorf("requests %v, want %v", kinds, want)
	}
}
