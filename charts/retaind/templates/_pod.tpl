{{/* The pod of the Deployment, the CronJob and the test. Arguments: context, args, serves (ports and probes), works (with its state and
the containers beside it; a container that stays would keep a test from ending). */}}
{{- define "retaind.podSpec" -}}
{{- $context := .context -}}
{{- $values := $context.Values -}}
serviceAccountName: {{ include "retaind.serviceAccountName" $context }}
# It asks the Kubernetes API for nothing. The webhook of workload identities mounts a token of its own.
automountServiceAccountToken: false
enableServiceLinks: false
{{- with concat $values.global.imagePullSecrets $values.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
terminationGracePeriodSeconds: {{ int $values.terminationGracePeriodSeconds }}
{{- range $key := list "priorityClassName" "runtimeClassName" "dnsPolicy" }}
{{- with get $values $key }}
{{ $key }}: {{ . }}
{{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "dnsConfig" "hostAliases" }}
{{- with get $values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if and .works $values.initContainers }}
initContainers:
  {{- toYaml $values.initContainers | nindent 2 }}
{{- end }}
containers:
  - name: retaind
    image: {{ include "retaind.image" $context }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args:
      {{- toYaml .args | nindent 6 }}
    {{- $env := $values.extraEnv }}
    {{- with $values.log.filter }}
    {{- $env = prepend $env (dict "name" "RETAIND_LOG" "value" .) }}
    {{- end }}
    {{- with $env }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if .serves }}
    ports:
      - name: http-metrics
        containerPort: {{ int $values.service.port }}
        protocol: TCP
    startupProbe:
      {{- include "retaind.probe" (dict "path" "/livez" "with" $values.startupProbe) | nindent 6 }}
    livenessProbe:
      {{- include "retaind.probe" (dict "path" "/livez" "with" $values.livenessProbe) | nindent 6 }}
    readinessProbe:
      {{- include "retaind.probe" (dict "path" "/readyz" "with" $values.readinessProbe) | nindent 6 }}
    {{- end }}
    {{- if and .works $values.lifecycle }}
    lifecycle:
      {{- toYaml $values.lifecycle | nindent 6 }}
    {{- end }}
    {{- with $values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- toYaml $values.securityContext | nindent 6 }}
    volumeMounts:
      # Whole folders, never a subPath: the kubelet does not renew those.
      - name: settings
        mountPath: /etc/retaind
        readOnly: true
      - name: policies
        mountPath: /etc/retaind-policies
        readOnly: true
      {{- if and .works $values.persistence.enabled }}
      - name: state
        mountPath: /var/lib/retaind
      {{- end }}
      {{- range $secret := $values.existingSecrets }}
      - name: {{ include "retaind.secretVolume" $secret }}
        mountPath: /run/secrets/retaind/{{ $secret }}
        readOnly: true
      {{- end }}
      {{- with $values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  {{- if and .works $values.extraContainers }}
  {{- toYaml $values.extraContainers | nindent 2 }}
  {{- end }}
volumes:
  - name: settings
    configMap:
      name: {{ include "retaind.fullname" $context }}-settings
  - name: policies
    configMap:
      name: {{ include "retaind.policiesName" $context }}
  {{- if and .works $values.persistence.enabled }}
  - name: state
    persistentVolumeClaim:
      claimName: {{ include "retaind.claimName" $context }}
  {{- end }}
  {{- range $secret := $values.existingSecrets }}
  - name: {{ include "retaind.secretVolume" $secret }}
    secret:
      secretName: {{ $secret }}
      defaultMode: 0440
  {{- end }}
  {{- with $values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "retaind.probe" -}}
httpGet:
  path: {{ .path }}
  port: http-metrics
{{ toYaml .with }}
{{- end -}}

{{/* Names of volumes are shorter than those of Secrets, and have no dots. */}}
{{- define "retaind.secretVolume" -}}
secret-{{ . | sha256sum | trunc 10 }}
{{- end -}}

{{/* Labels and annotations of the pod. */}}
{{- define "retaind.podMetadata" -}}
{{- $labels := .Values.podLabels -}}
{{- if .Values.azure.workloadIdentity.enabled -}}
{{- $labels = merge (dict "azure.workload.identity/use" "true") $labels -}}
{{- end -}}
labels:
  {{- include "retaind.labels" (dict "context" . "labels" $labels) | nindent 2 }}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" "retaind" -}}
{{/* Only what needs a restart. Policies and the rest of the settings are taken up while the daemon runs. */}}
{{- $_ := set $annotations "checksum/settings-for-start" (include "retaind.settingsForStart" . | sha256sum) }}
annotations:
  {{- toYaml (merge (dict) .Values.podAnnotations $annotations .Values.commonAnnotations) | nindent 2 }}
{{- end -}}
