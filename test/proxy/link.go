package proxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunkSize is how much is read at once, and chunkCount how many such pieces may be under way while they are delayed.
	chunkSize  = 32 << 10
	chunkCount = 256
)

// link is one connection: two ends and what is between them.
type link struct {
	client net.Conn
	silent atomic.Bool
	ended  chan struct{}

	mu     sync.Mutex
	server net.Conn // nil until it is connected
	over   bool
}

// chunk is a piece that is under way.
type chunk struct {
	data []byte
	due  time.Time
}

func newLink(client net.Conn) *link { return &link{client: client, ended: make(chan struct{})} }

// connect adds the other end, unless the link ended meanwhile.
func (l *link) connect(server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		_ = server.Close()
		return false
	}
	l.server = server
	return true
}

// reset ends the connection at both ends with an RST. What is under way is lost.
func (l *link) reset() { l.end(true) }

// close ends it after what was written has arrived.
func (l *link) close() { l.end(false) }

func (l *link) end(abruptly bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	close(l.ended)
	for _, side := range []net.Conn{l.client, l.server} {
		if side == nil {
			continue
		}
		if tcp, ok := side.(*net.TCPConn); ok && abruptly {
			_ = tcp.SetLinger(0) // it fails only on a closed connection
		}
		_ = side.Close()
	}
}

// swallow reads what the client sends until it gives up.
func (l *link) swallow() { _, _ = io.Copy(io.Discard, l.client) }

// carry returns when the connection has ended.
func (l *link) carry(latency func() time.Duration) {
	var directions sync.WaitGroup
	directions.Go(func() { l.forward(l.server, l.client, latency) })
	directions.Go(func() { l.forward(l.client, l.server, func() time.Duration { return 0 }) })
	directions.Wait()
}

// forward reads on while pieces wait to be due: latency, not a narrow line. A client that closes always ends a link. A
// server that does so ends it only if it can be heard.
func (l *link) forward(to, from net.Conn, latency func() time.Duration) {
	under := make(chan chunk, chunkCount)
	var writing sync.WaitGroup
	writing.Go(func() { l.deliver(to, under) })
	l.collect(under, from, latency)
	close(under)
	writing.Wait()
	if from == l.server && l.silent.Load() {
		return
	}
	l.close()
}

func (l *link) collect(under chan<- chunk, from net.Conn, latency func() time.Duration) {
	for {
		data := make([]byte, chunkSize)
		n, err := from.Read(data)
		if n > 0 && !l.silent.Load() {
			under <- chunk{data[:n], time.Now().Add(latency())}
		}
		if err != nil {
			return
		}
	}
}

func (l *link) deliver(to net.Conn, under <-chan chunk) {
	for piece := range under {
		select {
		case <-time.After(time.Until(piece.due)):
		case <-l.ended:
		}
		if l.silent.Load() {
			continue
		}
		if _, err := to.Write(piece.data); err != nil {
			l.close() // wakes the reader, and what is left drains
		}
	}
}
