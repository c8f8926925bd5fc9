package entra

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

//go:embed pages/*.html refusals.json
var pageFiles embed.FS

// Codes that the emulator finds out by itself. Any other can be injected.
const (
	codeRedirectMismatch      = 50011
	codeUnknownInstance       = 50049
	codeBadAssertion          = 50027
	codeDeclined              = 65004
	codeBadScope              = 70011
	codeUnknownGrant          = 70003
	codeNoFederation          = 70021
	codeTenantNotFound        = 90002
	codeServiceUnavailable    = 90033
	codeResourceNotFound      = 500011
	codeNotSubscribed         = 650052
	codeForeignAssertion      = 700021
	codeAssertionTime         = 700024
	codeAssertionSignature    = 700027
	codeAppNotFound           = 700016
	codeFederationIssuer      = 700211
	codeFederationAudience    = 700212
	codeFederationSubject     = 700213
	codeFederationSubjectCase = 7002138
	codeTenantMalformed       = 900023
	codeParameterMissing      = 900144
	codeResourceParameter     = 901002
	codeScopeNotDefault       = 1002012
	codeAppDisabled           = 7000112
	codeWrongSecret           = 7000215
	codeNoCredential          = 7000218
	codeExpiredSecret         = 7000222
	codeMissingPrincipal      = 7000229
	codeCommonTenant          = 9001023
)

// refusal is what Entra says with an AADSTS code.
type refusal struct {
	Code   int    `json:"code"`
	Error  string `json:"error"`
	Status int    `json:"status"`
	Text   string `json:"text"`
}

// refused is a refusal that happened, as an error inside the emulator.
type refused struct {
	code   int
	detail string // follows the code's own text
}

func (r refused) Error() string { return fmt.Sprintf("AADSTS%d %s", r.code, r.detail) }

func loadRefusals() (map[int]refusal, error) {
	data, err := pageFiles.ReadFile("refusals.json")
	if err != nil {
		return nil, err
	}
	var rows []refusal
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, err
	}
	table := make(map[int]refusal, len(rows))
	for _, r := range rows {
		table[r.Code] = r
	}
	return table, nil
}

// refusalFor always has an answer: codes that are not in the table are plain bad requests.
func (e *Emulator) refusalFor(code int) refusal {
	if r, known := e.refusals[code]; known {
		return r
	}
	return refusal{Code: code, Error: "invalid_request", Status: http.StatusBadRequest, Text: "The request was refused."}
}

// refusalBody is the JSON of Entra's error answers.
type refusalBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
	Timestamp   string `json:"timestamp"`
	TraceID     string `json:"trace_id"`
	Correlation string `json:"correlation_id"`
	URI         string `json:"error_uri"`
}

func (e *Emulator) refuse(v *visit, why refused) answer {
	r := e.refusalFor(why.code)
	if v.fault.Error != "" {
		r.Error = v.fault.Error
	}
	body := refusalBody{
		Error:       r.Error,
		Description: e.describe(v, why),
		Codes:       []int{why.code},
		Timestamp:   v.date().Format("2006-01-02 15:04:05Z"),
		TraceID:     v.traceID,
		Correlation: v.correlationID,
		URI:         fmt.Sprintf("%s/error?code=%d", v.base, why.code),
	}
	a := jsonAnswer(r.Status, body)
	a.code = why.code
	return a
}

// describe is one long sentence in a shape that people have learned to search for.
func (e *Emulator) describe(v *visit, why refused) string {
	text := e.refusalFor(why.code).Text
	if why.detail != "" {
		text += " " + why.detail
	}
	if e.options.Marker != "" {
		text += " Marker: " + e.options.Marker
	}
	return fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
		why.code, text, v.traceID, v.correlationID, v.date().Format("2006-01-02 15:04:05Z"))
}

// date is the time that the answer claims, in UTC.
func (v *visit) date() time.Time { return v.now.Add(v.fault.Skew).UTC() }

// newGUID is a random identifier such as trace IDs.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return guid(b)
}

// guid writes 16 bytes as a version 4 GUID.
func guid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
