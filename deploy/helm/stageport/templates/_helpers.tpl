{{- define "stageport.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "stageport.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "stageport.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "stageport.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "stageport.selectorLabels" -}}
app.kubernetes.io/name: {{ include "stageport.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stageport.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "stageport.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- range $key, $value := .Values.extraLabels }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Deployment or CronJob. Who wants live events wants it always on. */}}
{{- define "stageport.kind" -}}
{{- if .Values.liveEvents.worker.enabled }}Deployment{{ else }}{{ .Values.workload.kind }}{{ end }}
{{- end }}

{{- define "stageport.image" -}}
{{- $image := .Values.image | default (printf "stageport:%s" .Chart.AppVersion) }}
{{- if .Values.imageRegistry }}{{ trimSuffix "/" .Values.imageRegistry }}/{{ end }}{{ $image }}
{{- end }}

{{/* Whether the chart makes the secret itself. */}}
{{- define "stageport.makesSecret" -}}
{{- if and .Values.secret.create (not .Values.existingSecret) }}true{{ end }}
{{- end }}

{{- define "stageport.secretName" -}}
{{- if kindIs "string" .Values.secret.name }}{{ .Values.secret.name | default (printf "%s-secret" (include "stageport.fullname" .)) }}
{{- else }}{{ include "stageport.fullname" . }}-secret{{ end }}
{{- end }}

{{/* The names of all secrets that become environment, one a line. */}}
{{- define "stageport.secretNames" -}}
{{- if .Values.existingSecret }}
{{- .Values.existingSecret }}
{{- else if kindIs "slice" .Values.secret.name }}
{{- if .Values.secret.create }}{{ include "stageport.secretName" . }}{{ "\n" }}{{ end }}
{{- join "\n" .Values.secret.name }}
{{- else if or .Values.secret.create .Values.secret.name }}
{{- include "stageport.secretName" . }}
{{- else }}
{{- fail "Port's credentials are missing: set port.clientId and port.clientSecret, or existingSecret to the name of a secret that holds OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET." }}
{{- end }}
{{- end }}

{{- define "stageport.serviceAccountName" -}}
{{- if .Values.podServiceAccount.name }}{{ tpl .Values.podServiceAccount.name . }}
{{- else if .Values.podServiceAccount.create }}{{ include "stageport.fullname" . }}{{ end }}
{{- end }}

{{- define "stageport.certificateSecret" -}}
{{- if .Values.selfSignedCertificate.secret.useExistingSecret }}{{ required "selfSignedCertificate.secret.name is needed with useExistingSecret" .Values.selfSignedCertificate.secret.name }}
{{- else }}{{ include "stageport.fullname" . }}-cert{{ end }}
{{- end }}

{{- define "stageport.certificateKey" -}}
{{- if .Values.selfSignedCertificate.secret.useExistingSecret }}{{ .Values.selfSignedCertificate.secret.key }}{{ else }}crt{{ end }}
{{- end }}

{{/* UPPER_SNAKE of a key in camelCase; what is in that form already stays. */}}
{{- define "stageport.upper" -}}
{{- if regexMatch "^[A-Z0-9_]+$" . }}{{ . }}{{ else }}{{ . | snakecase | upper }}{{ end }}
{{- end }}

{{/* A value as text: maps and lists as JSON, numbers without an exponent. */}}
{{- define "stageport.text" -}}
{{- if or (kindIs "map" .) (kindIs "slice" .) }}{{ toJson . }}
{{- else if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else }}{{ . }}{{ end }}
{{- end }}

