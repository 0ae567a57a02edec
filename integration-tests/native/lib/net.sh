# Ports, and whether somebody answers there, with nothing but bash.
# shellcheck shell=bash disable=SC2154,SC2034 # what another file sets or uses

# open PORT
open() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# answers PORT PATH: whether HTTP says 200.
answers() {
  # shellcheck disable=SC2016 # it is for the inner shell
  timeout 2 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
    printf "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n" "$2" "$1" >&3
    read -r -u 3 _version status _reason && [ "$status" = 200 ]
  ' answers "$1" "$2" 2>/dev/null
}

# Ten ports in a row, from below the range that the kernel takes for outgoing connections. We hold a
# lock on the row as long as we live, so that two stacks that start at once don't choose the same.
free_ports() {
  local locks="$cache/ports" try port
  mkdir -p "$locks" || return
  for try in {1..50}; do
    ports=$((10000 + RANDOM % 2000 * 10))
    exec {ports_lock}>"$locks/$ports" || return
    if flock -n "$ports_lock"; then
      for ((port = ports; port < ports + 10; port++)); do
        if open "$port"; then exec {ports_lock}>&- && continue 2; fi
      done
      return
    fi
    exec {ports_lock}>&-
  done
  say "found no ten free ports in a row in $try tries"
  return 1
}
