//go:build !linux

package node

import (
	"fmt"
	"os"
)

// Isolate says that it cannot.
func Isolate(func() int) int {
	fmt.Fprintln(os.Stderr, "A cluster with a node needs Linux: its kernel runs the containers.")
	return 1
}