{{/* A CronJob's schedule: a cron expression as it is (Port's chart wants it in quotes, too), minutes turned into one. */}}
{{- define "stageport.schedule" -}}
{{- $given := include "stageport.text" .Values.scheduledResyncInterval | trimAll "'\"" | trim }}
{{- if not .Values.scheduledResyncInterval }}0 * * * *
{{- else if not (regexMatch "^[0-9]+$" $given) }}{{ $given }}
{{- else }}
{{- $minutes := int $given }}
{{- if and (lt $minutes 60) (eq (mod 60 $minutes) 0) }}*/{{ $minutes }} * * * *
{{- else if eq $minutes 60 }}0 * * * *
{{- else if and (eq (mod $minutes 60) 0) (eq (mod 1440 $minutes) 0) }}0 {{ if eq $minutes 1440 }}0{{ else }}*/{{ div $minutes 60 }}{{ end }} * * *
{{- else }}{{ fail (printf "scheduledResyncInterval: a CronJob cannot run every %d minutes. Take a number that divides an hour or a day evenly, or a cron expression." $minutes) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The pod of every workload. Takes (dict "context" . "once" bool "component" string). */}}
{{- define "stageport.pod" -}}
{{- $ := .context }}
{{- $values := $.Values }}
metadata:
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") $ | sha256sum }}
    {{- if include "stageport.makesSecret" $ }}
    checksum/secret: {{ include (print $.Template.BasePath "/secret.yaml") $ | sha256sum }}
    {{- end }}
    {{- $more := .annotations | default dict }}
    {{- with merge (dict) ($values.podAnnotations | default dict) $more }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "stageport.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- with include "stageport.serviceAccountName" $ }}
  serviceAccountName: {{ . }}
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- if .once }}
  restartPolicy: Never
  {{- end }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.extraInitContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    - name: stageport
      image: {{ include "stageport.image" $ | quote }}
      imagePullPolicy: {{ $values.imagePullPolicy }}
      {{- with .command }}
      command: {{ toJson . }}
      {{- end }}
      {{- with $values.containerSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      envFrom:
        - configMapRef:
            name: {{ include "stageport.fullname" $ }}-config
        {{- range splitList "\n" (include "stageport.secretNames" $ | trim) }}
        - secretRef:
            name: {{ . }}
        {{- end }}
      env:
        {{- if .once }}
        - name: OCEAN__EVENT_LISTENER
          value: '{"type":"ONCE"}'
        {{- end }}
        - name: STAGEPORT_LEDGER
          value: {{ printf "%s/ledger.sqlite3" (trimSuffix "/" $values.ledger.path) | quote }}
        {{- with $values.extraEnv }}
        {{- tpl (toYaml .) $ | nindent 8 }}
        {{- end }}
      {{- if not .once }}
      ports:
        - name: http
          containerPort: {{ $values.service.port }}
          protocol: TCP
      {{- with $values.livenessProbe }}
      {{- if .enabled }}
      livenessProbe:
        httpGet:
          path: /health/live
          port: http
        {{- with omit . "enabled" }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- end }}
      {{- with $values.readinessProbe }}
      {{- if .enabled }}
      readinessProbe:
        httpGet:
          path: /health/ready
          port: http
        {{- with omit . "enabled" }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- end }}
      {{- end }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp/ocean
        - name: ledger
          mountPath: {{ $values.ledger.path }}
        {{- if $values.selfSignedCertificate.enabled }}
        - name: certificates
          mountPath: /usr/local/share/ca-certificates/cert.crt
          subPath: cert.crt
          readOnly: true
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- tpl (toYaml .) $ | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    - name: ledger
      {{- if and $values.ledger.persistence.enabled (not .scratch) }}
      persistentVolumeClaim:
        claimName: {{ $values.ledger.persistence.existingClaim | default (printf "%s-ledger" (include "stageport.fullname" $)) }}
      {{- else }}
      emptyDir:
        sizeLimit: {{ $values.ledger.sizeLimit }}
      {{- end }}
    {{- if $values.selfSignedCertificate.enabled }}
    - name: certificates
      secret:
        secretName: {{ include "stageport.certificateSecret" $ }}
        items:
          - key: {{ include "stageport.certificateKey" $ }}
            path: cert.crt
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with $values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
