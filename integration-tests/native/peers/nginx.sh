# nginx, unpacked from the distribution's package: nothing is installed on the machine or started by
# it, and nobody has to be root.
# shellcheck shell=bash disable=SC2154 # what another file sets

# The distribution chooses the version, and mends it without a new name.
nginx_id() { (. /etc/os-release && echo "nginx-$ID-${VERSION_ID:-rolling}"); }

nginx_needs_to_install() {
  need nginx apt-get "apt-get, of Debian or Ubuntu"
  need nginx dpkg "dpkg, of Debian or Ubuntu"
}

nginx_install() {
  local packages=(nginx nginx-light) # the program is in one or the other
  apt-get download "${packages[@]}" || {
    # The machine's lists are old, or, as in images, not there: own ones, which take no root.
    local own=(-o "Dir::State=$work/state" -o "Dir::Cache=$work/cache")
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" &&
      apt-get "${own[@]}" update && apt-get "${own[@]}" download "${packages[@]}"
  } || return
  local package
  for package in *.deb; do dpkg -x "$package" . || return; done
  rm -f ./*.deb
  # That the libraries it wants are there is seen now, and not by the first test.
  usr/sbin/nginx -v
}

nginx_export() { export_as NGINX_BIN "$(home nginx)/usr/sbin/nginx"; }
