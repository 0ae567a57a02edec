# Parts are installed once, for all trees, into a folder that names the version. Each part says in
# parts/ or peers/ what it is made of: PART_id, PART_needs (peers have none), PART_needs_to_install,
# and PART_install, which fills the folder that it is called in.
# shellcheck shell=bash disable=SC2154,SC2034,SC2030,SC2031 # what another file sets or uses

# home PART: where it is, or will be.
home() { echo "$cache/$("${1}_id")"; }

# need PART TOOL WHAT: so that nobody has to guess from a 'command not found'.
need() {
  command -v "$2" >/dev/null ||
    fail "$prerequisite_missing" "$1 needs $3, and there is no '$2' in the PATH"
}

# install_parts PART…
install_parts() {
  local part pid pids=() status=0
  # Before anything is built: who lacks something should hear of it now.
  need "the stack" setpriv util-linux
  for part in "$@"; do
    ! declare -F "${part}_needs" >/dev/null || "${part}_needs"
    [ -d "$(home "$part")" ] || "${part}_needs_to_install"
  done
  # All at once: where one waits for the network, another has the processor. With job control, so
  # that each is a group that can be stopped as a whole.
  set -m
  for part in "$@"; do
    [ -d "$(home "$part")" ] && continue
    install_part "$part" &
    pids+=($!)
  done
  set +m
  # shellcheck disable=SC2064 # the processes of now
  trap "kill -TERM -- ${pids[*]/#/-}; exit 130" INT TERM HUP
  for pid in "${pids[@]}"; do wait "$pid" || status=$failed; done
  trap - INT TERM HUP
  [ "$status" = 0 ] || exit "$status"
}

# Few commands need peers: one that can't be had is left out, unless it was named.
leave_out_peers() {
  local peer kept=()
  [ -n "$named" ] && return
  for peer in "${chosen_peers[@]}"; do
    if [ -d "$(home "$peer")" ] || ("${peer}_needs_to_install"); then
      kept+=("$peer")
    else
      say "$peer is left out"
    fi
  done
  chosen_peers=("${kept[@]}")
}

# install_part PART: built beside its place and moved there as a whole, so that what was interrupted
# isn't taken for finished. Others who want the same part wait, and then find it.
install_part() (
  part=$1 home=$(home "$1") start=$SECONDS
  mkdir -p "$cache" && exec {lock}>"$cache/$part.lock" && flock "$lock" || exit
  [ -d "$home" ] && exit
  rm -rf "$cache/.$part".* # of one that was killed: we have the lock
  work=$(mktemp -d "$cache/.$part.XXXXXX") || exit
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  say "installing $(basename "$home"), once"
  mkdir "$work/home" && cd "$work/home" || exit
  # The lock is ours, not of a daemon that a build leaves behind.
  if ! "${part}_install" </dev/null >"$work/log" 2>&1 {lock}>&-; then
    tail -n 30 "$work/log" >&2
    say "$part could not be installed; above is how it ended"
    exit 1
  fi
  mv "$work/home" "$home" || exit
  say "installed $(basename "$home") in $((SECONDS - start)) s"
)

# maven PROFILE VERSION [OPTION…]: what the profile of pom.xml names, copied to where we are.
maven() {
  local profile=$1 version=$2
  shift 2
  # Away from the tree, where Maven would look for more than the one file.
  cp "$here/pom.xml" "$work/pom.xml" &&
    mvn -q -B -f "$work/pom.xml" "-P$profile" "-Dpart.version=$version" \
      "-DoutputDirectory=$PWD" "$@" dependency:copy-dependencies
}

# need_venv PART: Debian has Python without what makes a venv.
need_venv() {
  need "$1" python3 "Python 3"
  python3 -c "import ensurepip, venv" 2>/dev/null ||
    fail "$prerequisite_missing" "$1 needs Python's venv, which Debian calls python3-venv"
}

# venv FOLDER: without what the user has told pip for his own packages, but for where they come from.
venv() { python3 -m venv "$1" && export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONNOUSERSITE=1; }

# built COMMAND…: the same bytes on every machine, whatever its user has set for his own builds.
built() { env GOFLAGS="-trimpath -buildvcs=false" GOWORK=off CGO_ENABLED=0 "$@"; }
