{{/* What the schema cannot say, and what must hold where the schema is skipped (--skip-schema-validation). */}}
{{- define "retaind.checks" -}}
{{- $values := .Values -}}
{{- if not (has $values.mode (list "dry-run" "enforce")) -}}
{{- fail "mode must be chosen: `dry-run` (nothing is deleted, whatever the policies say) or `enforce` (each policy's own mode counts)" -}}
{{- end -}}
{{- if gt (int $values.replicas) 1 -}}
{{- fail "replicas must be 0 or 1: two daemons would run the same policies twice" -}}
{{- end -}}
{{- if not $values.registries -}}
{{- fail "registries is empty: write at least one, such as { name: contoso, endpoint: https://contoso.azurecr.io }" -}}
{{- end -}}
{{- if and (eq $values.mode "enforce") (not $values.persistence.enabled) (not $values.state.volatile) -}}
{{- fail "mode: enforce needs persistence.enabled: without it nothing would remember what was deleted; set state.volatile: true if that is meant" -}}
{{- end -}}
{{- $own := or $values.policies.files $values.policies.texts -}}
{{- if and $own $values.policies.existingConfigMap -}}
{{- fail "policies.existingConfigMap goes without policies.files and policies.texts: write your policies in one place" -}}
{{- end -}}
{{- if not (or $own $values.policies.existingConfigMap) -}}
{{- fail "there are no policies: set policies.files, policies.texts or policies.existingConfigMap" -}}
{{- end -}}
{{- range $name := keys $values.policies.texts | sortAlpha -}}
{{- if hasKey $values.policies.files $name -}}
{{- fail (printf "policies.files and policies.texts both have %s: give one of them another name" $name) -}}
{{- end -}}
{{- end -}}
{{- $metrics := $values.metrics -}}
{{- if and $metrics.serviceMonitor.enabled $metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor and metrics.podMonitor would scrape the same pod twice: choose one" -}}
{{- end -}}
{{- if and $metrics.serviceMonitor.enabled (not $values.service.enabled) -}}
{{- fail "metrics.serviceMonitor needs service.enabled; metrics.podMonitor does not" -}}
{{- end -}}
{{- if and (eq $values.kind "CronJob") (or $metrics.serviceMonitor.enabled $metrics.podMonitor.enabled) -}}
{{- fail "kind: CronJob cannot be scraped: its pods are gone before Prometheus comes; use kind: Deployment, or watch the jobs by kube-state-metrics" -}}
{{- end -}}
{{- if and (eq $values.kind "CronJob") (or $metrics.prometheusRule.enabled $metrics.dashboard.enabled) -}}
{{- fail "kind: CronJob has no metrics: its alerts would always fire, and its dashboard show nothing; watch the jobs by kube-state-metrics" -}}
{{- end -}}
{{- end -}}
