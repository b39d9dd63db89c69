{{- define "gpu-operator.labels" -}}
app.kubernetes.io/name: gpu-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "gpu-operator.image" -}}
{{- $i := index . 0 -}}{{- $fallback := index . 1 -}}
{{ $i.repository }}/{{ $i.image }}:{{ $i.version | default $fallback }}
{{- end }}

{{/* The fields of one component that the controller reads, in the ClusterPolicy's own spelling. */}}
{{- define "gpu-operator.component" -}}
{{- $c := index . 0 -}}{{- $fallback := index . 1 -}}
{{- if hasKey $c "enabled" }}
enabled: {{ $c.enabled }}
{{- end }}
repository: {{ $c.repository }}
image: {{ $c.image }}
version: {{ $c.version | default $fallback | quote }}
{{- with $c.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with $c.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $c.args }}
args: {{ toJson . }}
{{- end }}
{{- with $c.env }}
env: {{ toJson . }}
{{- end }}
{{- with $c.resources }}
resources: {{ toJson . }}
{{- end }}
{{- if $c.hostNetwork }}
hostNetwork: true
{{- end }}
{{- end }}

{{- define "gpu-operator.nfd.name" -}}
{{ .Release.Name }}-node-feature-discovery
{{- end }}

{{- define "gpu-operator.nfd.image" -}}
registry.k8s.io/nfd/node-feature-discovery:v0.19.0
{{- end }}

{{/* Where the operator's pod runs; the vendor's hooks run there as well. */}}
{{- define "gpu-operator.place" -}}
serviceAccountName: gpu-operator
{{- with .Values.operator.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.operator.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.operator.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{/* What the containers of node-feature-discovery have in common. Its image names a user; ours does not. */}}
{{- define "gpu-operator.nfd.container" -}}
image: {{ include "gpu-operator.nfd.image" . }}
imagePullPolicy: IfNotPresent
env:
  - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
ports:
  - {name: http, containerPort: 8080}
readinessProbe: {httpGet: {path: /healthz, port: http}, failureThreshold: 10}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 65534
{{- end }}
