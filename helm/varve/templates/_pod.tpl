{{/*
The pod of any component, from the block of values that all of them share.
Context: root, component, values (the component's block), args (flags before extraArgs), dataVolume (the volume mounted
at /data as YAML, or empty when a claim template of that name makes it).
*/}}
{{- define "varve.pod" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $selector := fromYaml (include "varve.selectorLabels" .) -}}
metadata:
  labels:
    {{- toYaml (merge (deepCopy $selector) $values.podLabels) | nindent 4 }}
  annotations:
    {{- if not $root.Values.existingConfig.name }}
    checksum/config: {{ include "varve.config" $root | sha256sum }}
    {{- end }}
    {{- if and (include "varve.s3Secret" $root) (not $root.Values.storage.s3.existingSecret.name) }}
    checksum/s3: {{ printf "%s %s" $root.Values.storage.s3.accessKeyId $root.Values.storage.s3.secretAccessKey | sha256sum }}
    {{- end }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "varve.serviceAccountName" $root }}
  automountServiceAccountToken: {{ $root.Values.serviceAccount.automountServiceAccountToken }}
  # Variables of all services of the namespace are of no use, and VARVE_… ones would be taken for settings.
  enableServiceLinks: false
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml $values.podSecurityContext | nindent 4 }}
  {{- with $values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: varve
      image: {{ include "varve.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - --config=/etc/varve/config/config.yaml
        {{- range concat .args $values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        {{- with include "varve.heapMiB" (dict "root" $root "values" $values) }}
        - name: NODE_OPTIONS
          value: --max-old-space-size={{ . }}
        {{- end }}
        {{- if eq .component "compactor" }}
        - name: VARVE_INSTANCE_ID
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        {{- end }}
        {{- with include "varve.s3Secret" $root }}
        {{- $keys := $root.Values.storage.s3.existingSecret }}
        - name: AWS_ACCESS_KEY_ID
          valueFrom:
            secretKeyRef:
              name: {{ . }}
              key: {{ $keys.accessKeyIdKey }}
        - name: AWS_SECRET_ACCESS_KEY
          valueFrom:
            secretKeyRef:
              name: {{ . }}
              key: {{ $keys.secretAccessKeyKey }}
        {{- end }}
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 9009
          protocol: TCP
      {{- with $values.probes.startup }}
      startupProbe:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.probes.readiness }}
      readinessProbe:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.probes.liveness }}
      livenessProbe:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml $values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
        - name: config
          mountPath: /etc/varve/config
          readOnly: true
        # A folder and not a single file: only then does a changed ConfigMap arrive in a running pod.
        - name: runtime-config
          mountPath: /etc/varve/runtime
          readOnly: true
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- with .dataVolume }}
    - name: data
      {{- . | nindent 6 }}
    {{- end }}
    - name: tmp
      emptyDir: {}
    - name: config
      {{- $existing := $root.Values.existingConfig }}
      {{- if and $existing.name (eq $existing.kind "Secret") }}
      secret:
        secretName: {{ $existing.name }}
      {{- else }}
      configMap:
        name: {{ default (printf "%s-config" (include "varve.fullname" $root)) $existing.name }}
      {{- end }}
    - name: runtime-config
      configMap:
        name: {{ include "varve.fullname" $root }}-runtime
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
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
    {{- range . }}
    - {{- toYaml (merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" $selector))) | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
{{- end -}}
