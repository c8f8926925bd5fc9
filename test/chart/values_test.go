package chart_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestLint(t *testing.T) {
	if out, err := helm(t, "lint", "--strict", chart); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRefuses has the very sentence for each value that cannot work.
func TestRefuses(t *testing.T) {
	for values, sentence := range map[string]string{
		"replicas: 0": `replicas is 0: nothing would renew the tokens, and all of them would end within the hour. ` +
			`Set it to 1 or more; 2 survive the loss of a node.`,
		"replicas: -1": `replicas is -1: nothing would renew the tokens, and all of them would end within the hour. ` +
			`Set it to 1 or more; 2 survive the loss of a node.`,
		"authorityURL: http://login.example": `authorityURL is "http://login.example": credentials are sent there, so it must be https://host[:port], ` +
			`without a path. Correct it, or leave it empty.`,
		"authorityURL: login.example": `authorityURL is "login.example": credentials are sent there, so it must be https://host[:port], ` +
			`without a path. Correct it, or leave it empty.`,
		"authorityURL: https://login.example/tenant": `authorityURL is "https://login.example/tenant": credentials are sent there, so it must be ` +
			`https://host[:port], without a path. Correct it, or leave it empty.`,
		"authorityURL: https://user@login.example": `authorityURL is "https://user@login.example": credentials are sent there, so it must be ` +
			`https://host[:port], without a path. Correct it, or leave it empty.`,
		"vaultURL: http://vault.example": `vaultURL is "http://vault.example": credentials are sent there, so it must be https://host[:port], ` +
			`without a path. Correct it, or leave it empty.`,
		"image: {digest: latest}": `image.digest is "latest", which is no digest. Write sha256: and 64 hexadecimal digits, ` +
			`or leave it empty and set image.tag.`,
		"minTokenLifetime: five": `minTokenLifetime is "five", which is no duration. Write it as 5m or 90s, or leave it empty for 5m.`,
		"caBundle: {configMap: a, secret: b}": `caBundle.configMap is "a" and caBundle.secret is "b": there can be one source. ` +
			`Leave one of them empty.`,
		"proxy: {https: 'http://p:3128', secret: {name: s}}": `proxy.https is set, and proxy.secret.name is "s": there can be one address. ` +
			`Leave one of them empty.`,
		"proxy: {https: 'http://me:pass@p:3128'}": `proxy.https holds a user name or a password, which everybody who may read the Deployment would see. ` +
			`Put the address in a Secret and name that in proxy.secret.name.`,
		"proxy: {https: 'p:3128'}": `proxy.https is "p:3128": it must be http://host:port or https://host:port.`,
		"proxy: {noProxy: example.com}": `proxy.noProxy is set without a proxy. Set proxy.https or proxy.secret.name, ` +
			`or leave proxy.noProxy empty.`,
		"networkPolicy: {entraCIDRs: [login.microsoftonline.com]}": `networkPolicy.entraCIDRs holds "login.microsoftonline.com", which is no CIDR: ` +
			`a NetworkPolicy knows addresses, not host names. Write 192.0.2.0/24, or 192.0.2.7/32 for one address.`,
		"networkPolicy: {apiServerCIDRs: [192.0.2.7]}": `networkPolicy.apiServerCIDRs holds "192.0.2.7", which is no CIDR: ` +
			`a NetworkPolicy knows addresses, not host names. Write 192.0.2.0/24, or 192.0.2.7/32 for one address.`,
		"networkPolicy: {proxyCIDRs: [192.0.2.7/32]}": `networkPolicy.proxyCIDRs is set without a proxy. Set proxy.https or proxy.secret.name, ` +
			`or use networkPolicy.entraCIDRs.`,
		"{proxy: {https: 'http://p:3128'}, networkPolicy: {entraCIDRs: [192.0.2.7/32]}}": `networkPolicy.entraCIDRs is set beside a proxy, ` +
			`which is what the operator would reach in their place. Use networkPolicy.proxyCIDRs, or say in proxy.noProxy what is reached directly.`,
		"{proxy: {https: 'http://p:3128', noProxy: .vault.azure.net}, networkPolicy: {apiServerCIDRs: [192.0.2.7/32], proxyCIDRs: [192.0.2.8/32]}}": `networkPolicy.proxyCIDRs is set ` +
			`beside proxy.noProxy: what is reached directly would keep port 443 open to any address. Set networkPolicy.entraCIDRs to the addresses of the hosts in ` +
			`proxy.noProxy, or leave proxy.noProxy empty.`,
		"networkPolicy: {entraCIDRs: [192.0.2.0/24]}": `networkPolicy.entraCIDRs is set without networkPolicy.apiServerCIDRs, and closes nothing: ` +
			`for the API server ports 443 and 6443 stay open to any address. Set both, or neither.`,
		"{proxy: {https: 'http://p:3128'}, networkPolicy: {proxyCIDRs: [192.0.2.8/32]}}": `networkPolicy.proxyCIDRs is set without networkPolicy.apiServerCIDRs, ` +
			`and closes nothing: for the API server ports 443 and 6443 stay open to any address. Set both, or neither.`,
		"log: {level: loud}": `log.level is "loud": the operator would not start. Write debug, info, error, panic, or a number from 1 to 99.`,
		"log: {level: 0}":    `log.level is "0": the operator would not start. Write debug, info, error, panic, or a number from 1 to 99.`,
		"minTokenLifetime: 0s": `minTokenLifetime is "0s": it must be above zero, and at most 25h, which no token exceeds. ` +
			`Correct it, or leave it empty for 5m.`,
		"minTokenLifetime: 25h1s": `minTokenLifetime is "25h1s": it must be above zero, and at most 25h, which no token exceeds. ` +
			`Correct it, or leave it empty for 5m.`,
		"minTokenLifetime: 99999999999h": `minTokenLifetime is "99999999999h": it must be above zero, and at most 25h, which no token exceeds. ` +
			`Correct it, or leave it empty for 5m.`,
		"authorityURL: https://a b": `authorityURL is "https://a b": credentials are sent there, so it must be https://host[:port], ` +
			`without a path. Correct it, or leave it empty.`,
		"authorityURL: https://login.example:abc": `authorityURL is "https://login.example:abc": credentials are sent there, so it must be https://host[:port], ` +
			`without a path. Correct it, or leave it empty.`,
		"vaultURL: https://vault.example:65536": `vaultURL is "https://vault.example:65536": credentials are sent there, so it must be https://host[:port], ` +
			`without a path. Correct it, or leave it empty.`,
		"proxy: {https: 'http://p:abc'}": `proxy.https is "http://p:abc": it must be http://host:port or https://host:port.`,
		"networkPolicy: {apiServerCIDRs: [999.1.1.1/99]}": `networkPolicy.apiServerCIDRs holds "999.1.1.1/99", which is no CIDR: ` +
			`a NetworkPolicy knows addresses, not host names. Write 192.0.2.0/24, or 192.0.2.7/32 for one address.`,
		"networkPolicy: {apiServerCIDRs: [192.0.2.7/33]}":          `networkPolicy.apiServerCIDRs holds "192.0.2.7/33", which is no CIDR: `,
		"networkPolicy: {apiServerCIDRs: ['2001:db8::/129']}":      `networkPolicy.apiServerCIDRs holds "2001:db8::/129", which is no CIDR: `,
		"networkPolicy: {apiServerCIDRs: ['2001:db8:1/64']}":       `networkPolicy.apiServerCIDRs holds "2001:db8:1/64", which is no CIDR: `,
		"networkPolicy: {apiServerCIDRs: ['2001::db8::/64']}":      `networkPolicy.apiServerCIDRs holds "2001::db8::/64", which is no CIDR: `,
		"networkPolicy: {apiServerCIDRs: ['1:2:3:4::5:6:7:8/64']}": `networkPolicy.apiServerCIDRs holds "1:2:3:4::5:6:7:8/64", which is no CIDR: `,
		"podLabels: {app.kubernetes.io/name: x}":                   `podLabels holds "app.kubernetes.io/name", which the chart sets itself. Leave it out.`,
		"{workloadIdentity: {use: true}, podLabels: {azure.workload.identity/use: 'true'}}": `podLabels holds "azure.workload.identity/use", ` +
			`which the chart sets itself. Leave it out.`,
		"podAnnotations: {kubectl.kubernetes.io/default-container: x}": `podAnnotations holds "kubectl.kubernetes.io/default-container", ` +
			`which the chart sets itself. Leave it out.`,
		"metrics: {serviceMonitor: {labels: {helm.sh/chart: x}}}": `metrics.serviceMonitor.labels holds "helm.sh/chart", which the chart sets itself. Leave it out.`,
		"proxy: null":                         `- at '': missing property 'proxy'`,
		"proxy: {secret: null}":               `- at '/proxy': missing property 'secret'`,
		"concurrency: 1000000":                `- at '/concurrency': maximum: got 1×10⁰⁶, want 10,000`,
		"purge: {timeoutSeconds: 1000000}":    `- at '/purge/timeoutSeconds': maximum: got 1×10⁰⁶, want 86,400`,
		"namespaces: [Foo_Bar]":               `- at '/namespaces/0': 'Foo_Bar' does not match pattern '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'`,
		"resources: {limits: {memory: lots}}": `- at '/resources/limits/memory': 'lots' does not match pattern`,
		"image: {repository: Foo Bar}":        `- at '/image/repository': 'Foo Bar' does not match pattern`,
		"image: {tag: a b}":                   `- at '/image/tag': 'a b' does not match pattern`,
		"caBundle: {key: ../../x}":            `- at '/caBundle/key': '../../x' does not match pattern`,
		"caBundle: {key: ..}":                 `- at '/caBundle/key': '..' does not match pattern`,

		"replicaCount: 2":                 `- at '': additional properties 'replicaCount' not allowed`,
		"image: {name: x}":                `- at '/image': additional properties 'name' not allowed`,
		"networkPolicy: {allow: []}":      `- at '/networkPolicy': additional properties 'allow' not allowed`,
		"resources: {claims: []}":         `- at '/resources': additional properties 'claims' not allowed`,
		"imagePullSecrets: [{called: x}]": `- at '/imagePullSecrets/0': additional properties 'called' not allowed`,
		"profile: paranoid":               `- at '/profile': value must be one of 'standard', 'hardened'`,
		"replicas: two":                   `- at '/replicas': got string, want integer`,
		"replicas: 1.5":                   `- at '/replicas': got number, want integer`,
		"tokenRequestsPerSecond: 0":       `tokenRequestsPerSecond is 0: no token could be requested. Set it above 0.`,
		"concurrency: 0":                  `concurrency is 0: nobody would work on any DefenderTenant. Set it to 1 or more.`,
		"image: {pullPolicy: Sometimes}":  `- at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'`,
		"metrics: {readers: [{name: p}]}": `- at '/metrics/readers/0': missing property 'namespace'`,
	} {
		out, err := template(t, values)
		if err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%s: %v\n%s\nwant: %s", values, err, out, sentence)
		}
	}
}

