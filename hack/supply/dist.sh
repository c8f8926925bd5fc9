#!/usr/bin/env bash
# Writes what a release consists of besides the image: dist/install.yaml, the packaged Helm chart, the
# kubectl plugin for PLUGINS (such as "linux/amd64 darwin/arm64", by default for this machine) and their
# checksums. They name the image IMAGE by the tag VERSION, or by DIGEST if that is given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=${VERSION:-$(git describe --tags --always --dirty)}
image=${IMAGE:-ghcr.io/defender-tenant/operator}
digest=${DIGEST:-}
chart=charts/defender-tenant-operator

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

# by says in kustomize's words which of the image's versions is meant.
by() { if [[ -n $digest ]]; then echo "digest: $digest"; else echo "newTag: \"${version#v}\""; fi; }

# manifests goes through an overlay, because kustomize sets images in files only.
manifests() {
	local overlay=dist/overlay name
	mkdir -p "$overlay"
	name=$(sed -n 's/^ *newName: \([^ ]*\).*/\1/p' config/manager/kustomization.yaml)
	{
		printf '%s\n' 'apiVersion: kustomize.config.k8s.io/v1beta1' 'kind: Kustomization' 'resources: [../../config/default]'
		printf 'images: [{name: %s, newName: %s, %s}]\n' "$name" "$image" "$(by)"
	} >"$overlay/kustomization.yaml"
	"$(hack/tools/build.sh kustomize)" build "$overlay" >dist/install.yaml
	rm -r "$overlay"
}

package() {
	local versions=()
	if [[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
		versions=(--version "${version#v}" --app-version "${version#v}")
	fi
	cp -r "$chart" "$scratch/chart"
	sed -e "s|^  repository: .*|  repository: $image|" -e "s|^  digest: \"\"\$|  digest: \"$digest\"|" "$chart/values.yaml" >"$scratch/chart/values.yaml"
	grep -qF "$image" "$scratch/chart/values.yaml" && grep -qF "\"$digest\"" "$scratch/chart/values.yaml"
	"$(hack/helm/build.sh)" package "$scratch/chart" "${versions[@]}" --destination dist
}

plugins() {
	local platform name
	for platform in ${PLUGINS:-$(go env GOOS)/$(go env GOARCH)}; do
		name=kubectl-defender-${platform/\//-}
		CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} go build -trimpath -buildvcs=false \
			-ldflags '-s -w' -o "dist/$name$([[ $platform != windows/* ]] || echo .exe)" ./cmd/kubectl-defender
	done
}

mkdir -p dist
rm -f dist/*.tgz dist/kubectl-defender-* dist/checksums.txt
manifests
plugins
if [[ -d $chart ]]; then
	package
fi
cd dist
for file in *; do
	if [[ -f $file ]]; then
		sha256sum "$file"
	fi
done | tee "$scratch/checksums.txt"
mv "$scratch/checksums.txt" .
