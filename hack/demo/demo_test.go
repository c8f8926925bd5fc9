package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/defender-tenant/operator/test/cluster"
)

// TestDemo plays the whole story: what people are shown is what holds.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("the story takes about a minute")
	}
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	err := run(t.Context(), &out, false)
	if errors.Is(err, cluster.ErrNoControllerManager) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	story := out.String()
	for _, wanted := range []string{
		"ConsentRequired", "/adminconsent?client_id=", "Example Security asks for permission", "Consent was granted",
		"contoso condition met", "HTTP 200 OK, 2 incidents", "Degraded=True, RefreshFailing", "Degraded=False, AsExpected",
		"token: 0 bytes, state: AccessRevoked", "AccessDenied", "The story took",
	} {
		if !strings.Contains(story, wanted) {
			t.Errorf("the story does not tell of %q", wanted)
		}
	}
	if strings.Contains(story, "eyJ") || strings.Contains(story, canary) {
		t.Error("the story shows a token")
	}
	nothingIsLeft(t)
	if t.Failed() {
		t.Log(story)
	}
}

func TestInterruptedDemoCleansUp(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, interrupt := context.WithCancel(t.Context())
	out := &watcher{trigger: "starting etcd", act: interrupt}
	if err := run(ctx, out, false); err == nil {
		t.Error("an interrupted story is no success")
	}
	nothingIsLeft(t)
}

// watcher acts once something was written.
type watcher struct {
	trigger string
	act     func()
}

// Write looks for the trigger.
func (w *watcher) Write(text []byte) (int, error) {
	if strings.Contains(string(text), w.trigger) {
		w.act()
	}
	return len(text), nil
}

func nothingIsLeft(t *testing.T) {
	t.Helper()
	files, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Errorf("left behind: %s", file.Name())
	}
}

func TestTypedQuotesForTheShell(t *testing.T) {
	for want, args := range map[string][]string{
		"kubectl get dt -n soc":                     {"get", "dt", "-n", "soc"},
		"kubectl defender --provider 'Two Words'":   {"defender", "--provider", "Two Words"},
		"kubectl get --field='{.a}' -o 'b={.c}'":    {"get", "--field={.a}", "-o", "b={.c}"},
		"kubectl annotate dt contoso a/b=consented": {"annotate", "dt", "contoso", "a/b=consented"},
	} {
		if got := typed(args); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
