package entra

import (
	"bytes"
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	reopenPatience = 5 * time.Second
	reopenPause    = 20 * time.Millisecond
	headerPatience = 30 * time.Second
)

// door is one listening address that can be shut and opened again on the same port.
type door struct {
	address string // does not change once open
	tls     *tls.Config
	handler http.Handler

	mu     sync.Mutex
	server *http.Server // nil while shut
}

func openDoor(address string, certificate tls.Certificate, handler http.Handler) (*door, error) {
	d := &door{
		address: address,
		handler: handler,
		// HTTP/1.1 alone: faults such as a reset or a cut body are faults of one connection only there.
		tls: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	address, err := d.listen()
	d.address = address
	return d, err
}

// listen needs mu. The address that it returns carries the port that the system chose.
func (d *door) listen() (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", d.address)
	if err != nil {
		return "", err
	}
	d.server = &http.Server{
		Handler:           d.handler,
		ReadHeaderTimeout: headerPatience,
		ErrorLog:          log.New(serverLog{}, "entra: ", 0),
	}
	go func(s *http.Server) { _ = s.Serve(tls.NewListener(listener, d.tls)) }(d.server)
	return listener.Addr().String(), nil
}

// serverLog drops handshakes that clients gave up, which are normal here, and shows all else, such as a panic in
// a Mutate function.
type serverLog struct{}

// Write takes one message of net/http.
func (serverLog) Write(message []byte) (int, error) {
	if bytes.Contains(message, []byte("TLS handshake error")) {
		return len(message), nil
	}
	return os.Stderr.Write(message)
}

func (d *door) reopen() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server != nil {
		return nil
	}
	deadline := time.After(reopenPatience)
	for {
		_, err := d.listen()
		if err == nil {
			return nil
		}
		select {
		case <-deadline:
			return err
		case <-time.After(reopenPause):
		}
	}
}

// shut closes the listener and every connection, also those in the middle of an answer.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server == nil {
		return
	}
	// The error is that of closing a socket that is not needed any more.
	_ = d.server.Close()
	d.server = nil
}
