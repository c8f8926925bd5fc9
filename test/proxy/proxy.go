// Package proxy is a TCP proxy on loopback that stands for a bad network: it delays, cuts, goes black and refuses.
package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy carries connections to one target. Its methods may be called at any time.
type Proxy struct {
	target  string
	address string
	running sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused, and after Close
	links    map[*link]struct{}
	delay    time.Duration
	black    bool
	closed   bool
	accepted int
}

// Start listens on a free port of loopback. The target need not be there yet.
func Start(target string) (*Proxy, error) {
	p := &Proxy{target: target, address: "127.0.0.1:0", links: map[*link]struct{}{}}
	if err := p.listen(); err != nil {
		return nil, err
	}
	p.address = p.listener.Addr().String()
	return p, nil
}

// Address is where the proxy listens, as host:port. It never changes.
func (p *Proxy) Address() string { return p.address }

// Delay makes what clients send arrive later: every answer takes d longer, and none is slowed down further. Zero ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Cut resets all open connections. New ones are carried.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Black lets everything vanish: connections are accepted and never answered, and the open ones go silent both ways for
// good, because what was lost on them cannot be made up for. Neither end is told. With Heal right after it only the open
// connections are lost, as with a firewall that forgot them.
func (p *Proxy) Black() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.black = true
	for l := range p.links {
		l.silent.Store(true)
	}
}

// Refuse stops listening and resets all open connections, as when the target's process ends.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close() // it is only ever closed here and in Close
		p.listener = nil
	}
	p.mu.Unlock()
	p.Cut()
}

// Heal carries new connections at once again.
func (p *Proxy) Heal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.black, p.delay = false, 0
	if p.listener != nil || p.closed {
		return nil
	}
	return p.listen()
}

// Open counts the clients that are connected now, silent connections among them.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Accepted counts the connections that clients have made.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Close ends all connections and returns when nothing of the proxy runs any more.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Refuse()
	p.running.Wait()
}

// listen needs the lock, or a proxy that nobody else knows.
func (p *Proxy) listen() error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", p.address)
	if err != nil {
		return fmt.Errorf("listen for connections to %s: %w", p.target, err)
	}
	p.listener = listener
	p.running.Go(func() { p.accept(listener) })
	return nil
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.carry(client) })
	}
}

func (p *Proxy) carry(client net.Conn) {
	l := newLink(client)
	defer l.reset()
	if !p.enter(l) {
		return
	}
	defer p.leave(l)
	if l.silent.Load() {
		l.swallow()
		return
	}
	// What the client sees of a target that is not there is a reset.
	if server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target); err == nil && l.connect(server) {
		l.carry(p.latency)
	}
}

// enter makes a connection known, so that faults reach it. A proxy that refuses takes none.
func (p *Proxy) enter(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted++
	if p.listener == nil {
		return false
	}
	l.silent.Store(p.black)
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) leave(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) latency() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}
