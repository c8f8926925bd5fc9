package entra

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// everyTenant in a control path stands for all tenants.
const everyTenant = "all"

// order is the body of a control request about one tenant or app. An absent clientID means the only app.
type order struct {
	ClientID string    `json:"clientID"`
	Resource string    `json:"resource"`
	Roles    []string  `json:"roles"`
	Lifetime string    `json:"lifetime"`
	Times    int       `json:"times"`
	Fault    Fault     `json:"fault"`
	Value    string    `json:"value"`
	Expires  time.Time `json:"expires"`
}

// unknown is a name in a control request that nothing has.
type unknown struct{ what string }

func (u unknown) Error() string { return "there is no " + u.what }

func (e *Emulator) controlRoutes(mux *http.ServeMux) {
	control := func(pattern string, act func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
			result, err := act(r)
			writeControl(w, result, err)
		})
	}
	control("GET /emulator/stats", func(*http.Request) (any, error) { return e.stats(), nil })
	control("GET /emulator/ledger", e.controlLedger)
	control("DELETE /emulator/ledger", func(*http.Request) (any, error) { e.ResetLedger(); return nil, nil })
	control("POST /emulator/config", e.controlConfig)
	control("POST /emulator/apps", e.controlApps)
	control("POST /emulator/apps/{app}/{action}", e.controlApp)
	control("POST /emulator/tenants", e.controlTenants)
	control("GET /emulator/tenants/{id}", e.controlTenantState)
	control("DELETE /emulator/tenants/{id}", func(r *http.Request) (any, error) {
		e.RemoveTenant(r.PathValue("id"))
		return nil, nil
	})
	control("POST /emulator/tenants/{id}/{action}", e.controlTenant)
	control("POST /emulator/outage", e.controlOutage)
	mux.HandleFunc("GET /emulator/ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(e.trust.pem)
	})
	mux.HandleFunc("GET /{$}", e.home)
	mux.HandleFunc("POST /{$}", e.homeAction)
}

// writeControl answers {} for success without a result, and {"error": …} with 400 or 404.
func writeControl(w http.ResponseWriter, result any, err error) {
	status := http.StatusOK
	var missing unknown
	switch {
	case errors.As(err, &missing):
		status, result = http.StatusNotFound, map[string]string{"error": err.Error()}
	case err != nil:
		status, result = http.StatusBadRequest, map[string]string{"error": err.Error()}
	case result == nil:
		result = struct{}{}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(result)
}

// read wants exactly the members that a request knows; an empty body is an empty object.
func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read request: %w", err)
	}
	return nil
}

// stats are the counts of the ledger.
type stats struct {
	Requests map[Kind]int `json:"requests"`
	Codes    map[int]int  `json:"codes"` // AADSTS code to answers
	Tokens   int          `json:"tokens"`
	Tenants  int          `json:"tenants"`
	Apps     int          `json:"apps"`
}

func (e *Emulator) stats() stats {
	e.directory.mu.RLock()
	s := stats{Tenants: len(e.directory.tenants), Apps: len(e.directory.apps)}
	e.directory.mu.RUnlock()
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	s.Requests, s.Codes, s.Tokens = maps.Clone(e.ledger.counts.kinds), maps.Clone(e.ledger.counts.codes), e.ledger.counts.tokens
	return s
}

// controlLedger gives all entries, or with ?last=n the newest.
func (e *Emulator) controlLedger(r *http.Request) (any, error) {
	requests, tokens := e.Requests(), e.Tokens()
	if text := r.URL.Query().Get("last"); text != "" {
		last, err := strconv.Atoi(text)
		if err != nil || last < 0 {
			return nil, fmt.Errorf("last must be a number: %q", text)
		}
		requests = requests[max(0, len(requests)-last):]
		tokens = tokens[max(0, len(tokens)-last):]
	}
	return map[string]any{"requests": requests, "tokens": tokens}, nil
}

func (e *Emulator) controlConfig(r *http.Request) (any, error) {
	var c Config
	if err := read(r, &c); err != nil {
		return nil, err
	}
	return nil, e.Configure(c)
}

func (e *Emulator) controlOutage(r *http.Request) (any, error) {
	var in struct {
		Down    bool       `json:"down"`
		Seconds float64    `json:"seconds"`
		Mode    outageMode `json:"mode"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if !in.Down {
		return nil, e.outage.set(outageNone, time.Time{})
	}
	if in.Mode == outageNone {
		in.Mode = outageUnavailable
	}
	var until time.Time
	if in.Seconds > 0 {
		until = e.options.Now().Add(time.Duration(in.Seconds * float64(time.Second)))
	}
	return nil, e.outage.set(in.Mode, until)
}

// theApp finds an app by client ID, or the only one there is.
func (e *Emulator) theApp(clientID string) (string, error) {
	e.directory.mu.RLock()
	defer e.directory.mu.RUnlock()
	apps := slices.Collect(maps.Keys(e.directory.apps))
	clientID = strings.ToLower(clientID)
	switch {
	case clientID == "" && len(apps) == 1:
		return apps[0], nil
	case clientID == "":
		return "", fmt.Errorf("clientID is needed: there are %d apps", len(apps))
	case !slices.Contains(apps, clientID):
		return "", unknown{"app " + clientID}
	}
	return clientID, nil
}
