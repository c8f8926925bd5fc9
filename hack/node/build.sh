#!/usr/bin/env bash
# Builds what a Kubernetes node needs beside the control plane, once per version, and prints the folder
# that holds it: kubelet, kube-proxy and kube-scheduler.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
source ../programs.sh

kubernetes=$(awk '$1 == "k8s.io/kubernetes" && NF > 1 { print $2; exit }' go.mod)

# As for the control plane: without a version in it the kubelet registers a node that Helm rejects.
IFS=. read -r major minor _ <<<"${kubernetes#v}"
ldflags='-s -w'
for holder in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	ldflags+=" -X $holder.gitVersion=$kubernetes -X $holder.gitMajor=$major -X $holder.gitMinor=$minor"
done

# The largest comes first: the others reuse the packages it has compiled.
dir=$cache/node/$kubernetes-$(fingerprint go.mod go.sum build.sh)
provide "$dir" "$ldflags" \
	kubelet=k8s.io/kubernetes/cmd/kubelet \
	kube-proxy=k8s.io/kubernetes/cmd/kube-proxy \
	kube-scheduler=k8s.io/kubernetes/cmd/kube-scheduler
echo "$dir"
