#!/usr/bin/env bash
# Runs all tests against a real control plane, with the race detector, and each fuzz target for a moment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "==> $*" >&2; }

KUBEBUILDER_ASSETS=$(hack/controlplane/build.sh)
HELM=$(hack/helm/build.sh)
export KUBEBUILDER_ASSETS HELM

race=-race
if [[ $(go env CGO_ENABLED) != 1 ]]; then
	race=
	say "no C compiler was found: the tests run WITHOUT the race detector"
fi
say "test"
go test -timeout 30m ${race:+"$race"} ./...

# Found by reading, not with `go test -list`, which would start the clusters of all suites.
fuzz_targets() {
	go list -f '{{range .TestGoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}' ./... |
		{ xargs grep -HoE '^func Fuzz[A-Za-z0-9_]*' || true; }
}
# A number of runs, not a time: at the end of its time go test can report a worker that is still busy as a failure.
fuzz_targets | while IFS=: read -r file target; do
	target=${target#func }
	say "fuzz $target for ${FUZZTIME:-3000x}"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-3000x}" -fuzzminimizetime 100x "$(dirname "$file")" </dev/null
done
