//go:build !race

package guard

// defaultCases of the property test.
const defaultCases = 10_000
