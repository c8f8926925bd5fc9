package entra

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

func allVerdicts() []Verdict {
	t := Catalogue()
	var all []Verdict
	for _, c := range t.Codes {
		all = append(all, c.Verdict)
	}
	for _, rows := range [][]Situation{t.OAuth, t.HTTP, t.Transport, t.Own} {
		for _, row := range rows {
			all = append(all, row.Verdict)
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

// The numbers are those of the facts that the table was made from, written down again so
// that a row cannot get lost.
func TestCodesLeadToTheirReason(t *testing.T) {
	want := map[string][]int64{
		v1alpha1.ReasonConsentRequired:        {7000229, 700016, 700011, 65001, 90094, 65004, 650056, 501051},
		v1alpha1.ReasonResourceNotProvisioned: {500011, 650052, 650054, 50001},
		v1alpha1.ReasonDisabledByTenant:       {7000112, 70001, 1000031},
		v1alpha1.ReasonBlockedByPolicy:        {53003, 530032},
		v1alpha1.ReasonTenantNotFound:         {90002, 900023, 50059, 90019, 50128},
		v1alpha1.ReasonWrongCloud:             {90038, 900439, 900382, 900432},
		v1alpha1.ReasonCredentialRefused: {
			7000215, 7000222, 70002, 7000218, 700027, 700024, 700021, 50012, 700030, 50048, 50027,
			70021, 700211, 700212, 700213, 7002137, 7002138, 700222, 700226, 700229, 700236,
		},
		v1alpha1.ReasonAppMisconfigured: {
			650057, 65005, 50049, 50194, 9001023, 700025, 900144, 70011, 1002012, 700022, 700023, 28002, 901002,
			9002313, 90004, 90013, 90014, 90023, 100007, 70003,
		},
		v1alpha1.ReasonProxyRefused:     {500021, 500022},
		v1alpha1.ReasonThrottled:        {90055, 50196},
		v1alpha1.ReasonEntraUnavailable: {90033, 90006, 90024, 90012, 50033, 90090, 90091, 51005, 50000, 90036},
	}
	count := 0
	for reason, numbers := range want {
		count += len(numbers)
		for _, number := range numbers {
			// Whatever the status and the member error are, a known code decides.
			for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusTemporaryRedirect, http.StatusServiceUnavailable} {
				fault := testCall().classify(refusedWith(status, "invalid_client", number))
				if fault.Reason != reason || fault.Code != number {
					t.Errorf("AADSTS%d with HTTP %d: got %s with code %d, want %s", number, status, fault.Reason, fault.Code, reason)
				}
			}
		}
	}
	if got := len(Catalogue().Codes); got != count {
		t.Errorf("the table has %d codes, the test knows %d", got, count)
	}
}

func testCall() *call {
	return &call{host: "login.example", tenantID: testTenant, clientID: testApp}
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
