{{/* A value of YAML as one of TOML. Numbers of YAML are floats here, and whole ones are written as such. */}}
{{- define "roamline.toml.value" -}}
{{- if kindIs "slice" . -}}
[{{- range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "roamline.toml.value" $item }}{{ end -}}]
{{- else if or (kindIs "float64" .) (kindIs "int64" .) (kindIs "int" .) -}}
{{- if eq (float64 (int64 .)) (float64 .) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- else if kindIs "map" . -}}
{ {{- $more := false }}{{ range $key, $value := . }}{{ if not (kindIs "invalid" $value) }}{{ if $more }}, {{ end }}{{ $more = true }}{{ include "roamline.toml.key" $key }} = {{ include "roamline.toml.value" $value }}{{ end }}{{ end -}} }
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* A table and those in it. dict path, table */}}
{{- define "roamline.toml.table" -}}
{{- $path := .path -}}
{{- if $path }}
[{{ $path }}]
{{- end -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "roamline.toml.key" $key }} = {{ include "roamline.toml.value" $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if and (kindIs "map" $value) $value }}
{{- $name := include "roamline.toml.key" $key }}
{{ include "roamline.toml.table" (dict "path" (ternary $name (printf "%s.%s" $path $name) (empty $path)) "table" $value) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "roamline.toml.key" -}}
{{- ternary . (toJson .) (regexMatch "^[A-Za-z0-9_-]+$" .) -}}
{{- end -}}

{{/* The configuration of a component, as TOML. dict root, component */}}
{{- define "roamline.config" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $component := .component -}}
{{- $config := deepCopy $component.config -}}
{{- $store := dict "url_file" "/run/secrets/roamline/database/url" "migrate" (ternary "auto" "manual" (eq $values.migrations.mode "server")) -}}
{{- $_ := set $config "store" (mergeOverwrite (default dict $config.store) $store) -}}
{{- $services := dict -}}
{{- range $component.facts.calls -}}
{{- $_ := set $services . (include "roamline.address" (dict "root" $root "name" .)) -}}
{{- end -}}
{{- if $values.identity.secret.existingSecret -}}
{{- $_ := set $services "secret_file" "/run/secrets/roamline/identity/secret" -}}
{{- end -}}
{{- if $values.tls.enabled -}}
{{- $_ := set $services "tls" (dict "ca_file" "/run/secrets/roamline/tls/ca.crt" "certificate_file" "/run/secrets/roamline/tls/tls.crt" "key_file" "/run/secrets/roamline/tls/tls.key") -}}
{{- $tls := dict "certificate_file" "/run/secrets/roamline/tls/tls.crt" "key_file" "/run/secrets/roamline/tls/tls.key" -}}
{{- if $values.tls.clients.certificates -}}
{{- $_ := set $tls "client_ca_file" (ternary "/run/secrets/roamline/clients/ca.crt" "/run/secrets/roamline/tls/ca.crt" (not (empty $values.tls.clients.existingSecret))) -}}
{{- $_ := set $tls "client_certificate" $values.tls.clients.certificates -}}
{{- end -}}
{{- $_ := set $config "server" (mergeOverwrite $config.server (dict "tls" (mergeOverwrite (default dict $config.server.tls) $tls))) -}}
{{- end -}}
{{- $_ := set $config "services" (mergeOverwrite (default dict $config.services) $services) -}}
{{- if $component.facts.administrator -}}
{{- $_ := set $config "administrator" (dict "password_file" "/run/secrets/roamline/administrator/password") -}}
{{- $auth := default dict $config.auth -}}
{{- $believed := dict -}}
{{- if $values.identity.secret.existingSecret -}}
{{- $_ := set $believed "secret_file" "/run/secrets/roamline/identity/secret" -}}
{{- end -}}
{{- if $values.identity.spiffe.trustDomain -}}
{{- $ids := dict -}}
{{- range $name, $about := include "roamline.components" $root | fromYaml -}}
{{- $_ := set $ids $name (list (include "roamline.spiffe" (dict "root" $root "name" $name))) -}}
{{- end -}}
{{- $_ := set $believed "ids" $ids -}}
{{- end -}}
{{- $_ := set $auth "services" $believed -}}
{{- if $values.keyEncryption.existingSecret -}}
{{- $_ := set $auth "tokens" (mergeOverwrite (default dict $auth.tokens) (dict "key_encryption_file" "/run/secrets/roamline/key-encryption/keys")) -}}
{{- end -}}
{{- $_ := set $config "auth" $auth -}}
{{- end -}}
{{- if eq $component.name "emcc" -}}
{{- $trust := default dict (dig "emcc" "trust" dict $config) -}}
{{- if $values.federation.address -}}{{- $_ := set $trust "address" $values.federation.address -}}{{- end -}}
{{- $_ := set $config "emcc" (mergeOverwrite (default dict $config.emcc) (dict "tls" (get $services "tls") "trust" $trust)) -}}
{{- end -}}
{{- if $component.facts.redis -}}
{{- $_ := set $config "redis" (mergeOverwrite (default dict $config.redis) (include "roamline.redis" $root | fromYaml)) -}}
{{- else -}}
{{- $_ := unset $config "redis" -}}
{{- end -}}
{{- include "roamline.toml.table" (dict "path" "" "table" $config) | trim -}}
{{- end -}}

