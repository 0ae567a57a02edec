# Jaeger 2.2. Its web page isn't in the Go module: here it is for its API.
# shellcheck shell=bash disable=SC2154,SC2034 # what another file sets or uses
jaeger_module=1.65.0 # of version 2.2.0: the two are counted apart

jaeger_id() { echo "jaeger-$jaeger_module"; }
jaeger_needs() { :; }
jaeger_needs_to_install() { need jaeger go Go; }

jaeger_install() {
  local package=github.com/jaegertracing/jaeger/cmd/jaeger
  mkdir "$work/source" && cd "$work/source" &&
    built go mod init throughline.invalid/jaeger &&
    built go get -tool "$package@v$jaeger_module" &&
    built go build -ldflags "-s -w" -o "$work/home/jaeger" "$package"
}

jaeger_start() {
  jaeger_port=${JAEGER_PORT:-$((ports + 6))}
  # It would send traces of its own to port 4317, whoever listens there.
  launch jaeger env LISTEN_HOST=127.0.0.1 JAEGER_PORT="$jaeger_port" \
    JAEGER_GRPC_PORT=$((ports + 7)) JAEGER_OTLP_PORT=$((ports + 8)) \
    JAEGER_HEALTH_PORT=$((ports + 9)) OTEL_TRACES_SAMPLER=always_off \
    "$(home jaeger)/jaeger" --config "$config/jaeger.yaml"
  export_as JAEGER_QUERY "http://127.0.0.1:$jaeger_port"
}

jaeger_usable() { answers "$jaeger_port" /api/services && open $((ports + 8)); }
