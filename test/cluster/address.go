package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
)

const (
	// firstPort and ports are a range below those that the system gives to outgoing connections,
	// which could take a port between its choice and its use.
	firstPort, ports = 12_000, 18_000
	// stride keeps processes of neighbouring numbers apart.
	stride = 149
)

// handedOut counts the addresses that this process was given: none is given twice.
var handedOut atomic.Int64 //nolint:gochecknoglobals // ports belong to the machine

// FreeAddress is an address on loopback that nobody listens on.
func FreeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	for range ports {
		port := firstPort + (int64(os.Getpid())*stride+handedOut.Add(1))%ports
		listener, err := config.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // taken
		}
		return listener.Addr().String(), listener.Close()
	}
	return "", errors.New("no port is free")
}
