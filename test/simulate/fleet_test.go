//go:build !race

package simulate

// fleetSize is as many tenants as a run of all tests has time for.
const fleetSize = 300
