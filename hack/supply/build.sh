#!/usr/bin/env bash
# Builds one of the programs that look at what is shipped, once per version, and prints where it is.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
source ../programs.sh

pinned() { awk -v module="$1" '$1 == module && NF > 1 { print $2; exit }' go.mod; }

case ${1:-} in
syft) package=github.com/anchore/syft/cmd/syft ldflags="-X main.version=$(pinned github.com/anchore/syft)" ;;
govulncheck) package=golang.org/x/vuln/cmd/govulncheck ldflags= ;;
actionlint) package=github.com/rhysd/actionlint/cmd/actionlint ldflags= ;;
*)
	echo "usage: build.sh syft|govulncheck|actionlint" >&2
	exit 2
	;;
esac

dir=$cache/supply/$(fingerprint go.mod go.sum build.sh)
provide "$dir" "-s -w $ldflags" "$1=$package"
echo "$dir/$1"
