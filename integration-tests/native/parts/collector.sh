# The OpenTelemetry Collector, of the parts in builder.yaml.
# shellcheck shell=bash disable=SC2154,SC2034 # what another file sets or uses
collector_version=0.145.0 # as in builder.yaml

# Of other parts it is another Collector.
collector_id() {
  local made_of
  made_of=$(sha256sum <"$here/builder.yaml")
  echo "collector-$collector_version-${made_of:0:8}"
}

collector_needs() { :; }
collector_needs_to_install() { need collector go Go; }

collector_install() {
  cp "$here/builder.yaml" "$work/builder.yaml" && cd "$work" &&
    built go run "go.opentelemetry.io/collector/cmd/builder@v$collector_version" \
      --config builder.yaml &&
    mv source/otelcol home/otelcol
}

collector_start() {
  local files=(--config "$config/collector.yaml") exporters="[file]"
  [ -n "$tail_sampling" ] && files+=(--config "$config/collector-tail-sampling.yaml")
  is_chosen jaeger && exporters="[otlp/jaeger, file]"
  collector_http=${OTLP_HTTP_PORT:-$((ports + 3))}
  collector_grpc=${OTLP_GRPC_PORT:-$((ports + 4))}
  collector_health=$((ports + 5))
  launch collector env LISTEN_HOST=127.0.0.1 \
    OTLP_HTTP_PORT="$collector_http" OTLP_GRPC_PORT="$collector_grpc" \
    COLLECTOR_HEALTH_PORT="$collector_health" COLLECTOR_FILE="$logs/spans.jsonl" \
    COLLECTOR_TRACE_EXPORTERS="$exporters" JAEGER_OTLP="127.0.0.1:$((ports + 8))" \
    TAIL_SAMPLING_WAIT="${TAIL_SAMPLING_WAIT:-1s}" \
    TAIL_SAMPLING_PERCENT="${TAIL_SAMPLING_PERCENT:-100}" \
    "$(home collector)/otelcol" "${files[@]}"
  export_as OTEL_EXPORTER_OTLP_ENDPOINT "http://127.0.0.1:$collector_http"
  export_as OTEL_EXPORTER_OTLP_PROTOCOL http/protobuf
  export_as OTLP_GRPC_ENDPOINT "http://127.0.0.1:$collector_grpc"
  export_as COLLECTOR_FILE "$logs/spans.jsonl"
}

collector_usable() {
  open "$collector_http" && open "$collector_grpc" && answers "$collector_health" /
}
