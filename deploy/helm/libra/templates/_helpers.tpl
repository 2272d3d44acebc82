{{- define "libra.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Pods are called NAME-1, NAME-2; a label of DNS has 63 characters at most, and hashes need 11. */}}
{{- define "libra.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "libra.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "libra.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "libra.peersService" -}}
{{- include "libra.fullname" . }}-peers
{{- end -}}

{{/* What follows a pod's name in its DNS name. */}}
{{- define "libra.domain" -}}
{{- printf "%s.%s.svc.%s" (include "libra.peersService" .) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "libra.selector" -}}
app.kubernetes.io/name: {{ include "libra.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "libra.labels" -}}
{{ include "libra.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "libra.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote -}}
{{- end -}}

{{- define "libra.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "libra.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* application.yml: the values' `config`, and over it what is the chart's. */}}
{{- define "libra.config" -}}
{{- $root := . -}}
{{- $config := deepCopy .Values.config -}}
{{- $cluster := dict "name" .Values.clusterName -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- $peers := dict -}}
{{- range $id := untilStep 1 (int (add1 (int .Values.replicas))) 1 -}}
{{- $_ := set $peers (toString $id) (printf "%s-%d.%s:9090" (include "libra.fullname" $root) $id (include "libra.domain" $root)) -}}
{{- end -}}
{{- $_ := set $cluster "peers" $peers -}}
{{- end -}}
{{- $spark := dict -}}
{{- if .Values.spark.remote -}}
{{- $_ := set $spark "remote" .Values.spark.remote -}}
{{- end -}}
{{- if .Values.allocations -}}
{{- $_ := set $spark "config" (dict "spark.scheduler.allocation.file" "/etc/libra/fairscheduler.xml") -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (dict "libra" (dict "cluster" $cluster)) (dict "spark" $spark)) -}}
{{- end -}}
