package tenant

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/defender-tenant/operator/internal/health"
)

func TestOrder_WhatNeedsNoAnswerDoesNotWaitForOneAndTheMostUrgentTokenAsksFirst(t *testing.T) {
	ends := func(left time.Duration) slot {
		s := goodSlot()
		s.held.life.ExpiresAt = after(left)
		return s
	}
	failing, unseen := goodSlot(), goodSlot()
	failing.held, failing.pace.fault = nil, unavailable()
	unseen.held = nil
	seen := &observed{
		tenant: someTenant(), app: someApp(),
		slots: []slot{ends(50 * time.Minute), goodSlot(), failing, ends(5 * time.Minute), goodSlot(), unseen, ends(40 * time.Minute), goodSlot()},
	}
	steps := []step{{do: mint}, {do: empty}, {do: mint}, {do: mint}, {do: keep}, {do: mint}, {do: mint}, {do: remove}}
	got := (&Reconciler{}).order(seen, steps, noon())
	if !slices.Equal(got, []int{1, 4, 7, 3, 5, 6, 0, 2}) {
		t.Errorf("order of work %v, want 1 4 7, then 3 5 6 0 2", got)
	}
}

// The room knows the most urgent token of a tenant, wherever that is in the spec.
func TestAct_ATenantWaitsForItsMostUrgentToken(t *testing.T) {
	for name, order := range map[string][]time.Duration{
		"most urgent first": {5 * time.Minute, 40 * time.Minute},
		"most urgent last":  {40 * time.Minute, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{Clock: clocktesting.NewFakeClock(noon()), Health: health.New(health.Options{RequestsPerSecond: 1, Workers: 4})}
			seen := &observed{tenant: someTenant(), app: someApp()}
			for i, left := range order {
				s := goodSlot()
				s.spec.Name = []string{"xdr", "graph"}[i]
				s.held.life.ExpiresAt = after(left)
				seen.slots = append(seen.slots, s)
			}
			other := health.Visitor{Key: types.NamespacedName{Namespace: "soc", Name: "fabrikam"}, Host: r.Catalog.Login("").Host(), App: "partner"}
			if _, hold := r.Health.Enter(other, noon()); hold != nil {
				t.Fatal("the only turn of this second is gone already")
			}
			out := r.act(t.Context(), seen, []step{{do: mint, why: whyDue}, {do: mint, why: whyDue}}, noon())
			for _, res := range out.results {
				if res.queued == nil || res.asked || !res.next.Equal(after(time.Minute)) {
					t.Errorf("token %s: got %+v, want it to wait", res.slot.spec.Name, res)
				}
			}
			called, _ := r.Health.Call(after(10 * time.Second))
			if len(called) != 1 || !called[0].ExpiresAt.Equal(after(5*time.Minute)) {
				t.Errorf("called %+v, want the token that ends after five minutes", called)
			}
		})
	}
}

func TestOwe_ARequestIsOwedUntilItSucceeds(t *testing.T) {
	in, edited := inputs{tenantGeneration: 1}, inputs{tenantGeneration: 2}
	known := &remembered{paces: map[string]pace{}}
	known.owe(result{slot: goodSlot(), why: whyDue}, in)
	if len(known.paces) != 0 {
		t.Errorf("a token that nobody asked for is owed: %+v", known.paces)
	}
	known.owe(result{slot: goodSlot(), why: whyRequested}, in)
	known.note(&result{slot: goodSlot(), did: keep}, in, noon(), noon())
	if !known.pace("xdr", in).owed || !known.pace("xdr", edited).owed {
		t.Error("what is owed did not outlive a pass that does nothing, or an edit")
	}
	known.note(&result{slot: goodSlot(), did: mint, why: whyOwed, fault: unavailable()}, edited, noon(), noon())
	if p := known.pace("xdr", edited); !p.owed || p.fault == nil {
		t.Errorf("after a failure: %+v", p)
	}
	known.note(&result{slot: goodSlot(), did: mint, why: whyOwed}, edited, noon(), noon())
	if len(known.paces) != 0 {
		t.Errorf("after a success something is still owed: %+v", known.paces)
	}
}

func TestAnswered_SaysWhenARefreshRequestCameToAnEnd(t *testing.T) {
	for name, row := range map[string]struct {
		results []result
		want    bool
	}{
		"asked, and refused":                     {[]result{{asked: true, fault: denied()}}, true},
		"may not be asked":                       {[]result{{fault: denied()}}, true},
		"one of two was asked":                   {[]result{{fault: denied()}, {asked: true}}, true},
		"nothing happened yet":                   {[]result{{}}, false},
		"the budget is spent":                    {[]result{{fault: unavailable(), overBudget: true}}, false},
		"one may not be asked, one has to wait":  {[]result{{fault: denied()}, {fault: unavailable(), overBudget: true}}, false},
		"one may not be asked, one is queued":    {[]result{{fault: denied()}, {fault: unavailable(), queued: &health.Hold{}}}, false},
		"one of two is not worked on until next": {[]result{{fault: denied()}, {}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (outcome{results: row.results}).answered(); got != row.want {
				t.Errorf("answered %v, want %v", got, row.want)
			}
		})
	}
}
