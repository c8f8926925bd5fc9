#!/usr/bin/env bash
# Builds what builds the operator's image, once per version, and prints the folder that holds it:
# buildkitd, buildctl and crane.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
source ../programs.sh

pinned() { awk -v module="$1" '$1 == module && NF > 1 { print $2; exit }' go.mod; }

buildkit=$(pinned github.com/moby/buildkit)

dir=$cache/image/$buildkit-$(fingerprint go.mod go.sum build.sh)
provide "$dir" "-s -w -X github.com/moby/buildkit/version.Version=$buildkit" \
	buildkitd=github.com/moby/buildkit/cmd/buildkitd \
	buildctl=github.com/moby/buildkit/cmd/buildctl \
	crane=github.com/google/go-containerregistry/cmd/crane
echo "$dir"
