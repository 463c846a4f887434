{{/* Ends with what to do where values contradict each other. The schema has refused misspelt ones before. */}}
{{- define "roamline.check" -}}
{{- $values := .Values -}}
{{- if not $values.database.existingSecret -}}
{{- fail "database.existingSecret is not set: name the Secret whose key `url` is the address of a PostgreSQL database, postgres://user:password@host:5432/name" -}}
{{- end -}}
{{- if not $values.administrator.existingSecret -}}
{{- fail "administrator.existingSecret is not set: name the Secret whose key `password` is the first administrator's, of at least 12 characters" -}}
{{- end -}}
{{- include "roamline.check.redis" . -}}
{{- include "roamline.check.identity" . -}}
{{- include "roamline.check.federation" . -}}
{{- include "roamline.check.front" . -}}
{{- with $values.monitoring -}}
{{- if and .podMonitor.enabled .serviceMonitor.enabled -}}
{{- fail "monitoring.podMonitor and monitoring.serviceMonitor are both enabled: everything would be counted twice" -}}
{{- end -}}
{{- if and $values.networkPolicy.enabled (not $values.networkPolicy.monitoring) (or .podMonitor.enabled .serviceMonitor.enabled) -}}
{{- fail "networkPolicy.monitoring is empty, and a monitor is enabled: name who may reach the admin ports, as in from of a NetworkPolicy" -}}
{{- end -}}
{{- end -}}
{{- range $name, $facts := include "roamline.components" . | fromYaml -}}
{{- include "roamline.check.component" (include "roamline.component" (dict "root" $ "name" $name) | fromYaml) -}}
{{- end -}}
{{- end -}}

