{{/*
Refuses values that the schema lets pass, because its words would help nobody. Each sentence names the value and what
to do.
*/}}
{{- define "defender-tenant-operator.refusals" -}}
{{- $v := .Values }}
{{- if lt (int $v.replicas) 1 }}
{{- fail (printf "replicas is %d: nothing would renew the tokens, and all of them would end within the hour. Set it to 1 or more; 2 survive the loss of a node." (int $v.replicas)) }}
{{- end }}
{{- if le (float64 $v.tokenRequestsPerSecond) 0.0 }}
{{- fail (printf "tokenRequestsPerSecond is %v: no token could be requested. Set it above 0." $v.tokenRequestsPerSecond) }}
{{- end }}
{{- if lt (int $v.concurrency) 1 }}
{{- fail (printf "concurrency is %v: nobody would work on any DefenderTenant. Set it to 1 or more." $v.concurrency) }}
{{- end }}
{{- range $name := list "authorityURL" "vaultURL" }}
{{- $url := get $v $name }}
{{- if and $url (not (and (hasPrefix "https://" $url) (include "defender-tenant-operator.isHost" (trimSuffix "/" (trimPrefix "https://" $url))))) }}
{{- fail (printf "%s is %q: credentials are sent there, so it must be https://host[:port], without a path. Correct it, or leave it empty." $name $url) }}
{{- end }}
{{- end }}
{{- with $v.image.digest }}
{{- if not (regexMatch "^sha256:[0-9a-f]{64}$" .) }}
{{- fail (printf "image.digest is %q, which is no digest. Write sha256: and 64 hexadecimal digits, or leave it empty and set image.tag." .) }}
{{- end }}
{{- end }}
{{- if not (regexMatch "^(debug|info|error|panic|[1-9][0-9]?)$" (toString $v.log.level)) }}
{{- fail (printf "log.level is %q: the operator would not start. Write debug, info, error, panic, or a number from 1 to 99." (toString $v.log.level)) }}
{{- end }}
{{- with $v.minTokenLifetime }}
{{- if not (regexMatch "^([0-9]+(h|m|s))+$" .) }}
{{- fail (printf "minTokenLifetime is %q, which is no duration. Write it as 5m or 90s, or leave it empty for 5m." .) }}
{{- end }}
{{- $seconds := toDate "2006-01-02 -0700" "1970-01-01 +0000" | dateModify . | unixEpoch | int64 }}
{{- if or (le $seconds 0) (gt $seconds 90000) }}
{{- fail (printf "minTokenLifetime is %q: it must be above zero, and at most 25h, which no token exceeds. Correct it, or leave it empty for 5m." .) }}
{{- end }}
{{- end }}
{{- include "defender-tenant-operator.refusals.keys" $v }}
{{- include "defender-tenant-operator.refusals.sources" $v }}
{{- include "defender-tenant-operator.refusals.network" $v }}
{{- end }}

{{- define "defender-tenant-operator.refusals.sources" -}}
{{- if and .caBundle.configMap .caBundle.secret }}
{{- fail (printf "caBundle.configMap is %q and caBundle.secret is %q: there can be one source. Leave one of them empty." .caBundle.configMap .caBundle.secret) }}
{{- end }}
{{- if and .proxy.https .proxy.secret.name }}
{{- fail (printf "proxy.https is set, and proxy.secret.name is %q: there can be one address. Leave one of them empty." .proxy.secret.name) }}
{{- end }}
{{- if contains "@" .proxy.https }}
{{- fail "proxy.https holds a user name or a password, which everybody who may read the Deployment would see. Put the address in a Secret and name that in proxy.secret.name." }}
{{- end }}
{{- if and .proxy.https (not (and (regexMatch "^https?://" .proxy.https) (include "defender-tenant-operator.isHost" (regexReplaceAll "^https?://" .proxy.https "")))) }}
{{- fail (printf "proxy.https is %q: it must be http://host:port or https://host:port." .proxy.https) }}
{{- end }}
{{- if and .proxy.noProxy (not .proxy.https) (not .proxy.secret.name) }}
{{- fail "proxy.noProxy is set without a proxy. Set proxy.https or proxy.secret.name, or leave proxy.noProxy empty." }}
{{- end }}
{{- end }}

