#!/usr/bin/env bash
# Builds Helm, once per version, and prints where it is. The first build takes about five minutes on two
# cores, any later call nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
source ../programs.sh

pinned() { awk -v module="$1" '$1 == module && NF > 1 { print $2; exit }' go.mod; }

helm=$(pinned helm.sh/helm/v3)

# Without a version of Kubernetes in it, `helm template` renders for 1.20, which the chart refuses.
IFS=. read -r _ minor _ <<<"$(pinned k8s.io/client-go)"
ldflags="-s -w -X helm.sh/helm/v3/internal/version.version=$helm"
for holder in chartutil lint/rules; do
	ldflags+=" -X helm.sh/helm/v3/pkg/$holder.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/$holder.k8sVersionMinor=$minor"
done

dir=$cache/helm/$helm-$(fingerprint go.mod go.sum build.sh)
provide "$dir" "$ldflags" helm=helm.sh/helm/v3/cmd/helm
echo "$dir/helm"
