{{/* What selects the pods of a release, and what is written on everything besides. */}}
{{- define "ldlm.selector" -}}
app.kubernetes.io/name: ldlm
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "ldlm.labels" -}}
{{ include "ldlm.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{/* The members that a cluster begins with. */}}
{{- define "ldlm.members" -}}
{{- range $i := until (int .Values.members) -}}
{{ if $i }},{{ end }}{{ $.Release.Name }}-{{ $i }}={{ $.Release.Name }}-{{ $i }}.{{ $.Release.Name }}-members:3147
{{- end -}}
{{- end }}
