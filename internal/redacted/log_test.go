package redacted_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/defender-tenant/operator/internal/redacted"
)

// From level 8 client-go logs the bodies of requests.
func TestInvariant2_TheLoudestLevelsNeverPass(t *testing.T) {
	for name, derive := range map[string]func(logr.Logger) logr.Logger{
		"as it is":         func(l logr.Logger) logr.Logger { return l },
		"with a name":      func(l logr.Logger) logr.Logger { return l.WithName("client") },
		"with values":      func(l logr.Logger) logr.Logger { return l.WithValues("a", 1) },
		"with a depth":     func(l logr.Logger) logr.Logger { return l.WithCallDepth(1) },
		"with all of them": func(l logr.Logger) logr.Logger { return l.WithName("n").WithValues("a", 1).WithCallDepth(1) },
		"raised twice":     func(l logr.Logger) logr.Logger { return l.V(1).V(-5).WithName("n") },
	} {
		t.Run(name, func(t *testing.T) {
			var passed []int
			level := 0
			log := derive(redacted.Logger(funcr.New(func(string, string) { passed = append(passed, level) }, funcr.Options{Verbosity: 100})))
			base := log.GetV()
			for ; level <= 12; level++ {
				at := log.V(level - base)
				if at.Enabled() != (level <= 6) {
					t.Errorf("level %d enabled: %t", level, at.Enabled())
				}
				at.Info("Line")
				at.GetSink().Info(level, "Line") // as one who forgot to ask
			}
			if want := []int{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}; !slices.Equal(passed, want) {
				t.Errorf("passed %v, want %v", passed, want)
			}
		})
	}
}

func TestLogger_LeavesTheRestAlone(t *testing.T) {
	t.Run("errors pass, with name and values", func(t *testing.T) {
		var lines strings.Builder
		log := redacted.Logger(funcr.New(func(prefix, args string) { lines.WriteString(prefix + args) }, funcr.Options{}))
		log.WithName("part").WithValues("key", "known").V(9).Error(errors.New("broken"), "Line")
		for _, want := range []string{"part", `"error"="broken"`, `"key"="known"`, `"msg"="Line"`} {
			if !strings.Contains(lines.String(), want) {
				t.Errorf("%s is missing in %s", want, lines.String())
			}
		}
	})
	t.Run("what the sink is silent about stays silent", func(t *testing.T) {
		log := redacted.Logger(funcr.New(func(string, string) { t.Error("a line") }, funcr.Options{Verbosity: 2}))
		if log.V(3).Enabled() {
			t.Error("enabled")
		}
		log.V(3).Info("Line")
	})
	t.Run("zap at its loudest is bounded too", func(t *testing.T) {
		var out bytes.Buffer
		log := redacted.Logger(zap.New(zap.WriteTo(&out), zap.Level(zapcore.Level(-10))))
		log.V(8).Info("Body", "secret", value)
		log.V(6).Info("Fine")
		if strings.Contains(out.String(), "Body") || !strings.Contains(out.String(), "Fine") {
			t.Errorf("got %s", out.String())
		}
	})
	t.Run("a logger that drops everything may be bounded", func(*testing.T) {
		redacted.Logger(logr.Discard()).Info("Line")
	})
}
