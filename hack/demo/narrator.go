package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// glance is how often the narrator looks whether what it waits for has happened.
	glance = 200 * time.Millisecond
	// patience is how long the narrator waits for anything.
	patience = time.Minute
	// tailLines are what is shown of a log after a failure.
	tailLines = 30
)

// narrator writes the story to a terminal, or to a file.
type narrator struct {
	out     io.Writer
	styled  bool
	started time.Time
}

func newNarrator(out io.Writer) *narrator {
	n := &narrator{out: out, started: time.Now()}
	if file, isFile := out.(*os.File); isFile && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		info, err := file.Stat()
		n.styled = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return n
}

const (
	bold = "1"
	dim  = "2"
	blue = "1;34"
)

func (n *narrator) style(code, text string) string {
	if !n.styled {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (n *narrator) write(format string, args ...any) {
	_, _ = fmt.Fprintf(n.out, format, args...) // a terminal that is gone ends the program by a signal
}

func (n *narrator) heading(number, of int, title string) {
	n.write("\n%s\n", n.style(blue, fmt.Sprintf("━━ %d/%d  %s ", number, of, title)+strings.Repeat("━", max(3, 84-len(title)))))
}

// say tells what is about to happen or what was seen.
func (n *narrator) say(lines ...string) {
	n.write("\n")
	for _, line := range lines {
		n.write("%s\n", strings.TrimRight("  "+line, " "))
	}
}

// show prints a command as it would be typed, and what it answered.
func (n *narrator) show(command, output string) {
	n.write("\n  %s\n", n.style(bold, "$ "+command))
	for line := range strings.Lines(output) {
		n.write("%s\n", strings.TrimRight("    "+line, "\n "))
	}
}

func (n *narrator) took(d time.Duration) {
	n.write("\n  %s\n", n.style(dim, fmt.Sprintf("(%.1f s)", d.Seconds())))
}

func (n *narrator) end() {
	n.write("\n%s\n", n.style(bold, fmt.Sprintf("The story took %.0f seconds.", time.Since(n.started).Seconds())))
}

// await looks again and again until there is nothing in the way any more. When its patience is over it says
// what was in the way.
func (n *narrator) await(ctx context.Context, what string, look func(context.Context) error) error {
	p := n.progress("waiting for " + what)
	ticks := time.NewTicker(glance)
	defer ticks.Stop()
	for {
		obstacle := look(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case obstacle == nil:
			p.end()
			return nil
		case time.Since(p.started) > patience:
			return fmt.Errorf("waited %s for %s in vain: %w", patience, what, obstacle)
		}
		p.tick()
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
}

// during shows that time passes while work is done.
func (n *narrator) during(what string, work func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- work() }()
	p := n.progress(what)
	ticks := time.NewTicker(glance)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			p.end()
			return err
		case <-ticks.C:
			p.tick()
		}
	}
}

// progress is a line that grows by a dot per second. What takes less than a second leaves no line.
type progress struct {
	*narrator
	what    string
	started time.Time
	dots    int
}

func (n *narrator) progress(what string) *progress {
	return &progress{narrator: n, what: what, started: time.Now()}
}

func (p *progress) tick() {
	for ; p.dots < int(time.Since(p.started).Seconds()); p.dots++ {
		if p.dots == 0 {
			p.write("\n  %s", p.style(dim, p.what+" "))
		}
		p.write("%s", p.style(dim, "."))
	}
}

func (p *progress) end() {
	if p.dots > 0 {
		p.write("%s\n", p.style(dim, fmt.Sprintf(" %.1f s", time.Since(p.started).Seconds())))
	}
}

// logTail shows the end of a log, for whoever looks into a failure.
func (n *narrator) logTail(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return // the operator was not started yet
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	n.write("\n  The operator's last words:\n")
	for _, line := range lines[max(0, len(lines)-tailLines):] {
		n.write("    %s\n", line)
	}
}
