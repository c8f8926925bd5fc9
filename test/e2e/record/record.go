// Package record is what the workload of the end-to-end test has seen: no token, only what became of it.
package record

import "time"

// Record is the whole of it.
type Record struct {
	Calls        int       `json:"calls"`
	Unauthorized int       `json:"unauthorized"` // answers 401
	Problems     []string  `json:"problems"`     // anything else that was not an answer with incidents
	Gap          string    `json:"gap"`          // the longest time between two good answers
	LastGood     time.Time `json:"lastGood"`
	Tokens       []Token   `json:"tokens"` // in the order of their use
}

// Token is one that was used.
type Token struct {
	SHA256    string    `json:"sha256"`
	FirstUsed time.Time `json:"firstUsed"`
	Expires   time.Time `json:"expires"`
	Calls     int       `json:"calls"`
	Margin    string    `json:"margin"` // the least life that was left when it was used
}
