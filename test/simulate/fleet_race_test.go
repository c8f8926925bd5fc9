//go:build race

package simulate

// fleetSize is small under the race detector, which makes a day several times as long.
const fleetSize = 40