{{- define "defender-tenant-operator.refusals.network" -}}
{{- range $name := list "apiServerCIDRs" "entraCIDRs" "proxyCIDRs" }}
{{- range get $.networkPolicy $name }}
{{- if not (include "defender-tenant-operator.isCIDR" .) }}
{{- fail (printf "networkPolicy.%s holds %q, which is no CIDR: a NetworkPolicy knows addresses, not host names. Write 192.0.2.0/24, or 192.0.2.7/32 for one address." $name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- $proxied := or .proxy.https .proxy.secret.name }}
{{- if and .networkPolicy.proxyCIDRs (not $proxied) }}
{{- fail "networkPolicy.proxyCIDRs is set without a proxy. Set proxy.https or proxy.secret.name, or use networkPolicy.entraCIDRs." }}
{{- end }}
{{- if and .networkPolicy.entraCIDRs $proxied (not .proxy.noProxy) }}
{{- fail "networkPolicy.entraCIDRs is set beside a proxy, which is what the operator would reach in their place. Use networkPolicy.proxyCIDRs, or say in proxy.noProxy what is reached directly." }}
{{- end }}
{{- if and .networkPolicy.proxyCIDRs .proxy.noProxy (not .networkPolicy.entraCIDRs) }}
{{- fail "networkPolicy.proxyCIDRs is set beside proxy.noProxy: what is reached directly would keep port 443 open to any address. Set networkPolicy.entraCIDRs to the addresses of the hosts in proxy.noProxy, or leave proxy.noProxy empty." }}
{{- end }}
{{- range $name := list "entraCIDRs" "proxyCIDRs" }}
{{- if and (get $.networkPolicy $name) (not $.networkPolicy.apiServerCIDRs) }}
{{- fail (printf "networkPolicy.%s is set without networkPolicy.apiServerCIDRs, and closes nothing: for the API server ports 443 and 6443 stay open to any address. Set both, or neither." $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Keys that the chart sets itself would be there twice. */}}
{{- define "defender-tenant-operator.refusals.keys" -}}
{{- $pod := list "app.kubernetes.io/name" "app.kubernetes.io/component" }}
{{- if .workloadIdentity.use }}{{ $pod = append $pod "azure.workload.identity/use" }}{{ end }}
{{- $chart := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{- range $value := list
  (list "podLabels" .podLabels $pod)
  (list "podAnnotations" .podAnnotations (list "kubectl.kubernetes.io/default-container"))
  (list "metrics.serviceMonitor.labels" .metrics.serviceMonitor.labels $chart) }}
{{- range $key := last $value }}
{{- if hasKey (index $value 1) $key }}
{{- fail (printf "%s holds %q, which the chart sets itself. Leave it out." (first $value) $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Not empty for host[:port], with a name or an address. */}}
{{- define "defender-tenant-operator.isHost" -}}
{{- $port := regexFind ":[0-9]+$" . | trimPrefix ":" }}
{{- if and (regexMatch "^([0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?|\\[[0-9A-Fa-f:.]+\\])(:[1-9][0-9]{0,4})?$" .) (le (int64 $port) 65535) }}true{{ end }}
{{- end }}

{{- /* Not empty for a block of IPv4 or IPv6 addresses. */}}
{{- define "defender-tenant-operator.isCIDR" -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" }}
{{- $groups := "([0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4})*)?" }}
{{- $address := regexReplaceAll "/.*$" . "" }}
{{- $count := len (regexFindAll "[0-9a-fA-F]+" $address -1) }}
{{- if regexMatch (printf "^(%s[.]){3}%s/(3[0-2]|[12]?[0-9])$" $octet $octet) . }}true
{{- else if regexMatch (printf "^%s(::%s)?/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$" $groups $groups) . }}
{{- if contains "::" $address | ternary (le $count 7) (eq $count 8) }}true{{ end }}
{{- end }}
{{- end }}
