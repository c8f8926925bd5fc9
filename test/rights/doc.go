// Package rights compares what the shipped roles grant with what the operator's process uses, by the audit log of a
// real API server, and takes the rights away one by one.
package rights
