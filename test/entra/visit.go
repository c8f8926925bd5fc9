package entra

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const maxRequestBody = 1 << 20

// visit is one request on its way through the emulator.
type visit struct {
	request       *http.Request
	kind          Kind
	tenant        string // as in the path, lower case
	base          string // https://host of the request: answers name the host that was asked
	now           time.Time
	fault         *Fault // never nil
	traceID       string
	correlationID string
	record        Request
}

// answer is what goes back. It is complete before the first byte is sent, so that the ledger is written first.
type answer struct {
	status int
	header http.Header
	body   []byte
	code   int // AADSTS, for the ledger
}

func jsonAnswer(status int, body any) answer {
	data, err := json.Marshal(body)
	if err != nil { // a claim that a test put in, such as a channel
		return answer{status: http.StatusInternalServerError, header: http.Header{}, body: []byte(err.Error())}
	}
	return answer{status: status, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, body: data}
}

// attend makes an HTTP handler that counts, waits, fails and answers as the faults demand.
func (e *Emulator) attend(kind Kind, handle func(*visit) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := e.newVisit(kind, w, r)
		number := e.ledger.arrive(v.record)
		v.fault = e.faults.take(v.tenant, kind)
		if !e.wait(v) {
			abort(w)
			return
		}
		a := e.respond(v, handle)
		v.record.Status, v.record.Code = a.status, a.code
		e.ledger.finish(number, v.record)
		if a.status == 0 {
			abort(w)
			return
		}
		e.deliver(w, v, a)
	}
}

func (e *Emulator) newVisit(kind Kind, w http.ResponseWriter, r *http.Request) *visit {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
	// A form that cannot be read is an empty one: Entra then names the first parameter that is missing.
	_ = r.ParseForm()
	v := &visit{
		request: r, kind: kind, tenant: strings.ToLower(r.PathValue("tenant")), base: "https://" + r.Host,
		now: e.options.Now(), traceID: newGUID(), correlationID: r.Header.Get("client-request-id"),
	}
	if kind == API {
		v.tenant = bearerTenant(r)
	}
	if v.correlationID == "" {
		v.correlationID = newGUID()
	}
	v.record = Request{
		Time: v.now, Method: r.Method, Path: r.URL.Path, Tenant: v.tenant, Kind: kind,
		ClientID:        strings.ToLower(r.Form.Get("client_id")),
		ClientRequestID: r.Header.Get("client-request-id"),
	}
	return v
}

// wait delays or hangs; false means that there is nobody to answer any more.
func (e *Emulator) wait(v *visit) bool {
	if v.fault.Hang {
		select {
		case <-v.request.Context().Done():
		case <-e.done:
		}
		return false
	}
	if v.fault.Delay == 0 {
		return true
	}
	there := e.pause(v, v.fault.Delay)
	v.now = e.options.Now()
	return there
}

// pause is in real time, whatever the emulator's clock says; false means that the client or the emulator is gone.
func (e *Emulator) pause(v *visit, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-v.request.Context().Done():
	case <-e.done:
	}
	return false
}

// respond finds the answer, or the one that a fault puts in its place. Status 0 resets the connection.
func (e *Emulator) respond(v *visit, handle func(*visit) answer) answer {
	f := v.fault
	var a answer
	switch mode := e.outage.mode(v.now); {
	case f.Reset || (mode == outageReset && v.kind != API):
		return answer{}
	case mode == outageUnavailable && v.kind != API:
		a = e.refuse(v, refused{code: codeServiceUnavailable})
	case f.Code != 0:
		a = e.refuse(v, refused{code: f.Code})
		if f.Status != 0 {
			a.status = f.Status
		}
	case f.Location != "":
		a = answer{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {f.Location}}, body: []byte(f.Body)}
		if f.Status != 0 {
			a.status = f.Status
		}
	case f.Status != 0 || f.Body != "":
		a = arbitraryAnswer(f)
	default:
		a = handle(v)
	}
	if f.RetryAfter != "" {
		a.header.Set("Retry-After", f.RetryAfter)
	}
	for name, value := range f.Header {
		a.header.Set(name, value)
	}
	return a
}

func arbitraryAnswer(f *Fault) answer {
	kind := "application/json; charset=utf-8"
	if !strings.HasPrefix(strings.TrimSpace(f.Body), "{") {
		kind = "text/html; charset=utf-8"
	}
	status := f.Status
	if status == 0 {
		status = http.StatusOK
	}
	return answer{status: status, header: http.Header{"Content-Type": {kind}}, body: []byte(f.Body)}
}
