#!/usr/bin/env bash
# Builds a Kubernetes control plane from Go modules, once per version, and prints the folder that
# holds it: etcd, kube-apiserver, kube-controller-manager and kubectl. The first build takes about ten
# minutes on two cores, any later call nothing. A folder named by KUBEBUILDER_ASSETS is used instead.
set -euo pipefail

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
	echo "$KUBEBUILDER_ASSETS"
	exit
fi

cd "$(dirname "${BASH_SOURCE[0]}")"
source ../programs.sh

pinned() { awk -v module="$1" '$1 == module && NF > 1 { print $2; exit }' go.mod; }

kubernetes=$(pinned k8s.io/kubernetes)
etcd=$(pinned go.etcd.io/etcd/server/v3)

# Without a version in the programs kubectl and Helm reject the server's as malformed.
IFS=. read -r major minor _ <<<"${kubernetes#v}"
ldflags='-s -w'
for holder in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	ldflags+=" -X $holder.gitVersion=$kubernetes -X $holder.gitMajor=$major -X $holder.gitMinor=$minor"
done

# The largest comes first: the others reuse the packages it has compiled.
dir=$cache/control-plane/$kubernetes-etcd${etcd#v}-$(fingerprint go.mod go.sum build.sh)
provide "$dir" "$ldflags" \
	kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver \
	kube-controller-manager=k8s.io/kubernetes/cmd/kube-controller-manager \
	kubectl=k8s.io/kubernetes/cmd/kubectl \
	etcd=go.etcd.io/etcd/server/v3
echo "$dir"
