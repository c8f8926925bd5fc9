#!/usr/bin/env bash
# Builds what runs the containers of a node, once per version, and prints the folder that holds it:
# containerd with its shim and client, runc, and the network plugins. runc is C in part: it needs a C
# compiler and libseccomp, without which no container gets the seccomp profile that Pod Security asks for.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
source ../programs.sh

if ! pkg-config --exists libseccomp; then
	echo "build: runc needs libseccomp and pkg-config: apt-get install libseccomp-dev pkg-config" >&2
	exit 1
fi

dir=$cache/runtime/$(fingerprint go.mod go.sum build.sh)
provide "$dir" '-s -w' \
	containerd=github.com/containerd/containerd/v2/cmd/containerd \
	containerd-shim-runc-v2=github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2 \
	ctr=github.com/containerd/containerd/v2/cmd/ctr \
	bridge=github.com/containernetworking/plugins/plugins/main/bridge \
	host-local=github.com/containernetworking/plugins/plugins/ipam/host-local \
	loopback=github.com/containernetworking/plugins/plugins/main/loopback
GOFLAGS="$(go env GOFLAGS) -tags=seccomp" provide "$dir" '-s -w' runc=github.com/opencontainers/runc
echo "$dir"
