#!/usr/bin/env bash
# Builds what the end-to-end test needs, each program once per version, and runs it. IMAGE is an OCI archive
# with the operator's image; without it the Dockerfile is built, or with QUICK=1 a binary is put into an image
# by itself. KEEP=1 leaves the cluster running until Ctrl-C. ARGS go to the test, such as -lifetime=4m.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "==> $*" >&2; }

# Before half an hour of building. The test itself looks for what the kernel has to have.
if [[ $(uname -s) != Linux || $(id -u) != 0 ]]; then
	say "a cluster with a node needs Linux and root: sudo env \"PATH=\$PATH\" make e2e, there or in a virtual machine"
	exit 1
fi
if ! command -v go >/dev/null; then
	say "there is no go in root's PATH, which is not that of your shell: sudo env \"PATH=\$PATH\" make e2e"
	exit 1
fi
missing=()
command -v gcc >/dev/null || command -v "${CC:-clang}" >/dev/null || missing+=(gcc libc6-dev)
command -v nft >/dev/null || missing+=(nftables)
command -v ip >/dev/null || missing+=(iproute2)
command -v pkg-config >/dev/null || missing+=(pkg-config)
if ! pkg-config --exists libseccomp 2>/dev/null; then missing+=(libseccomp-dev); fi
if ((${#missing[@]})); then
	say "this machine lacks, by their names in Debian: apt-get install ${missing[*]}"
	exit 1
fi

KUBEBUILDER_ASSETS=$(hack/controlplane/build.sh)
node=$(hack/node/build.sh)
runtime=$(hack/runtime/build.sh)
helm=$(hack/helm/build.sh)
REVISION=$(git describe --always --dirty)
export KUBEBUILDER_ASSETS REVISION

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PATH=$scratch:$KUBEBUILDER_ASSETS:$node:$runtime:${helm%/*}:$PATH

say "build the image of the operator, the workload and the pause program"
CGO_ENABLED=0 go build -o "$scratch/" ./test/e2e/workload ./test/node/pause
if [[ -n ${QUICK:-} ]]; then
	CGO_ENABLED=0 go build -ldflags "-s -w" -o "$scratch/" ./cmd/manager
else
	if [[ -z ${IMAGE:-} ]]; then
		IMAGE=$scratch/image.tar
		hack/image/image.sh "$IMAGE" >&2
	fi
	IMAGE=$(realpath "$IMAGE")
	export IMAGE
fi

say "end-to-end test"
read -ra args <<<"${ARGS:-}"
E2E=1 go test ./test/e2e -count=1 -timeout 60m -v -args "${args[@]}"
