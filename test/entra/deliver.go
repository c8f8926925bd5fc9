package entra

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
)

const paddingChunk = 32 << 10

// deliver sends an answer with the wire faults of the visit.
func (e *Emulator) deliver(w http.ResponseWriter, v *visit, a answer) {
	header := w.Header()
	maps.Copy(header, a.header)
	header.Set("Date", v.date().Format(http.TimeFormat))
	header.Set("X-Ms-Request-Id", v.traceID)
	header.Set("Client-Request-Id", v.correlationID)
	header.Set("Cache-Control", "no-store, no-cache")
	header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	header.Set("X-Content-Type-Options", "nosniff")
	switch f := v.fault; {
	case f.Truncate != 0:
		truncate(w, a, f.Truncate)
	case f.Pad > 0 || f.GzipBomb > 0:
		inflate(w, a, f)
	case f.Drip > 0:
		e.drip(w, v, a)
	default:
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		// A client that has gone is its own affair.
		_, _ = w.Write(a.body)
	}
}

// truncate promises the whole body and ends the connection within it.
func truncate(w http.ResponseWriter, a answer, offset int) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+1))
	w.WriteHeader(a.status)
	// net/http ends a connection whose handler wrote less than it promised.
	_, _ = w.Write(a.body[:min(max(offset, 0), len(a.body))])
}

// inflate sends a body that is too large, as it is or compressed. It is made on the way: the emulator needs no memory for it.
func inflate(w http.ResponseWriter, a answer, f *Fault) {
	var out io.Writer = w
	size := f.Pad
	if f.GzipBomb > 0 {
		w.Header().Set("Content-Encoding", "gzip")
		size = f.GzipBomb
	}
	w.WriteHeader(a.status)
	if f.GzipBomb > 0 {
		zip := gzip.NewWriter(w)
		defer func() { _ = zip.Close() }()
		out = zip
	}
	head, rest := []byte(nil), a.body
	if bytes.HasPrefix(a.body, []byte(`{"`)) { // keep the JSON valid: the padding becomes its first member
		head, rest = []byte(`{"padding":"`), append([]byte(`",`), a.body[1:]...)
	}
	_, _ = out.Write(head)
	chunk := bytes.Repeat([]byte{'.'}, paddingChunk)
	for ; size > 0; size -= paddingChunk {
		if _, err := out.Write(chunk[:min(size, paddingChunk)]); err != nil {
			return // the client has had enough
		}
	}
	_, _ = out.Write(rest)
}

// drip sends byte by byte, for clients that wait as long as something arrives.
func (e *Emulator) drip(w http.ResponseWriter, v *visit, a answer) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	control := http.NewResponseController(w)
	for i := range a.body {
		if _, err := w.Write(a.body[i : i+1]); err != nil {
			return
		}
		_ = control.Flush()
		if !e.pause(v, v.fault.Drip) {
			return
		}
	}
}

// abort resets the TCP connection: the client sees "connection reset by peer", or an unexpected end of what it reads.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own way to end a connection without an answer
	}
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn() // below TLS, so that no orderly goodbye is sent
	}
	if raw, ok := conn.(*net.TCPConn); ok {
		_ = raw.SetLinger(0)
	}
	_ = conn.Close()
}