{{/* Where Redis is, as YAML. */}}
{{- define "roamline.redis" -}}
{{- with .Values.redis -}}
{{- $redis := dict -}}
{{- if .existingSecret -}}
{{- $_ := set $redis "url_file" "/run/secrets/roamline/redis/url" -}}
{{- end -}}
{{- if .sentinel.urls -}}
{{- $sentinel := dict "urls" .sentinel.urls "master" .sentinel.master -}}
{{- if .sentinel.username -}}{{- $_ := set $sentinel "username" .sentinel.username -}}{{- end -}}
{{- if .sentinel.password.existingSecret -}}
{{- $_ := set $sentinel "password_file" "/run/secrets/roamline/redis-sentinel/password" -}}
{{- end -}}
{{- $_ := set $redis "sentinel" $sentinel -}}
{{- end -}}
{{- if .cluster -}}{{- $_ := set $redis "cluster" .cluster -}}{{- end -}}
{{- if .username -}}{{- $_ := set $redis "username" .username -}}{{- end -}}
{{- if .password.existingSecret -}}
{{- $_ := set $redis "password_file" "/run/secrets/roamline/redis-password/password" -}}
{{- end -}}
{{- $tls := dict -}}
{{- if .tls.ca.existingSecret -}}{{- $_ := set $tls "ca_file" "/run/secrets/roamline/redis-ca/ca.crt" -}}{{- end -}}
{{- if .tls.certificate.existingSecret -}}
{{- $_ := set $tls "certificate_file" "/run/secrets/roamline/redis-certificate/tls.crt" -}}
{{- $_ := set $tls "key_file" "/run/secrets/roamline/redis-certificate/tls.key" -}}
{{- end -}}
{{- if $tls -}}{{- $_ := set $redis "tls" $tls -}}{{- end -}}
{{- toYaml $redis -}}
{{- end -}}
{{- end -}}

{{/* The secrets that a component reads, as YAML: folder, Secret, and which key is which file. dict root, component */}}
{{- define "roamline.secrets" -}}
{{- $values := .root.Values -}}
{{- $secrets := include "roamline.databaseSecrets" .root | fromYamlArray -}}
{{- with $values.identity.secret -}}{{- if .existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "identity" "secret" .existingSecret "items" (dict .key "secret")) -}}
{{- end -}}{{- end -}}
{{- if .component.facts.administrator -}}
{{- with $values.administrator -}}
{{- $secrets = append $secrets (dict "folder" "administrator" "secret" .existingSecret "items" (dict .key "password")) -}}
{{- end -}}
{{- with $values.keyEncryption -}}{{- if .existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "key-encryption" "secret" .existingSecret "items" (dict .key "keys")) -}}
{{- end -}}{{- end -}}
{{- end -}}
{{- if .component.facts.redis -}}
{{- with $values.redis -}}
{{- if .existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "redis" "secret" .existingSecret "items" (dict .key "url")) -}}
{{- end -}}
{{- if .password.existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "redis-password" "secret" .password.existingSecret "items" (dict .password.key "password")) -}}
{{- end -}}
{{- if .sentinel.password.existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "redis-sentinel" "secret" .sentinel.password.existingSecret "items" (dict .sentinel.password.key "password")) -}}
{{- end -}}
{{- if .tls.ca.existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "redis-ca" "secret" .tls.ca.existingSecret "items" (dict .tls.ca.key "ca.crt")) -}}
{{- end -}}
{{- if .tls.certificate.existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "redis-certificate" "secret" .tls.certificate.existingSecret "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $values.tls.enabled -}}
{{- $secrets = append $secrets (dict "folder" "tls" "secret" (include "roamline.certificateSecret" (dict "root" .root "name" .component.name)) "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key" "ca.crt" "ca.crt")) -}}
{{- with $values.tls.clients -}}{{- if and .certificates .existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "clients" "secret" .existingSecret "items" (dict .key "ca.crt")) -}}
{{- end -}}{{- end -}}
{{- end -}}
{{- toYaml $secrets -}}
{{- end -}}

{{/* The secrets that the database takes. */}}
{{- define "roamline.databaseSecrets" -}}
{{- with .Values.database -}}
{{- $secrets := list (dict "folder" "database" "secret" .existingSecret "items" (dict .key "url")) -}}
{{- if .ca.existingSecret -}}
{{- $secrets = append $secrets (dict "folder" "database-ca" "secret" .ca.existingSecret "items" (dict .ca.key "ca.crt")) -}}
{{- end -}}
{{- toYaml $secrets -}}
{{- end -}}
{{- end -}}

{{/* Volumes of secrets. A list of them. */}}
{{- define "roamline.secretVolumes" -}}
{{- range . }}
- name: {{ .folder }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 288  # 0440
    items:
      {{- range $key, $path := .items }}
      - key: {{ $key }}
        path: {{ $path }}
      {{- end }}
{{- end }}
{{- end -}}

{{/* Where they are mounted. A list of them. */}}
{{- define "roamline.secretMounts" -}}
{{- range . }}
- name: {{ .folder }}
  mountPath: /run/secrets/roamline/{{ .folder }}
  readOnly: true
{{- end }}
{{- end -}}
