// Package node starts a real Kubernetes cluster of one node on this machine, for tests: the control plane of package
// cluster, kube-scheduler, containerd, kubelet and kube-proxy, as processes.
//
// All of it lives in namespaces of its own (Isolate): of process IDs, mounts and the network. When the first process
// in there ends, the kernel ends the others and takes mounts, bridge, Pod networks and nftables away, however the test
// ended. What is left are a folder and cgroups, which the process outside removes.
package node
