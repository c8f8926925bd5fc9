// Package e2e installs the operator's image with its chart into a real cluster of one node and lives through what
// happens to an installation: consent, refreshes, an upgrade, a restarted kubelet, a killed leader, the end of a
// namespace, the uninstall. It needs root and a quarter of an hour: make e2e.
package e2e