{{- define "roamline.check.redis" -}}
{{- with .Values.redis -}}
{{- $ways := list -}}
{{- if .existingSecret -}}{{- $ways = append $ways "redis.existingSecret" -}}{{- end -}}
{{- if .sentinel.urls -}}{{- $ways = append $ways "redis.sentinel.urls" -}}{{- end -}}
{{- if .cluster -}}{{- $ways = append $ways "redis.cluster" -}}{{- end -}}
{{- if eq (len $ways) 0 -}}
{{- fail "none of redis.existingSecret, redis.sentinel.urls and redis.cluster is set: the session service keeps live sessions in Redis" -}}
{{- end -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "%s exclude each other" (join " and " $ways)) -}}
{{- end -}}
{{- if and .sentinel.urls (not .sentinel.master) -}}
{{- fail "redis.sentinel.master is not set: by which name do the sentinels know the server?" -}}
{{- end -}}
{{- if and .sentinel.master (not .sentinel.urls) -}}
{{- fail "redis.sentinel.master is set, and redis.sentinel.urls is not" -}}
{{- end -}}
{{- if and (or .tls.ca.existingSecret .tls.certificate.existingSecret) (or .sentinel.urls .cluster) -}}
{{- range concat .sentinel.urls .cluster -}}
{{- if not (hasPrefix "rediss://" .) -}}{{- fail (printf "redis.tls is set, and %s is without TLS; begin it with rediss://" .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "roamline.check.identity" -}}
{{- $identity := .Values.identity -}}
{{- $tls := .Values.tls -}}
{{- if not (or $identity.secret.existingSecret $identity.spiffe.trustDomain) -}}
{{- fail "neither identity.secret.existingSecret nor identity.spiffe.trustDomain is set: with one of them services prove to the auth service who they are" -}}
{{- end -}}
{{- if and $identity.spiffe.trustDomain (not (and $tls.enabled $tls.clients.certificates)) -}}
{{- fail "identity.spiffe.trustDomain needs tls.enabled, and tls.clients.certificates to be optional or required: without them services show no certificate" -}}
{{- end -}}
{{- if $tls.enabled -}}
{{- if and $tls.certManager.enabled $tls.existingSecret -}}
{{- fail "tls.certManager.enabled and tls.existingSecret exclude each other" -}}
{{- end -}}
{{- if not (or $tls.certManager.enabled $tls.existingSecret) -}}
{{- fail "tls.enabled needs tls.certManager.enabled or tls.existingSecret" -}}
{{- end -}}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name is not set: which issuer signs the certificates?" -}}
{{- end -}}
{{- else if or $tls.certManager.enabled $tls.existingSecret -}}
{{- fail "tls.enabled is false, and tls.certManager or tls.existingSecret is set" -}}
{{- end -}}
{{- end -}}

{{- define "roamline.check.federation" -}}
{{- $tls := .Values.tls -}}
{{- $cluster := .Values.clusterId -}}
{{- with .Values.federation -}}
{{- if .enabled -}}
{{- if not (and $tls.enabled $tls.clients.certificates) -}}
{{- fail "federation.enabled needs tls.enabled, and tls.clients.certificates to be optional or required: clusters know each other by their certificates" -}}
{{- end -}}
{{- if not .spiffeId -}}
{{- fail (printf "federation.spiffeId is not set: as whom do other clusters know this one? spiffe://example.org/roamline/%s, say" $cluster) -}}
{{- end -}}
{{- if not (hasSuffix (printf "/%s" $cluster) .spiffeId) -}}
{{- fail (printf "federation.spiffeId %s does not end with the id of the cluster, /%s" .spiffeId $cluster) -}}
{{- end -}}
{{- else if or .spiffeId .address -}}
{{- fail "federation.enabled is false, and federation.spiffeId or federation.address is set" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "roamline.check.front" -}}
{{- $gateway := .Values.gatewayApi -}}
{{- range $kind := list "grpcRoute" "httpRoute" -}}
{{- with get $gateway $kind -}}
{{- if and .enabled (not .parentRefs) -}}{{- fail (printf "gatewayApi.%s.parentRefs is empty: which Gateway is it for?" $kind) -}}{{- end -}}
{{- if and .enabled (not .hostnames) -}}{{- fail (printf "gatewayApi.%s.hostnames is empty" $kind) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $gateway.grpcRoute.enabled $gateway.httpRoute.enabled -}}
{{- range $gateway.grpcRoute.hostnames -}}
{{- if has . $gateway.httpRoute.hostnames -}}
{{- fail (printf "gatewayApi: %s is a host of grpcRoute and of httpRoute; a Gateway takes one of them only. Give gRPC-web a host of its own" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $gateway.backendTls -}}
{{- if .enabled -}}
{{- if not $.Values.tls.enabled -}}{{- fail "gatewayApi.backendTls.enabled needs tls.enabled: the services speak plain text" -}}{{- end -}}
{{- if eq $.Values.tls.clients.certificates "required" -}}{{- fail "gatewayApi.backendTls.enabled with tls.clients.certificates required: a Gateway shows the services no certificate; make it optional" -}}{{- end -}}
{{- if not .caConfigMap -}}{{- fail "gatewayApi.backendTls.caConfigMap is not set: which authorities does the Gateway believe?" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host is not set" -}}
{{- end -}}
{{- end -}}

{{/* of one component */}}
{{- define "roamline.check.component" -}}
{{- with .values.autoscaling -}}
{{- if and .enabled (gt (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- fail (printf "components.%s: autoscaling.minReplicas is more than maxReplicas" $.name) -}}
{{- end -}}
{{- if and .enabled (not (dig "requests" "cpu" "" $.values.resources)) -}}
{{- fail (printf "components.%s: autoscaling needs resources.requests.cpu" $.name) -}}
{{- end -}}
{{- if and .keda.enabled (not .enabled) -}}
{{- fail (printf "components.%s: autoscaling.keda.enabled is true, and autoscaling.enabled is not" $.name) -}}
{{- end -}}
{{- if and .keda.enabled .extraMetrics -}}
{{- fail (printf "components.%s: autoscaling.extraMetrics are for the HorizontalPodAutoscaler; with KEDA they are autoscaling.keda.triggers" $.name) -}}
{{- end -}}
{{- if and .keda.triggers (not .keda.enabled) -}}
{{- fail (printf "components.%s: autoscaling.keda.triggers are set, and autoscaling.keda.enabled is not" $.name) -}}
{{- end -}}
{{- end -}}
{{- with .values.podDisruptionBudget -}}
{{- if and .enabled (has (toString .maxUnavailable) (list "0" "0%")) -}}
{{- fail (printf "components.%s: podDisruptionBudget.maxUnavailable 0 would keep nodes from being drained" $.name) -}}
{{- end -}}
{{- end -}}
{{- if and (not .values.serviceAccount.create) (not .values.serviceAccount.name) -}}
{{- fail (printf "components.%s: serviceAccount.create is false, and serviceAccount.name is not set" .name) -}}
{{- end -}}
{{- end -}}
