# Shared by up, down, test and front: packages, private servers, ports, progress.
# Sourced, never run. Knows processes and files, nothing of the product's rules.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RUN=${ATLVS_RUN:-$ROOT/.run}
case $RUN in /*) ;; *) RUN=$PWD/$RUN ;; esac

STARTED_AT=$SECONDS
say() { printf '%s\n' "$*"; }
# A step that a person waits for: number of seconds since the start, then what happens.
step() { printf '[%4ss] %s\n' "$((SECONDS - STARTED_AT))" "$*"; }
fail() { printf 'ops: %s\n' "$*" >&2; exit 1; }

# --- packages ---------------------------------------------------------------------------------

# Directory of PostgreSQL's server programs, version 15 or newer; empty where there is none.
postgres_bin() {
  local dir version best='' best_version=14
  for dir in /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do
    [ -x "$dir/postgres" ] || continue
    version=$("$dir/postgres" --version | grep -oE '[0-9]+' | head -1)
    if [ "$version" -gt "$best_version" ]; then best=$dir best_version=$version; fi
  done
  if [ -z "$best" ] && command -v postgres >/dev/null && command -v initdb >/dev/null; then
    version=$(postgres --version | grep -oE '[0-9]+' | head -1)
    [ "$version" -ge 15 ] && best=$(dirname "$(readlink -f "$(command -v postgres)")")
  fi
  printf '%s' "$best"
}

# install_packages PACKAGE…: by apt, without starting the services that packages bring along.
install_packages() {
  local as_root=() policy=/usr/sbin/policy-rc.d made_policy=''
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  command -v apt-get >/dev/null || fail "missing: $*; install them by hand, this is no Debian"
  step "installing Debian packages: $*"
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made_policy=yes
  fi
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
    fail "apt-get could not install: $*"
  fi
  rm -f "$log"
  [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
}

# need COMMAND:PACKAGE…: installs, in one go, the packages whose command is missing.
# `postgres` stands for the server programs of version 15 or newer.
need() {
  local pair command missing=()
  for pair in "$@"; do
    command=${pair%%:*}
    if [ "$command" = postgres ]; then
      [ -n "$(postgres_bin)" ] || missing+=("${pair#*:}")
    else
      command -v "$command" >/dev/null || missing+=("${pair#*:}")
    fi
  done
  [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

need_cargo() {
  command -v cargo >/dev/null || fail "cargo is missing: install the Rust toolchain (see rust-version in Cargo.toml)"
}

# --- ports and secrets ------------------------------------------------------------------------

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port BASE [PREFERRED…]: a preferred port where it is free, else one of the 2,000 from BASE on
# that nobody listens on. Callers give different bases, so two answers never meet.
free_port() {
  local base=$1 port
  shift
  for port in "$@"; do
    if [ -n "$port" ] && port_is_free "$port"; then printf '%s' "$port"; return; fi
  done
  while :; do
    port=$((RANDOM % 2000 + base))
    if port_is_free "$port"; then printf '%s' "$port"; return; fi
  done
}

# secret NAME BYTES: a random secret in base64url, made once and kept, readable by its owner only.
secret() {
  local file=$RUN/secrets/$1
  if [ ! -s "$file" ]; then
    mkdir -p "$RUN/secrets"
    chmod 700 "$RUN/secrets"
    (umask 077 && head -c "$2" /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d '=' >"$file")
  fi
  cat "$file"
}

# --- PostgreSQL -------------------------------------------------------------------------------

# as_postgres COMMAND…: PostgreSQL refuses root, so root runs it as the packages' user. Where that
# user cannot reach the directory (a checkout below /root), it is given the right to search.
as_postgres() {
  if [ "$(id -u)" != 0 ]; then
    "$@"
  elif setpriv --reuid=postgres --regid=postgres --init-groups test -x "$RUN" 2>/dev/null; then
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@")
  else
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups \
      --inh-caps=+dac_read_search --ambient-caps=+dac_read_search "$@")
  fi
}

# start_postgres DIR PORT PASSWORD [SETTING=VALUE…]: a private cluster, made on first use.
# Without a unix socket: its path would be bound to 107 bytes.
start_postgres() {
  local dir=$1 port=$2 password=$3 bin options setting
  shift 3
  bin=$(postgres_bin)
  mkdir -p "$dir"
  if [ ! -s "$dir/data/PG_VERSION" ]; then
    step "making a private PostgreSQL cluster ($("$bin/postgres" --version | grep -oE '[0-9.]+' | head -1))"
    [ "$(id -u)" != 0 ] || chown postgres "$dir"
    printf '%s' "$password" >"$dir/pwfile"
    [ "$(id -u)" != 0 ] || chown postgres "$dir/pwfile"
    chmod 600 "$dir/pwfile"
    rm -rf "$dir/data"
    as_postgres "$bin/initdb" -D "$dir/data" -U postgres -A scram-sha-256 --pwfile="$dir/pwfile" \
      -E UTF8 --locale=C.UTF-8 >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; fail "initdb failed"; }
    rm -f "$dir/pwfile"
  fi
  options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories="
  for setting in "$@"; do options="$options -c $setting"; done
  as_postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/server.log" -w -t 60 -o "$options" start \
    >"$dir/start.log" 2>&1 || { tail -n 20 "$dir/data/server.log" "$dir/start.log" >&2; fail "PostgreSQL did not start"; }
}

stop_postgres() {
  local dir=$1 bin
  bin=$(postgres_bin)
  [ -s "$dir/data/postmaster.pid" ] || return 0
  as_postgres "$bin/pg_ctl" -D "$dir/data" -w -t 60 -m fast stop >/dev/null 2>&1 || true
}

postgres_runs() {
  local bin
  bin=$(postgres_bin)
  [ -n "$bin" ] && [ -s "$1/data/PG_VERSION" ] && as_postgres "$bin/pg_ctl" -D "$1/data" status >/dev/null 2>&1
}

# --- Redis ------------------------------------------------------------------------------------

# start_redis DIR PORT PASSWORD: append-only, synced on every write; nothing acknowledged is lost.
start_redis() {
  local dir=$1 port=$2 password=$3
  mkdir -p "$dir"
  (umask 077 && cat >"$dir/redis.conf" <<CONF
bind 127.0.0.1
port $port
dir "$dir"
daemonize yes
pidfile "$dir/redis.pid"
logfile "$dir/redis.log"
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
requirepass $password
CONF
  )
  redis-server "$dir/redis.conf" >/dev/null
  wait_until 30 "Redis" redis_answers "$port" "$password"
}

redis_answers() { [ "$(REDISCLI_AUTH=$2 redis-cli -p "$1" ping 2>/dev/null)" = PONG ]; }

stop_redis() { stop_pid "$1/redis.pid" Redis; }

# --- processes --------------------------------------------------------------------------------

# pid_alive PIDFILE: the process that wrote it still lives. One that began after the file was written
# has only inherited the number (a reboot, a wrap), and must not be stopped in its place.
pid_alive() {
  local pid began
  [ -s "$1" ] || return 1
  pid=$(cat "$1")
  ! pid_gone "$pid" || return 1
  began=$(awk -v now="$(date +%s)" -v up="$(cut -d' ' -f1 /proc/uptime)" \
    '{ sub(/.*\) /, ""); printf "%d", now - up + $20 / 100 }' "/proc/$pid/stat" 2>/dev/null) || return 1
  [ "${began:-0}" -le $(($(stat -c %Y "$1") + 5)) ]
}

# A process that ended but that nobody has waited for is gone too.
pid_gone() { ! kill -0 "$1" 2>/dev/null || [ "$(awk '{print $3}' "/proc/$1/stat" 2>/dev/null)" = Z ]; }

# wait_until SECONDS WHAT COMMAND…: asks ten times a second; fails with a sentence.
wait_until() {
  local limit=$1 what=$2 until
  shift 2
  until=$((SECONDS + limit))
  while ! "$@"; do
    [ "$SECONDS" -lt "$until" ] || { printf 'ops: %s was not ready within %s s\n' "$what" "$limit" >&2; return 1; }
    read -r -t 0.1 <> <(:) || true
  done
}

# stop_pid PIDFILE NAME: asks politely, insists after 30 s (a gate answers what it accepted for 12 s).
stop_pid() {
  local file=$1 name=$2 pid
  pid_alive "$file" || { rm -f "$file"; return 0; }
  pid=$(cat "$file")
  kill -TERM "$pid" 2>/dev/null || true
  if ! wait_until 30 "the end of $name" pid_gone "$pid" 2>/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
  rm -f "$file"
}

# start_service NAME ENVFILE COMMAND…: detached from this terminal, log and pid under RUN.
start_service() {
  local name=$1 envfile=$2
  shift 2
  mkdir -p "$RUN/log"
  (
    set -a
    # shellcheck disable=SC1090
    . "$envfile"
    set +a
    exec setsid "$@" >>"$RUN/log/$name.log" 2>&1 </dev/null
  ) &
  printf '%s' $! >"$RUN/$name.pid"
}

http_ok() { curl -fsS -m 2 -o /dev/null "$1" 2>/dev/null; }

# service_ready NAME URL: true when it answers; stops the wait at once where it died.
service_ready() {
  if ! pid_alive "$RUN/$1.pid"; then
    tail -n 20 "$RUN/log/$1.log" >&2
    fail "$1 ended; its log is $RUN/log/$1.log"
  fi
  http_ok "$2"
}