const deployment = "Deployment defender-system/defender-tenant-operator"

// TestAccepts looks for what each value changes.
func TestAccepts(t *testing.T) {
	const (
		pod       = "spec.template.spec"
		container = pod + ".containers.0"
		network   = "NetworkPolicy defender-system/defender-tenant-operator"
	)
	for values, rows := range map[string][]struct {
		object, path, want string
	}{
		"replicas: 1": {{deployment, "spec.replicas", "1"}},
		"image: {repository: here.example/x, tag: v2}": {{deployment, container + ".image", `"here.example/x:v2"`}},
		"image: {digest: sha256:" + strings.Repeat("0a", 32) + "}": {
			{deployment, container + ".image", `"ghcr.io/defender-tenant/operator@sha256:` + strings.Repeat("0a", 32) + `"`},
		},
		"authorityURL: https://localhost:8443/": {
			{deployment, container + ".args.4", `"--authority-url=https://localhost:8443/"`},
			{network, "spec.egress.2.ports", `[{"port":443,"protocol":"TCP"},{"port":8443,"protocol":"TCP"}]`},
		},
		"vaultURL: 'https://[2001:db8::1]:8443'": {{network, "spec.egress.2.ports", `[{"port":443,"protocol":"TCP"},{"port":8443,"protocol":"TCP"}]`}},
		"vaultURL: 'https://[2001:db8::1]'":      {{network, "spec.egress.2.ports", `[{"port":443,"protocol":"TCP"}]`}},
		"proxy: {https: http://proxy.example}":   {{network, "spec.egress.2.ports", `[{"port":80,"protocol":"TCP"}]`}, {network, "spec.egress.3", ""}},
		"{concurrency: 10000, minTokenLifetime: 25h, log: {level: 6}}": {
			{deployment, container + ".args.3", `"--concurrency=10000"`},
			{deployment, container + ".args.4", `"--min-token-lifetime=25h"`},
			{deployment, container + ".args.5", `"--zap-log-level=6"`},
		},
		"purge: {timeoutSeconds: 86400}":               {{"Job defender-system/defender-tenant-operator-purge", "spec.activeDeadlineSeconds", "86400"}},
		"resources: {limits: {memory: 1.5Gi, cpu: 2}}": {{deployment, container + ".resources.limits", `{"cpu":2,"memory":"1.5Gi"}`}},
		"image: {repository: 'here.example:5000/team/defender_operator'}": {
			{deployment, container + ".image", `"here.example:5000/team/defender_operator:0.1.0"`},
		},
		"{namespaces: [soc, noc], minTokenLifetime: 1m30s, log: {level: debug, encoder: console}}": {
			{deployment, container + ".args", `["--leader-elect","--metrics-bind-address=:8443","--token-requests-per-second=50","--concurrency=64",` +
				`"--namespaces=soc,noc","--min-token-lifetime=1m30s","--zap-log-level=debug","--zap-encoder=console"]`},
		},
		"tokenRequestsPerSecond: 0.5": {{deployment, container + ".args.2", `"--token-requests-per-second=0.5"`}},
		"profile: hardened":           {{deployment, container + ".args.4", `"--secret-access=Namespace"`}},
		"caBundle: {configMap: roots, key: ca.pem}": {
			{deployment, container + ".args.4", `"--ca-bundle=/etc/defender/ca/ca.pem"`},
			{deployment, container + ".volumeMounts.1", `{"mountPath":"/etc/defender/ca","name":"ca-bundle","readOnly":true}`},
			{deployment, pod + ".volumes.1", `{"configMap":{"name":"roots"},"name":"ca-bundle"}`},
		},
		"caBundle: {secret: roots}": {{deployment, pod + ".volumes.1", `{"name":"ca-bundle","secret":{"secretName":"roots"}}`}},
		"{proxy: {https: 'http://proxy.example:3128', noProxy: .example.com}, networkPolicy: {proxyCIDRs: [192.0.2.1/32], apiServerCIDRs: [2001:db8::/64], entraCIDRs: [192.0.2.16/28]}}": {
			{deployment, container + ".env.1", `{"name":"HTTPS_PROXY","value":"http://proxy.example:3128"}`},
			{deployment, container + ".env.2", `{"name":"NO_PROXY","value":"$(KUBERNETES_SERVICE_HOST),kubernetes.default.svc,.example.com"}`},
			{network, "spec.egress.1.to", `[{"ipBlock":{"cidr":"2001:db8::/64"}}]`},
			{network, "spec.egress.2", `{"ports":[{"port":3128,"protocol":"TCP"}],"to":[{"ipBlock":{"cidr":"192.0.2.1/32"}}]}`},
			{network, "spec.egress.3", `{"ports":[{"port":443,"protocol":"TCP"}],"to":[{"ipBlock":{"cidr":"192.0.2.16/28"}}]}`},
		},
		"{proxy: {secret: {name: proxy}}, networkPolicy: {proxyPort: 8080}}": {
			{deployment, container + ".env.1", `{"name":"HTTPS_PROXY","valueFrom":{"secretKeyRef":{"key":"HTTPS_PROXY","name":"proxy"}}}`},
			{network, "spec.egress.2", `{"ports":[{"port":8080,"protocol":"TCP"}]}`},
		},
		"networkPolicy: {apiServerCIDRs: ['1:2:3:4:5:6:7:8/128', '::/0'], entraCIDRs: [192.0.2.0/24], metricsFrom: [{namespaceSelector: {}}], dnsTo: [{podSelector: {}}]}": {
			{network, "spec.ingress.0.from", `[{"namespaceSelector":{}}]`},
			{network, "spec.egress.0.to", `[{"podSelector":{}}]`},
			{network, "spec.egress.2.to", `[{"ipBlock":{"cidr":"192.0.2.0/24"}}]`},
		},
		"networkPolicy: {enabled: false}": {{network, "kind", ""}},
		"workloadIdentity: {use: true, clientID: id, tenantID: home}": {
			{deployment, "spec.template.metadata.labels", `{"app.kubernetes.io/component":"manager","app.kubernetes.io/name":"defender-tenant-operator","azure.workload.identity/use":"true"}`},
			{"ServiceAccount defender-system/defender-tenant-operator", "metadata.annotations", `{"azure.workload.identity/client-id":"id","azure.workload.identity/tenant-id":"home"}`},
		},
		"priorityClassName: system-cluster-critical": {
			{deployment, pod + ".priorityClassName", `"system-cluster-critical"`},
			{"PriorityClass defender-tenant-operator", "kind", ""},
		},
		"{nodeSelector: {a: b}, tolerations: [{operator: Exists}], affinity: {nodeAffinity: {}}, imagePullSecrets: [{name: pull}]}": {
			{deployment, pod + ".nodeSelector", `{"a":"b"}`},
			{deployment, pod + ".tolerations", `[{"operator":"Exists"}]`},
			{deployment, pod + ".affinity", `{"nodeAffinity":{}}`},
			{deployment, pod + ".imagePullSecrets", `[{"name":"pull"}]`},
			{"Job defender-system/defender-tenant-operator-purge", pod + ".imagePullSecrets", `[{"name":"pull"}]`},
		},
		"{podLabels: {a: b}, podAnnotations: {c: d}}": {
			{deployment, "spec.template.metadata.labels.a", `"b"`},
			{deployment, "spec.template.metadata.annotations.c", `"d"`},
		},
		"metrics: {readers: [{namespace: monitoring, name: prometheus}], serviceMonitor: {enabled: true, labels: {release: p}}}": {
			{"ClusterRoleBinding defender-tenant-operator-metrics-reader", "subjects", `[{"kind":"ServiceAccount","name":"prometheus","namespace":"monitoring"}]`},
			{"ServiceMonitor defender-system/defender-tenant-operator", "metadata.labels.release", `"p"`},
		},
		"{crds: {install: false}, purge: {onUninstall: false}, podDisruptionBudget: {enabled: false}}": {
			{"CustomResourceDefinition defendertenants.defender.tenant-operator.dev", "kind", ""},
			{"Job defender-system/defender-tenant-operator-purge", "kind", ""},
			{"PodDisruptionBudget defender-system/defender-tenant-operator", "kind", ""},
		},
	} {
		objects := render(t, values)
		for _, row := range rows {
			if got := at(t, objects[row.object], row.path); got != row.want {
				t.Errorf("%s: %s of %s is %s, want %s", values, row.path, row.object, got, row.want)
			}
		}
	}
}

