# A Python with grpcio and OpenTelemetry's own instrumentation of it.
# shellcheck shell=bash disable=SC2154 # what another file sets

# Of other packages it is another one.
grpcio_id() {
  local made_of
  made_of=$(sha256sum <"$here/peers/grpcio.txt")
  echo "grpcio-${made_of:0:8}"
}
grpcio_needs_to_install() { need_venv grpcio; }

grpcio_install() {
  venv . && bin/python -m pip install --quiet --requirement "$here/peers/grpcio.txt" &&
    bin/python -c "import grpc, opentelemetry.instrumentation.grpc"
}

# The programs in bin/ name the folder that they were installed in, which was another: it is for
# `python -m` and `python -c` only.
grpcio_export() { export_as GRPCIO_PYTHON "$(home grpcio)/bin/python"; }
