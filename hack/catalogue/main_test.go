package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/defender-tenant/operator/internal/entra"
)

func TestPageIsWhatTheTablesSay(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != render(entra.Catalogue()) {
		t.Error("docs/errors.md is out of date: run go generate ./internal/entra")
	}
}

func TestPageShowsEveryCodeAndSentence(t *testing.T) {
	table := entra.Catalogue()
	page := render(table)
	for _, code := range table.Codes {
		if !strings.Contains(page, "| "+strconv.FormatInt(code.Number, 10)+" |") {
			t.Errorf("AADSTS%d is missing", code.Number)
		}
	}
	for _, v := range verdicts(table) {
		if !strings.Contains(page, cell(v.Message)) || noticed(v.Cure) == "" {
			t.Errorf("%q is missing, or how its end is noticed", v.Message)
		}
	}
}

func TestCellStaysACell(t *testing.T) {
	if got, want := cell("a|b {tenant}"), "a\\|b `{tenant}`"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
