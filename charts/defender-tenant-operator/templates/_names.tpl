{{- define "defender-tenant-operator.labels" -}}
app.kubernetes.io/name: defender-tenant-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* What selects the operator's Pods. Never changes: a Deployment's selector cannot. */}}
{{- define "defender-tenant-operator.selector" -}}
app.kubernetes.io/name: defender-tenant-operator
app.kubernetes.io/component: manager
{{- end }}

{{- define "defender-tenant-operator.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "defender-tenant-operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "defender-tenant-operator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
  - ALL
{{- end }}

{{/*
Renders the manifests of a folder below files/, which `make generate` copies from config/, in the namespace of the
release and with the labels of the chart. Takes a dict: root, glob, and optionally without, the name of a role whose
ClusterRoleBinding is left out, and annotations.
*/}}
{{- define "defender-tenant-operator.manifests" -}}
{{- $labels := include "defender-tenant-operator.labels" .root | fromYaml }}
{{- $metadata := dict "labels" $labels }}
{{- with .annotations }}{{ $_ := set $metadata "annotations" . }}{{ end }}
{{- range $path, $_ := .root.Files.Glob .glob }}
{{- $text := $.root.Files.Get $path | replace "defender-system" $.root.Release.Namespace }}
{{- range regexSplit "(?m)^---$" $text -1 }}
{{- $object := fromYaml . }}
{{- $left := and (eq (toString $object.kind) "ClusterRoleBinding") $.without (eq (dig "roleRef" "name" "" $object) (toString $.without)) }}
{{- if and $object.kind (not $left) }}
---
{{ merge $object (dict "metadata" (deepCopy $metadata)) | toYaml }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
