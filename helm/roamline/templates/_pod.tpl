{{/* The Deployment of a component. dict root, component */}}
{{- define "roamline.deployment" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $values := $component.values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "roamline.metadata" (dict "root" $root "name" $component.full "component" $component.name) | nindent 2 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ int64 $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    {{- toYaml $values.strategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "roamline.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $component.name }}
  template:
    metadata:
      labels:
        {{- include "roamline.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component.name }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ include "roamline.config" . | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "roamline.pod" . | nindent 6 }}
{{- end -}}

{{- define "roamline.pod" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $values := $component.values -}}
{{- $secrets := include "roamline.secrets" . | fromYamlArray -}}
serviceAccountName: {{ $component.serviceAccount }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "roamline.pullSecrets" $root }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
terminationGracePeriodSeconds: {{ include "roamline.terminationGracePeriodSeconds" . }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- include "roamline.placement" . }}
{{- with $values.initContainers }}
initContainers:
  {{- tpl (toYaml .) $root | nindent 2 }}
{{- end }}
containers:
  - name: {{ $component.name }}
    image: {{ include "roamline.image" $root }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args:
      - serve
      - {{ $component.name }}
      - --config=/etc/roamline/roamline.toml
      - --cluster-id={{ $root.Values.clusterId }}
      - --listen={{ $root.Values.listenOn }}:7400
      - --admin-listen={{ $root.Values.listenOn }}:7401
    {{- with $values.extraEnv }}
    env:
      {{- tpl (toYaml .) $root | nindent 6 }}
    {{- end }}
    {{- with $values.extraEnvFrom }}
    envFrom:
      {{- tpl (toYaml .) $root | nindent 6 }}
    {{- end }}
    ports:
      - name: grpc
        containerPort: 7400
      - name: admin
        containerPort: 7401
    startupProbe:
      httpGet: {path: /livez, port: admin}
      {{- toYaml $values.probes.startup | nindent 6 }}
    livenessProbe:
      httpGet: {path: /livez, port: admin}
      {{- toYaml $values.probes.liveness | nindent 6 }}
    readinessProbe:
      httpGet: {path: /readyz, port: admin}
      {{- toYaml $values.probes.readiness | nindent 6 }}
    resources:
      {{- toYaml $values.resources | nindent 6 }}
    securityContext:
      {{- toYaml $values.securityContext | nindent 6 }}
    volumeMounts:
      - name: config
        mountPath: /etc/roamline
        readOnly: true
      {{- include "roamline.secretMounts" $secrets | trim | nindent 6 }}
      {{- with $values.extraVolumeMounts }}
      {{- tpl (toYaml .) $root | nindent 6 }}
      {{- end }}
  {{- with $values.sidecars }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
volumes:
  - name: config
    configMap:
      name: {{ $component.full }}
  {{- include "roamline.secretVolumes" $secrets | trim | nindent 2 }}
  {{- with $values.extraVolumes }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "roamline.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* On which nodes a pod may be. dict root, component */}}
{{- define "roamline.placement" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $values := $component.values -}}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- tpl (toYaml .) $root | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.spread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ int64 .maxSkew }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "roamline.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component.name }}
  {{- end }}
{{- end }}
{{- end -}}
