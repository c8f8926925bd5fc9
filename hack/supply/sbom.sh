#!/usr/bin/env bash
# Writes bills of materials of the image archive $1 beside it: sbom.spdx.json and sbom.cdx.json, with the
# licence of each Go module as its own files say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

archive=$1
dir=$(dirname "$archive")
go mod download
export SYFT_GOLANG_SEARCH_LOCAL_MOD_CACHE_LICENSES=true
SYFT_GOLANG_LOCAL_MOD_CACHE_DIR=$(go env GOMODCACHE)
export SYFT_GOLANG_LOCAL_MOD_CACHE_DIR
export SYFT_CHECK_FOR_APP_UPDATE=false
"$(hack/supply/build.sh syft)" scan --quiet "oci-archive:$archive" \
	--source-name defender-tenant-operator --source-version "${VERSION:-$(git describe --tags --always --dirty)}" \
	-o "spdx-json=$dir/sbom.spdx.json" -o "cyclonedx-json=$dir/sbom.cdx.json"
