#!/usr/bin/env bash
# Builds one of the project's tools, once per version, and prints where it is.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
source ../programs.sh

case ${1:-} in
controller-gen) package=sigs.k8s.io/controller-tools/cmd/controller-gen ;;
golangci-lint) package=./golangci-lint ;;
kustomize) package=sigs.k8s.io/kustomize/kustomize/v5 ;;
*)
	echo "usage: build.sh controller-gen|golangci-lint|kustomize" >&2
	exit 2
	;;
esac

dir=$cache/tools/$(fingerprint go.mod go.sum build.sh golangci-lint/main.go)
provide "$dir" '-s -w' "$1=$package"
echo "$dir/$1"
