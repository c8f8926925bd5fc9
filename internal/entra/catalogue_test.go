package entra

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/defender-tenant/operator/internal/token"
)

func allVerdicts() []Verdict {
	t := Catalogue()
	var all []Verdict
	add := func(v Verdict) {
		all = append(all, v)
		if v.InMany != nil {
			all = append(all, *v.InMany)
		}
	}
	for _, c := range t.Codes {
		add(c.Verdict)
	}
	for _, rows := range [][]Situation{t.OAuth, t.HTTP, t.Transport, t.Own} {
		for _, row := range rows {
			add(row.Verdict)
		}
	}
	return all
}

func TestEveryCodeIsListedOnceAndExplained(t *testing.T) {
	seen := map[int64]bool{}
	for _, code := range Catalogue().Codes {
		if seen[code.Number] {
			t.Errorf("AADSTS%d is listed twice", code.Number)
		}
		seen[code.Number] = true
		if code.Meaning == "" || code.Advice == "" {
			t.Errorf("AADSTS%d is not explained", code.Number)
		}
	}
}

func TestEveryVerdictNamesActorAndNextStep(t *testing.T) {
	for _, v := range allVerdicts() {
		t.Run(v.Reason, func(t *testing.T) {
			if v.Reason == "" || v.Message == "" || v.Actor == "" {
				t.Fatalf("incomplete: %+v", v)
			}
			if (v.Actor == token.ActorNobody) != (v.Cure == token.ByRetry) {
				t.Errorf("%q: who waits for nobody tries again, and only then", v.Message)
			}
			says := map[token.Actor]string{
				token.ActorNobody:   "The operator",
				token.ActorCustomer: "An administrator of the tenant must",
				token.ActorPlatform: "he platform team must",
				token.ActorAuthor:   "The author of the DefenderTenant must",
			}[v.Actor]
			if !strings.Contains(v.Message, says) {
				t.Errorf("%q does not say %q", v.Message, says)
			}
			if len(v.Message) > 400 {
				t.Errorf("%q is too long for a condition", v.Message)
			}
		})
	}
}

// What many customers report is the platform team's to mend, once, on the DefenderApp.
func TestWhatManyReportNamesNoCustomer(t *testing.T) {
	for _, v := range allVerdicts() {
		many := v.InMany
		if many == nil {
			continue
		}
		if many.Actor != token.ActorPlatform || many.Cure != token.ByPoll || many.Scope != token.ScopeApp || many.InMany != nil {
			t.Errorf("%+v", *many)
		}
		if strings.Contains(many.Message, "{tenant}") {
			t.Errorf("%q names one customer", many.Message)
		}
		if v.Scope != token.ScopeTenant {
			t.Errorf("%q reaches further than one customer by itself", v.Message)
		}
	}
}

func TestFaultSaysWhatItMeansInMany(t *testing.T) {
	fault := testCall().classify(refusedWith(400, "unauthorized_client", 700016))
	const says = "Entra ID finds application " + testApp + " in none of several tenants. The platform team must check spec.clientID and spec.cloud of the DefenderApp."
	many := fault.InMany
	if many == nil || many.Message != says || many.Reason != "AppMisconfigured" || many.Code != 700016 || many.TraceID != "" || many.Cause != nil {
		t.Fatalf("%+v", many)
	}
	elsewhere := testCall()
	elsewhere.tenantID = testTrace
	if got := elsewhere.classify(refusedWith(400, "unauthorized_client", 700016)).InMany; got.Message != many.Message {
		t.Errorf("of another customer: %q", got.Message)
	}
	if got := testCall().classify(refusedWith(401, "invalid_client", 7000215)).InMany; got != nil {
		t.Errorf("a refused credential is everybody's already: %+v", got)
	}
}

func testCall() *call {
	return &call{host: "login.example", tenantID: testTenant, clientID: testApp, resource: xdr}
}

// refusedWith is an answer as Entra ID writes it.
func refusedWith(status int, oauth string, numbers ...int64) exchange {
	body, err := json.Marshal(map[string]any{
		"error": oauth, "error_description": "AADSTS: " + canary, "error_codes": numbers,
		"trace_id": testTrace, "correlation_id": canary,
	})
	if err != nil {
		panic(err)
	}
	return exchange{status: status, body: body, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
}

const (
	testTenant = "11111111-1111-4111-8111-111111111111"
	testApp    = "22222222-2222-4222-8222-222222222222"
	testTrace  = "33333333-3333-4333-8333-333333333333"
	canary     = "canary-4711"
)

// fixedMessages are all sentences that a call can end with, but for those with an issuer.
func fixedMessages(c *call) []string {
	var all []string
	for _, v := range allVerdicts() {
		all = append(all, c.name(v.Message))
	}
	return all
}

func checkFixed(t *testing.T, c *call, fault *token.Fault) {
	t.Helper()
	if !slices.Contains(fixedMessages(c), fault.Message) {
		t.Errorf("%q is in no table", fault.Message)
	}
	checkClean(t, fault, canary)
}

// checkClean looks for words in everything that a fault could print.
func checkClean(t *testing.T, fault *token.Fault, words ...string) {
	t.Helper()
	outputs := []string{fault.Error(), fmt.Sprintf("%v %+v %#v", fault, *fault, *fault), fmt.Sprintf("%+v %#v", fault.Cause, fault.Cause)}
	for err := fault.Cause; err != nil; {
		outputs = append(outputs, err.Error(), fmt.Sprintf("%#v", err))
		wrapper, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		err = wrapper.Unwrap()
	}
	data, err := json.Marshal(fault)
	if err != nil {
		t.Fatal(err)
	}
	outputs = append(outputs, string(data))
	for _, output := range outputs {
		for _, word := range words {
			if strings.Contains(output, word) {
				t.Errorf("%q leaks in %s", word, output)
			}
		}
	}
}
