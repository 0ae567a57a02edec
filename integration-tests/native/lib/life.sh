# From the start of a stack to its end. Each part says in parts/ how it is started, PART_start, and
# whether it is usable, PART_usable.
# shellcheck shell=bash disable=SC2154,SC2034 # what another file sets or uses

state="" logs=""       # the directory of this run; its logs are elsewhere if they are kept
lifeline="" watchdog="" # the pipe to the watchdog, and its process
ports="" ports_lock="" # the first of our row of ten
exports=()             # NAME=VALUE
declare -A pids=()     # of the parts

is_chosen() { [[ " ${chosen[*]} " == *" $1 "* ]]; }
export_as() { exports+=("$1=$2"); }

# Everything that must be undone is undone by the watchdog: here we only let go.
begin() {
  state=$(mktemp -d "${TMPDIR:-/tmp}/throughline-stack.XXXXXX") || exit "$failed"
  exec {lifeline}> >(exec setsid "$here/watchdog" "$state" >&2)
  watchdog=$!
  trap let_go EXIT
  for signal in INT TERM HUP; do
    # shellcheck disable=SC2064 # the signal of now
    trap "stopped_by $signal" $signal
  done
  logs=$state
  if [ -n "$keep_logs" ]; then
    mkdir -p "$keep_logs" && logs=$(cd "$keep_logs" && pwd) || exit "$failed"
    rm -f "$logs/spans.jsonl" # the Collector would append
  fi
}

let_go() {
  trap '' INT TERM HUP
  exec {lifeline}>&-
  wait "$watchdog"
}

# As the signal would have ended us, so that our caller sees it.
stopped_by() {
  echo "stop $1" >&"$lifeline"
  let_go
  trap - EXIT "$1"
  kill "-$1" $$
}

# launch NAME COMMAND…: in the part's own directory, with its own log, and in a session of its own,
# where no Ctrl-C of the terminal arrives. It tells the watchdog itself, before it becomes the
# command: there is no moment in which nobody knows of it. And should even the watchdog be killed,
# the kernel ends it with us.
launch() {
  local name=$1
  shift
  (
    echo "part $BASHPID" >&"$lifeline"
    exec {lifeline}>&- {ports_lock}>&-
    # What the user's environment says of telemetry is meant for his own services.
    unset "${!OTEL_@}"
    cd "$state/$name" && exec setsid setpriv --pdeathsig KILL "$@"
  ) </dev/null >"$logs/$name.log" 2>&1 &
  pids[$name]=$!
}

ended() {
  local name=$1 status
  wait "${pids[$name]}"
  status=$?
  tail -n 30 "$logs/$name.log" >&2
  say "$name has ended with status $status; above is its log"
}

# A port that was free a moment ago may be taken by now: unless it was chosen, by another row.
start() {
  local try
  for try in 1 2 3; do
    free_ports || exit "$failed"
    start_here && return
    [ -n "${KAFKA_PORT-}${SQS_PORT-}${OTLP_HTTP_PORT-}${OTLP_GRPC_PORT-}${JAEGER_PORT-}" ] && break
    grep -qi "address already in use" "$logs"/*.log || break
    say "one of ten ports was taken meanwhile (try $try of 3)"
    kill -KILL "${pids[@]}" 2>/dev/null
    wait "${pids[@]}"
    for part in "${chosen[@]}"; do rm -rf "${state:?}/$part"; done
    exports=()
  done
  exit "$failed"
}

# start_here: all at once, since each waits for itself most of the time.
start_here() {
  local part waiting=("${chosen[@]}") next begun=${EPOCHREALTIME//[!0-9]/} took
  for part in "${chosen[@]}"; do
    mkdir "$state/$part" || return
    "${part}_start"
  done
  for part in "${chosen_peers[@]}"; do "${part}_export"; done
  while [ ${#waiting[@]} -gt 0 ]; do
    next=()
    for part in "${waiting[@]}"; do
      took=$(((${EPOCHREALTIME//[!0-9]/} - begun) / 1000))
      if "${part}_usable"; then
        say "$part is usable after $took ms"
      elif ! kill -0 "${pids[$part]}" 2>/dev/null; then
        ended "$part"
        return 1
      elif [ $took -ge $((deadline * 1000)) ]; then
        tail -n 30 "$logs/$part.log" >&2
        say "$part is not usable after $deadline s; above is its log"
        return 1
      else
        next+=("$part")
      fi
    done
    waiting=("${next[@]}")
    [ ${#waiting[@]} -gt 0 ] && sleep 0.1
  done
  return 0
}

run() {
  local pid status part
  leave_out_peers
  install_parts "${chosen[@]}" "${chosen_peers[@]}"
  begin
  start
  # A group of its own, so that all of it can be told to stop; and, as job control gives it, with
  # signals and standard input as we have them.
  set -m
  (
    echo "command $BASHPID" >&"$lifeline"
    exec {lifeline}>&- {ports_lock}>&-
    trap - INT TERM HUP
    export "${exports[@]}"
    exec "${command[@]}"
  ) <&0 &
  pid=$!
  set +m
  wait "$pid"
  status=$?
  for part in "${chosen[@]}"; do
    kill -0 "${pids[$part]}" 2>/dev/null || ended "$part"
  done
  exit "$status"
}

up() {
  local part
  leave_out_peers
  install_parts "${chosen[@]}" "${chosen_peers[@]}"
  begin
  start
  if [ -n "$env_file" ]; then
    echo "remove $(realpath -m "$env_file")" >&"$lifeline"
    # Moved there, so that who waits for the file never reads half of it.
    print_exports >"$env_file.$$" && mv "$env_file.$$" "$env_file" || exit "$failed"
  else
    print_exports
  fi
  say "up; Ctrl-C stops everything"
  # Of peers alone nothing runs that could end: then we wait for what ends with us.
  if [ ${#pids[@]} -gt 0 ]; then wait -n "${pids[@]}"; else wait "$watchdog"; fi
  for part in "${chosen[@]}"; do
    kill -0 "${pids[$part]}" 2>/dev/null || ended "$part"
  done
  exit "$failed"
}

print_exports() {
  local pair
  for pair in "${exports[@]}"; do printf 'export %s=%q\n' "${pair%%=*}" "${pair#*=}"; done
}
