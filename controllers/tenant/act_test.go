package tenant

import (
	"slices"
	"testing"
)

func TestPromptFirst_WhatNeedsNoAnswerDoesNotWaitForOne(t *testing.T) {
	steps := []step{{do: mint}, {do: empty}, {do: keep}, {do: mint}, {do: remove}}
	if got := slices.Collect(promptFirst(steps)); !slices.Equal(got, []int{1, 2, 4, 0, 3}) {
		t.Errorf("order of work %v, want 1 2 4 0 3", got)
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
		"one of two is not worked on until next": {[]result{{fault: denied()}, {}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (outcome{results: row.results}).answered(); got != row.want {
				t.Errorf("answered %v, want %v", got, row.want)
			}
		})
	}
}
