package main

import "strings"

// invitation says how to go on with what still runs.
func (s *stage) invitation() []string {
	apis := strings.TrimPrefix(s.emulator.APIURL(), "https://")
	ca := s.file("ca.pem")
	return []string{
		"Everything goes on until you press Ctrl-C. In another terminal, in this folder:",
		"",
		"    export PATH=" + s.bin("") + ":$PATH KUBECONFIG=" + s.file("kubeconfig"),
		"    kubectl apply -f config/samples/grant-contoso.yaml     # give the access back",
		"    kubectl get dt -A --watch",
		"    kubectl explain dt.spec.tokens",
		"",
		"Call the incidents API as a workload does:",
		"",
		"    curl --cacert " + ca + " --connect-to ::" + apis + " \\",
		"      -H \"Authorization: $(kubectl get secret " + secretName + " -n " + namespace + " -o go-template='{{.data.authorization | base64decode}}')\" \\",
		"      https://api.security.microsoft.com/api/incidents",
		"",
		"Let the second customer consent, or break Entra ID for a minute, which is longer than a token lives here.",
		"A page for that is at " + s.emulator.URL() + "/ (your browser will warn: it does not know " + ca + ").",
		"",
		"    curl --cacert " + ca + " -X POST " + s.emulator.URL() + "/emulator/tenants/" + s.cast.customers[1].Spec.TenantID + "/consent -d '{}'",
		"    curl --cacert " + ca + " -X POST " + s.emulator.URL() + "/emulator/outage -d '{\"down\":true,\"seconds\":60}'",
		"",
		"Look at the operator:",
		"",
		"    tail -f " + s.operatorLog(),
		"    curl http://" + s.operator.metrics + "/metrics",
	}
}