// at gives a field as JSON, empty if it is absent.
func at(t *testing.T, object any, path string) string {
	t.Helper()
	for step := range strings.SplitSeq(path, ".") {
		switch in := object.(type) {
		case map[string]any:
			object = in[step]
		case []any:
			i := slices.Index([]string{"0", "1", "2", "3", "4", "5", "6", "7"}, step)
			if i < 0 || i >= len(in) {
				return ""
			}
			object = in[i]
		default:
			return ""
		}
	}
	if object == nil {
		return ""
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNamespaceOfTheRelease: manifests shared with kustomize name defender-system, which must not stay anywhere.
func TestNamespaceOfTheRelease(t *testing.T) {
	text, err := helm(t, "template", release, chart, "--namespace", "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "defender-system") {
			t.Errorf("in namespace elsewhere: %s", line)
		}
	}
}

// TestHardenedBindsNoSecrets: what may write Secrets everywhere is bound in the standard profile only.
func TestHardenedBindsNoSecrets(t *testing.T) {
	for name, object := range render(t, "profile: hardened") {
		role, _, err := unstructured.NestedString(object, "roleRef", "name")
		if err != nil {
			t.Fatal(err)
		}
		if object["kind"] == "ClusterRoleBinding" && role == "defender-tenant-operator-secrets" {
			t.Errorf("%s binds it to the whole cluster", name)
		}
	}
}

// TestSchemaAndValuesKnowTheSame: a value that only one of them has is forgotten in the other.
func TestSchemaAndValuesKnowTheSame(t *testing.T) {
	var values, schema map[string]any
	for name, into := range map[string]*map[string]any{"values.yaml": &values, "values.schema.json": &schema} {
		text, err := os.ReadFile(filepath.Join(chart, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	compareKeys(t, "", values, schema)
}

func compareKeys(t *testing.T, path string, values, schema map[string]any) {
	t.Helper()
	properties, closed := schema["properties"].(map[string]any)
	if !closed {
		return // names that the user chooses
	}
	if open, given := schema["additionalProperties"].(bool); open || !given {
		t.Errorf("%s takes unknown keys", path)
	}
	delete(properties, "global") // Helm's own
	if got, want := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(values)); !slices.Equal(got, want) {
		t.Errorf("%s: the schema has %v, values.yaml has %v", path, got, want)
	}
	for key, property := range properties {
		if inner, isMap := values[key].(map[string]any); isMap {
			compareKeys(t, path+"."+key, inner, property.(map[string]any))
		}
	}
}
