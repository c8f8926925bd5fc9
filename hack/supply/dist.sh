#!/usr/bin/env bash
# Writes what a release consists of besides the image: dist/install.yaml, the packaged Helm chart, the
# kubectl plugin for PLUGINS (such as "linux/amd64 darwin/arm64", by default for this machine) and their
# checksums. IMAGE names the image in install.yaml, with a tag or a digest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=${VERSION:-$(git describe --tags --always --dirty)}
image=${IMAGE:-ghcr.io/defender-tenant/operator:${version#v}}
chart=charts/defender-tenant-operator
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

# manifests goes through an overlay, because kustomize sets images in files only.
manifests() {
	local overlay=dist/overlay name
	mkdir -p "$overlay"
	name=$(sed -n 's/^ *newName: \([^ ]*\).*/\1/p' config/manager/kustomization.yaml)
	{
		printf '%s\n' 'apiVersion: kustomize.config.k8s.io/v1beta1' 'kind: Kustomization' 'resources: [../../config/default]'
		case $image in
		*@*) echo "images: [{name: $name, newName: ${image%@*}, digest: ${image#*@}}]" ;;
		*) echo "images: [{name: $name, newName: ${image%:*}, newTag: \"${image##*:}\"}]" ;;
		esac
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
	if [[ $image == *@* ]]; then
		sed -i.before "s|^  digest: \"\"\$|  digest: ${image#*@}|" "$scratch/chart/values.yaml"
		rm "$scratch/chart/values.yaml.before"
		grep -q "${image#*@}" "$scratch/chart/values.yaml"
	fi
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
