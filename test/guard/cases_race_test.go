//go:build race

package guard

// defaultCases are fewer under the race detector, which makes each several times as long.
const defaultCases = 1_000
