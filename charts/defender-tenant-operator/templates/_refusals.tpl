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
{{- if and $url (not (regexMatch "^https://[^/?#@]+/?$" $url)) }}
{{- fail (printf "%s is %q: credentials are sent there, so it must be https://host[:port], without a path. Correct it, or leave it empty." $name $url) }}
{{- end }}
{{- end }}
{{- with $v.image.digest }}
{{- if not (regexMatch "^sha256:[0-9a-f]{64}$" .) }}
{{- fail (printf "image.digest is %q, which is no digest. Write sha256: and 64 hexadecimal digits, or leave it empty and set image.tag." .) }}
{{- end }}
{{- end }}
{{- with $v.minTokenLifetime }}
{{- if not (regexMatch "^([0-9]+(h|m|s))+$" .) }}
{{- fail (printf "minTokenLifetime is %q, which is no duration. Write it as 5m or 90s, or leave it empty for 5m." .) }}
{{- end }}
{{- end }}
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
{{- if and .proxy.https (not (regexMatch "^https?://[^/?#]+$" .proxy.https)) }}
{{- fail (printf "proxy.https is %q: it must be http://host:port or https://host:port." .proxy.https) }}
{{- end }}
{{- if and .proxy.noProxy (not .proxy.https) (not .proxy.secret.name) }}
{{- fail "proxy.noProxy is set without a proxy. Set proxy.https or proxy.secret.name, or leave proxy.noProxy empty." }}
{{- end }}
{{- end }}

{{- define "defender-tenant-operator.refusals.network" -}}
{{- range $name := list "apiServerCIDRs" "entraCIDRs" "proxyCIDRs" }}
{{- range get $.networkPolicy $name }}
{{- if not (regexMatch "^[0-9a-fA-F.:]+/[0-9]+$" .) }}
{{- fail (printf "networkPolicy.%s holds %q, which is no CIDR: a NetworkPolicy knows addresses, not host names. Write 192.0.2.0/24, or 192.0.2.7/32 for one address." $name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- $proxied := or .proxy.https .proxy.secret.name }}
{{- if and .networkPolicy.proxyCIDRs (not $proxied) }}
{{- fail "networkPolicy.proxyCIDRs is set without a proxy. Set proxy.https or proxy.secret.name, or use networkPolicy.entraCIDRs." }}
{{- end }}
{{- if and .networkPolicy.entraCIDRs $proxied }}
{{- fail "networkPolicy.entraCIDRs is set beside a proxy, which is what the operator would reach in their place. Use networkPolicy.proxyCIDRs." }}
{{- end }}
{{- end }}
