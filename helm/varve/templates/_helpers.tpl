{{/* Short name: that of the chart. */}}
{{- define "varve.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the release's objects. Short, as Kubernetes puts suffixes behind it. */}}
{{- define "varve.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "varve.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's objects: context {root, component}. The single process has the plain name. */}}
{{- define "varve.componentName" -}}
{{- $full := include "varve.fullname" .root -}}
{{- if eq .component "single" -}}{{ $full }}{{- else -}}{{ $full }}-{{ .component }}{{- end -}}
{{- end -}}

{{/* What never changes in the life of a release: context {root, component}. */}}
{{- define "varve.selectorLabels" -}}
app.kubernetes.io/name: {{ include "varve.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of objects: context {root, component}. */}}
{{- define "varve.labels" -}}
{{ include "varve.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "varve.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "varve.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "varve.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* Address inside the cluster, without a path. */}}
{{- define "varve.url" -}}
http://{{ include "varve.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.single.service.port }}
{{- end -}}

{{/* Name of the secret with S3 keys, empty when credentials come from elsewhere. */}}
{{- define "varve.s3Secret" -}}
{{- if eq .Values.storage.type "s3" -}}
{{- $s3 := .Values.storage.s3 -}}
{{- if $s3.existingSecret.name -}}
{{- $s3.existingSecret.name -}}
{{- else if $s3.accessKeyId -}}
{{- include "varve.fullname" . }}-s3
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a quantity such as 4Gi, 500M or 1073741824. */}}
{{- define "varve.bytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if or (not $number) (not (hasKey $units $unit)) -}}
{{- fail (printf "%q is not a size such as 4Gi or 500M" $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $units $unit | float64) | floor | int64 -}}
{{- end -}}

{{/* Whole processors of a quantity such as 2, 1.5 or 500m: rounded up. */}}
{{- define "varve.cores" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}
{{- divf (float64 (trimSuffix "m" $text)) 1000.0 | ceil | int64 -}}
{{- else -}}
{{- float64 $text | ceil | int64 -}}
{{- end -}}
{{- end -}}

{{/* Memory limit of a component in bytes, 0 without one: context is the component's values. */}}
{{- define "varve.memoryLimit" -}}
{{- $limits := default dict .resources.limits -}}
{{- if $limits.memory -}}{{ include "varve.bytes" $limits.memory }}{{- else -}}0{{- end -}}
{{- end -}}

{{/* MiB that the heap of a thread may take; empty without a memory limit: context {root, values}. */}}
{{- define "varve.heapMiB" -}}
{{- $limit := include "varve.memoryLimit" .values | int64 -}}
{{- if gt $limit 0 -}}
{{- max 128 (mulf (float64 $limit) (float64 .root.Values.runtime.heapShare) (divf 1.0 1048576.0) | floor | int64) -}}
{{- end -}}
{{- end -}}

{{/* A part of the memory as a size, between bounds in MiB: context {limit, share, min, max}. */}}
{{- define "varve.share" -}}
{{- min .max (max .min (div (div .limit .share) 1048576)) -}}MiB
{{- end -}}

{{/* The configuration file as YAML. */}}
{{- define "varve.config" -}}
{{- $values := .Values -}}
{{- $config := dict
  "data_dir" "/data"
  "bucket" "file:/data/bucket"
  "http" (dict "listen" ":9009")
  "runtime_config" "/etc/varve/runtime/overrides.yaml"
  "multitenancy" $values.multitenancy.enabled
  "default_tenant" $values.multitenancy.defaultTenant
-}}
{{- if eq $values.storage.type "s3" -}}
{{- $s3 := $values.storage.s3 -}}
{{- $_ := set $config "bucket" (printf "s3://%s" (list $s3.bucket (trimAll "/" $s3.prefix) | compact | join "/")) -}}
{{- $settings := dict "region" $s3.region "path_style" (toString $s3.pathStyle) "checksums" $s3.checksums "encryption" $s3.encryption -}}
{{- if $s3.endpoint -}}{{- $_ := set $settings "endpoint" $s3.endpoint -}}{{- end -}}
{{- if $s3.kmsKeyId -}}{{- $_ := set $settings "kms_key_id" $s3.kmsKeyId -}}{{- end -}}
{{- $_ := set $config "s3" $settings -}}
{{- end -}}
{{- $limit := include "varve.memoryLimit" $values.single | int64 -}}
{{- if gt $limit 0 -}}
{{- $_ := set $config "head" (dict "memory_bytes_max" (include "varve.share" (dict "limit" $limit "share" 2 "min" 64 "max" 4096))) -}}
{{- $_ := set $config "query" (dict "max_memory_bytes" (include "varve.share" (dict "limit" $limit "share" 8 "min" 64 "max" 1024))) -}}
{{- $_ := set $config "push" (dict "max_inflight_bytes" (include "varve.share" (dict "limit" $limit "share" 16 "min" 32 "max" 512))) -}}
{{- $cache := include "varve.share" (dict "limit" $limit "share" 16 "min" 16 "max" 16384) -}}
{{- $_ := set $config "blocks" (dict "cache_index_bytes" $cache "cache_chunks_bytes" $cache) -}}
{{- end -}}
{{- $resources := $values.single.resources -}}
{{- $cpu := default (get (default dict $resources.requests) "cpu") (get (default dict $resources.limits) "cpu") -}}
{{- if $cpu -}}
{{- $_ := set $config "query" (merge (dict "concurrency" (include "varve.cores" $cpu | int)) (default dict $config.query)) -}}
{{- end -}}
{{- if $values.limits -}}{{- $_ := set $config "limits" $values.limits -}}{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy $values.config)) -}}
{{- end -}}

{{/* The file with limits per tenant. */}}
{{- define "varve.runtimeConfig" -}}
{{- toYaml (dict "overrides" .Values.overrides) -}}
{{- end -}}

{{/* Ends the rendering where values do not go together. */}}
{{- define "varve.check" -}}
{{- $s3 := .Values.storage.s3 -}}
{{- if eq .Values.storage.type "s3" -}}
{{- if not $s3.bucket -}}{{- fail "storage.s3.bucket is needed with storage.type s3" -}}{{- end -}}
{{- if ne (empty $s3.accessKeyId) (empty $s3.secretAccessKey) -}}{{- fail "storage.s3.accessKeyId and storage.s3.secretAccessKey go together" -}}{{- end -}}
{{- if and $s3.accessKeyId $s3.existingSecret.name -}}{{- fail "storage.s3: give existingSecret or accessKeyId, not both" -}}{{- end -}}
{{- if and (eq $s3.encryption "aws:kms" | not) $s3.kmsKeyId -}}{{- fail "storage.s3.kmsKeyId needs storage.s3.encryption aws:kms" -}}{{- end -}}
{{- else if .Values.compactor.enabled -}}
{{- fail "compactor.enabled needs storage.type s3: other pods cannot read the volume of the single process" -}}
{{- end -}}
{{- end -}}
