{{/* Names, labels and small decisions. Nothing here is a text that users write. */}}

{{/* At most 52 characters: a CronJob adds 11 to the names of its jobs, and the kind should not change the names. */}}
{{- define "retaind.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Selectors cannot change later: these two and no more. */}}
{{- define "retaind.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of an object; no key is written twice. Those of the chart itself win: selectors lean on them. Arguments: context, labels. */}}
{{- define "retaind.labels" -}}
{{- $context := .context -}}
{{- toYaml (merge (include "retaind.ownLabels" $context | fromYaml) (.labels | default dict) $context.Values.commonLabels) -}}
{{- end -}}

{{- define "retaind.ownLabels" -}}
{{ include "retaind.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/component: retention
app.kubernetes.io/part-of: retaind
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* metadata of an object. Arguments: context, name (after the release's), labels, annotations, namespace. */}}
{{- define "retaind.metadata" -}}
{{- $context := .context -}}
name: {{ include "retaind.fullname" $context }}{{ with .name }}-{{ . }}{{ end }}
namespace: {{ .namespace | default $context.Release.Namespace }}
labels:
  {{- include "retaind.labels" . | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) $context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "retaind.serviceAccountName" -}}
{{- $made := ternary (include "retaind.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- define "retaind.policiesName" -}}
{{- default (printf "%s-policies" (include "retaind.fullname" .)) .Values.policies.existingConfigMap -}}
{{- end -}}

{{- define "retaind.claimName" -}}
{{- default (printf "%s-state" (include "retaind.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{- define "retaind.image" -}}
{{- $image := .Values.image -}}
{{- $name := $image.repository -}}
{{- with .Values.global.imageRegistry | default $image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Whether an object of the Prometheus operator is written: "true" or nothing. */}}
{{- define "retaind.hasMonitoring" -}}
{{- $mode := .Values.metrics.renderMode -}}
{{- $known := .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}
{{- if or $known (eq $mode "alwaysRender") -}}
true
{{- else if eq $mode "failIfMissing" -}}
{{- fail "the cluster does not know monitoring.coreos.com/v1: install the Prometheus operator first, or set metrics.renderMode" -}}
{{- end -}}
{{- end -}}

{{/* retaind.yaml. Everything but `state` and `server` is taken up without a restart. */}}
{{- define "retaind.settings" -}}
version: 1
registries:
  {{- toYaml .Values.registries | nindent 2 }}
policies: /etc/retaind-policies
{{ include "retaind.settingsForStart" . }}
# With `mode: dry-run` nothing is deleted, whatever the policies say.
paused: {{ eq .Values.mode "dry-run" }}
{{- end -}}

{{- define "retaind.settingsForStart" -}}
{{- $address := .Values.service.listen -}}
{{- if contains ":" $address }}{{ $address = printf "[%s]" $address }}{{ end -}}
server: { listen: "{{ $address }}:{{ int .Values.service.port }}"{{ if gt (int .Values.metrics.repositories) 0 }}, repository_metrics: {{ int .Values.metrics.repositories }}{{ end }} }
{{- if .Values.persistence.enabled }}
state: { dir: /var/lib/retaind{{ with .Values.state.history }}, history: {{ . | quote }}{{ end }} }
{{- else if .Values.state.volatile }}
state: { volatile: true }
{{- end }}
{{- end -}}
