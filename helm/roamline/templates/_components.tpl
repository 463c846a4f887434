{{/*
What the services are: whom each calls, what it keeps, and which services of the contract it answers to clients. A new one
is an entry here and one below `components` in the values. `cargo xtask chart` compares `grpc` with the protos; what other
clusters call at emcc is in no route, because TLS must not end before it.
*/}}
{{- define "roamline.components" -}}
auth:
  calls: [profile]
  redis: false
  administrator: true
  grpc:
    - roamline.auth.v1.AuthService
profile:
  calls: [auth, session]
  redis: false
  administrator: false
  grpc:
    - roamline.profile.v1.DefaultDeviceProfileService
    - roamline.profile.v1.DevicePoolService
    - roamline.profile.v1.DirectoryService
    - roamline.profile.v1.ImportService
    - roamline.profile.v1.LineService
    - roamline.profile.v1.LineTemplateService
    - roamline.profile.v1.LintService
    - roamline.profile.v1.LogoutProfileService
    - roamline.profile.v1.PersonalService
    - roamline.profile.v1.PhoneModelService
    - roamline.profile.v1.PhoneService
    - roamline.profile.v1.PhoneServiceDefinitionService
    - roamline.profile.v1.PhoneTemplateService
    - roamline.profile.v1.PresenceGroupService
    - roamline.profile.v1.RenderingService
    - roamline.profile.v1.ServiceParametersService
    - roamline.profile.v1.UserDeviceProfileService
    - roamline.profile.v1.UserService
{{- if .Values.federation.enabled }}
emcc:
  calls: [auth, profile, session]
  redis: false
  administrator: false
  grpc:
    - roamline.emcc.v1.FederationAdministrationService
    - roamline.emcc.v1.RoamingService
    - roamline.emcc.v1.TrustService
{{- end }}
session:
  calls: [auth, profile{{ if .Values.federation.enabled }}, emcc{{ end }}]
  redis: true
  administrator: false
  grpc:
    - roamline.session.v1.AuditService
    - roamline.session.v1.PhoneLinkService
    - roamline.session.v1.RoamingSessionService
    - roamline.session.v1.SessionService
{{- end -}}

{{/*
Everything that templates need to know of one component, as YAML: its facts, its values over the defaults, its names.
dict root, name
*/}}
{{- define "roamline.component" -}}
{{- $root := .root -}}
{{- $facts := get (include "roamline.components" $root | fromYaml) .name -}}
{{- $own := deepCopy (default dict (get $root.Values.components .name)) -}}
{{- $values := mergeOverwrite (deepCopy $root.Values.defaults) $own -}}
{{- $full := printf "%s-%s" (include "roamline.fullname" $root) .name -}}
{{- $account := $values.serviceAccount -}}
{{- $callers := list -}}
{{- range $other, $about := include "roamline.components" $root | fromYaml -}}
{{- if has $.name $about.calls -}}{{- $callers = append $callers $other -}}{{- end -}}
{{- end -}}
{{- $serviceAccount := ternary (default $full $account.name) (default "default" $account.name) $account.create -}}
{{- $config := mergeOverwrite (deepCopy $root.Values.config) (default dict $values.config) -}}
{{- $_ := unset $values "config" -}}
{{- dict "name" .name "full" $full "headless" (printf "%s-headless" $full) "facts" $facts "values" $values
  "callers" $callers "serviceAccount" $serviceAccount "config" $config | toYaml -}}
{{- end -}}

{{/* Where a component is, for the others: the headless name, so that each of its replicas is known. dict root, name */}}
{{- define "roamline.address" -}}
{{- $component := include "roamline.component" . | fromYaml -}}
{{- printf "%s://%s.%s.svc:7400" (ternary "https" "http" .root.Values.tls.enabled) $component.headless .root.Release.Namespace -}}
{{- end -}}

{{/* Where clients in the cluster find a component. dict root, name */}}
{{- define "roamline.serviceAddress" -}}
{{- $component := include "roamline.component" . | fromYaml -}}
{{- printf "%s://%s.%s.svc:%v" (ternary "https" "http" .root.Values.tls.enabled) $component.full .root.Release.Namespace $component.values.service.port -}}
{{- end -}}

{{/*
The SPIFFE id of a component; that of emcc is the cluster's, because a certificate has one only. Empty where there is none.
dict root, name
*/}}
{{- define "roamline.spiffe" -}}
{{- $component := include "roamline.component" . | fromYaml -}}
{{- if eq .name "emcc" -}}
{{- .root.Values.federation.spiffeId -}}
{{- else if .root.Values.identity.spiffe.trustDomain -}}
{{- printf "spiffe://%s/ns/%s/%s" .root.Values.identity.spiffe.trustDomain .root.Release.Namespace $component.full -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the certificate of a component. dict root, name */}}
{{- define "roamline.certificateSecret" -}}
{{- if .root.Values.tls.certManager.enabled -}}
{{- printf "%s-%s-tls" (include "roamline.fullname" .root) .name -}}
{{- else -}}
{{- tpl .root.Values.tls.existingSecret (dict "component" .name "Release" .root.Release "Values" .root.Values "Chart" .root.Chart "Template" .root.Template) -}}
{{- end -}}
{{- end -}}

{{/* A length of time as the configuration has it (`1min 30s`, `5s`, `2h`), in whole seconds. dict key, text */}}
{{- define "roamline.seconds" -}}
{{- $text := toString .text -}}
{{- if not (regexMatch "^\\s*([0-9]+\\s*(h|hr|hrs|hours?|m|min|mins|minutes?|s|sec|secs|seconds?|ms|msecs?|milliseconds?)[\\s,]*)+$" $text) -}}
{{- fail (printf "%s: %q is not a length of time such as 5s or 1min 30s" .key $text) -}}
{{- end -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+\\s*[a-z]+" $text -1 -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if hasPrefix "h" $unit -}}{{- $seconds = add $seconds (mul $number 3600) -}}
{{- else if or (hasPrefix "ms" $unit) (hasPrefix "milli" $unit) -}}{{- $seconds = add $seconds (div (add $number 999) 1000) -}}
{{- else if hasPrefix "m" $unit -}}{{- $seconds = add $seconds (mul $number 60) -}}
{{- else -}}{{- $seconds = add $seconds $number -}}{{- end -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* How long a pod may take to end: to drain, to give grace, and to close what is left. dict component */}}
{{- define "roamline.terminationGracePeriodSeconds" -}}
{{- $server := .component.config.server -}}
{{- $drain := include "roamline.seconds" (dict "key" "config.server.drain_for" "text" $server.drain_for) | int64 -}}
{{- $grace := include "roamline.seconds" (dict "key" "config.server.grace_for" "text" $server.grace_for) | int64 -}}
{{- /* The grace is given to calls and then to tasks; a second each for what is cut then, and 4 s for what telemetry still has. */ -}}
{{- add $drain (mul 2 $grace) 8 -}}
{{- end -}}
