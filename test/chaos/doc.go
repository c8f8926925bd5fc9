// Package chaos plays the faults of docs/fault-matrix.md against the operator's own process, with a
// real API server and the Entra ID emulator, and judges each of them by the same oracle.
//
// A row of the matrix is a subtest named by its number. It has a scene for itself, that is a namespace,
// an application with a credential and some customers, on a stage that all rows share: the cluster, the
// emulator, the operator and a prober that reads every Secret each second. Rows that concern one
// customer or one application are played side by side; those that concern everybody one after the other.
//
// `go test ./test/chaos` plays the rows that are marked for every change, `make chaos` all of them.
package chaos
