package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/defender-tenant/operator/test/proxy"
)

// silence is how long nothing has to happen until it counts as nothing.
const silence = 200 * time.Millisecond

// server answers each line with itself, and ends a connection that says bye.
func server(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewReader(conn)
				for {
					line, err := lines.ReadString('\n')
					if err != nil || line == "bye\n" {
						return
					}
					_, _ = io.WriteString(conn, line)
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func start(t *testing.T, target string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Start(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// caller is a client.
type caller struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &caller{t: t, Conn: conn, lines: bufio.NewReader(conn)}
}

func (c *caller) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) hears(want string) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if line, err := c.lines.ReadString('\n'); err != nil || line != want {
		c.t.Fatalf("got %q, %v; want %q", line, err, want)
	}
}

// fails gives what reading ends with.
func (c *caller) fails(within time.Duration) error {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(within))
	line, err := c.lines.ReadString('\n')
	if err == nil || line != "" {
		c.t.Fatalf("got %q, %v", line, err)
	}
	return err
}

func (c *caller) hearsNothing() {
	c.t.Helper()
	if err := c.fails(silence); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the connection was not silent: %v", err)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.After(10 * time.Second); !holds(); {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatal("never came true: " + what)
		}
	}
}

func TestCarries(t *testing.T) {
	p := start(t, server(t))
	c, other := dial(t, p), dial(t, p)
	c.send("hello\n")
	c.hears("hello\n")
	long := strings.Repeat("x", 1<<20) + "\n"
	other.send(long)
	other.hears(long)
	if p.Open() != 2 || p.Accepted() != 2 {
		t.Errorf("%d open of %d", p.Open(), p.Accepted())
	}
	c.send("bye\n")
	if err := c.fails(10 * time.Second); !errors.Is(err, io.EOF) {
		t.Errorf("the server hung up: %v", err)
	}
	_ = other.Close()
	eventually(t, "both have left", func() bool { return p.Open() == 0 && p.Accepted() == 2 })
}

func TestDelay(t *testing.T) {
	p := start(t, server(t))
	p.Delay(silence)
	c := dial(t, p)
	started := time.Now()
	for range 10 {
		c.send("hello\n")
	}
	for range 10 {
		c.hears("hello\n")
	}
	if took := time.Since(started); took < silence || took > 5*silence {
		t.Errorf("ten lines took %s, want %s for all of them", took, silence)
	}
	p.Delay(time.Hour)
	c.send("late\n")
	c.hearsNothing()
}

func TestCut(t *testing.T) {
	p := start(t, server(t))
	c := dial(t, p)
	c.send("hello\n")
	c.hears("hello\n")
	p.Cut()
	if err := c.fails(10 * time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	next := dial(t, p)
	next.send("hello\n")
	next.hears("hello\n")
}

func TestBlack(t *testing.T) {
	p := start(t, server(t))
	old := dial(t, p)
	old.send("hello\n")
	old.hears("hello\n")
	p.Black()
	fresh := dial(t, p)
	for _, c := range []*caller{old, fresh} {
		c.send("hello?\n")
		c.hearsNothing()
	}
	old.send("bye\n") // lost as well: the server still holds its end
	if p.Open() != 2 {
		t.Errorf("%d open, want both", p.Open())
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*caller{old, fresh} {
		c.send("hello?\n")
		c.hearsNothing()
	}
	next := dial(t, p)
	next.send("hello\n")
	next.hears("hello\n")
	for _, c := range []*caller{old, fresh} {
		_ = c.Close()
	}
	eventually(t, "those who gave up are forgotten", func() bool { return p.Open() == 1 })
}

// A server that ends while the line is black is not heard either.
func TestBlackHidesTheEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	p := start(t, listener.Addr().String())
	c := dial(t, p)
	end, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p.Black()
	_ = end.Close()
	c.hearsNothing()
}

func TestRefuse(t *testing.T) {
	p := start(t, server(t))
	c := dial(t, p)
	c.send("hello\n")
	c.hears("hello\n")
	p.Refuse()
	if err := c.fails(10 * time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection ends with %v, want a reset", err)
	}
	if _, err := net.Dial("tcp", p.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new one ends with %v, want a refusal", err)
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	next := dial(t, p)
	next.send("hello\n")
	next.hears("hello\n")
}

func TestWithoutATarget(t *testing.T) {
	p := start(t, "127.0.0.1:1")
	conn, err := net.Dial("tcp", p.Address())
	if err == nil { // the reset may be quicker
		defer func() { _ = conn.Close() }()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestClose(t *testing.T) {
	target := server(t)
	before := runtime.NumGoroutine()
	p := start(t, target)
	c := dial(t, p)
	c.send("hello\n")
	c.hears("hello\n")
	p.Black()
	dial(t, p).hearsNothing()
	p.Delay(time.Hour)
	p.Close()
	if p.Open() != 0 {
		t.Errorf("%d are still open", p.Open())
	}
	// One more is the server's, for its end of the connection, until it has seen the reset.
	eventually(t, "nothing of it runs", func() bool { return runtime.NumGoroutine() <= before })
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", p.Address()); err == nil {
		_ = conn.Close()
		t.Error("it came back after its end")
	}
}
