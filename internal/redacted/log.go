package redacted

import "github.com/go-logr/logr"

// loudest is the highest verbosity that passes. From level 8 client-go logs the bodies
// of requests, and with them whole Secrets (CVE-2019-11250 was of that kind).
const loudest = 6

// Logger bounds the verbosity of a logger, so that no flag can make a library write
// Secrets into the log.
func Logger(log logr.Logger) logr.Logger {
	if log.IsZero() {
		return log // drops everything, and has no sink
	}
	return log.WithSink(sink{log.GetSink()})
}

// sink passes everything but the loudest levels.
type sink struct{ logr.LogSink }

// Enabled tells libraries not to bother.
func (s sink) Enabled(level int) bool { return level <= loudest && s.LogSink.Enabled(level) }

// Info passes what is enabled, whoever forgot to ask.
func (s sink) Info(level int, msg string, keysAndValues ...any) {
	if level <= loudest {
		s.LogSink.Info(level, msg, keysAndValues...)
	}
}

// WithValues keeps the bound.
func (s sink) WithValues(keysAndValues ...any) logr.LogSink {
	return sink{s.LogSink.WithValues(keysAndValues...)}
}

// WithName keeps the bound.
func (s sink) WithName(name string) logr.LogSink { return sink{s.LogSink.WithName(name)} }

// WithCallDepth keeps the bound and the place that a line names.
func (s sink) WithCallDepth(depth int) logr.LogSink {
	if deep, ok := s.LogSink.(logr.CallDepthLogSink); ok {
		return sink{deep.WithCallDepth(depth)}
	}
	return s
}
