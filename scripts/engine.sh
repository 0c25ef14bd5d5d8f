#!/usr/bin/env bash
# engine.sh start|stop|status|compose: a Docker engine, where none answers.
#   start    does nothing when an engine answers; else installs one if it may, starts it, and waits until it answers
#   stop     stops the engine that `start` started, and no other
#   status   exit 0 when an engine answers
#   compose  makes sure that there is a compose command, and prints it
# Exit 3: no engine is to be had; the sentence says what to do.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

state=${XDG_CACHE_HOME:-$HOME/.cache}/scaffoldry
pid_file=$state/engine.pid
log_file=$state/engine.log
socket=/var/run/docker.sock

# Asks the API itself, as the product does: a machine may have an engine and no docker command, or the reverse.
# Prints `ok`, `denied` (the socket is not for this user) or `none`.
ask_engine() {
    case ${DOCKER_HOST:-unix://$socket} in
        unix://*) ask_socket "${DOCKER_HOST:-unix://$socket}" ;;
        *) if docker version >/dev/null 2>&1; then echo ok; else echo none; fi ;;
    esac
}

ask_socket() {
    "${PYTHON:-python3}" - "${1#unix://}" <<'PYTHON'
import socket, sys

client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
try:
    client.connect(sys.argv[1])
    client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    print("ok" if b" 200 " in client.recv(4096).split(b"\r\n")[0] else "none")
except PermissionError:
    print("denied")
except OSError:
    print("none")
PYTHON
}

# is_running PID NAME: whether that process is there and is that program; a number alone may long be another's.
is_running() {
    [ -n "$1" ] && [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]
}

wait_until() { # wait_until SECONDS WORD
    local left=$1
    while [ "$(ask_engine)" != "$2" ]; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 1
    done
}

install_engine() {
    command -v dockerd >/dev/null && command -v iptables >/dev/null && command -v docker >/dev/null && return
    can_install || die 3 "No Docker engine answers and this user may not install one: install Docker (Debian: docker.io and iptables) and start it."
    say "No Docker engine answers: installing docker.io and iptables with apt-get."
    apt_install docker.io iptables || die 3 "Could not install docker.io and iptables: install Docker by hand and start it."
    # From Debian 13 on the client is a package of its own.
    command -v docker >/dev/null || apt_install docker-cli || die 3 "Could not install the docker command: install it by hand."
}

# What a killed engine leaves behind keeps the next one from starting once its number belongs to another process.
remove_stale_pid_files() {
    is_running "$(as_root cat /run/docker.pid 2>/dev/null)" dockerd || as_root rm -f /run/docker.pid
    local containerd=/run/docker/containerd/containerd.pid
    is_running "$(as_root cat $containerd 2>/dev/null)" containerd || as_root rm -f $containerd
}

run_dockerd() {
    say "Starting dockerd; its log is $log_file."
    mkdir -p "$state"
    remove_stale_pid_files
    local group=()
    [ "$(id -u)" -eq 0 ] || group=(--group "$(id -gn)") # so that this user may use the socket
    as_root setsid dockerd "${group[@]}" >"$log_file" 2>&1 </dev/null &
    if ! wait_until 60 ok; then
        tail -n 5 "$log_file" >&2
        stop_process "$(as_root cat /run/docker.pid 2>/dev/null)" || true
        die 3 "dockerd did not answer within 60 s; the end of its log is above."
    fi
    as_root cat /run/docker.pid >"$pid_file"
}

start() {
    case $(ask_engine) in
        ok) return ;;
        denied) die 3 "A Docker engine runs, but this user may not use it: add the user to the group docker (sudo usermod -aG docker $(id -un)) and log in again." ;;
    esac
    [ -z "${DOCKER_HOST:-}" ] || die 3 "DOCKER_HOST names $DOCKER_HOST, where no engine answers: start it, or unset DOCKER_HOST."
    install_engine
    # Where systemd runs, installing has started the engine, or systemd is the one to do it.
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker || die 3 "systemd could not start docker: see systemctl status docker."
        wait_until 30 ok || die 3 "The Docker engine was started by systemd but does not answer this user: see systemctl status docker; the user must be in the group docker."
        return
    fi
    [ "$(ask_engine)" = ok ] && return
    can_install || die 3 "No Docker engine answers and this user may not start one: start dockerd as root."
    run_dockerd
}

# stop_process PID: ends that dockerd; false when it has not ended after 30 s.
stop_process() {
    is_running "$1" dockerd || return 0
    as_root kill -TERM "$1"
    for _ in $(seq 60); do
        is_running "$1" dockerd || return 0
        sleep 0.5
    done
    return 1
}

stop() {
    local pid
    [ -f "$pid_file" ] || { say "No engine that this project started is running."; return; }
    pid=$(cat "$pid_file")
    say "Stopping the Docker engine that was started here."
    stop_process "$pid" || die 1 "dockerd ($pid) did not stop within 30 s; see $log_file."
    rm -f "$pid_file"
}

compose() {
    if docker compose version >/dev/null 2>&1; then
        echo "docker compose"
        return
    fi
    if ! command -v docker-compose >/dev/null; then
        can_install || die 3 "There is no compose command and this user may not install one: install docker-compose or Docker's compose plugin."
        say "Installing docker-compose with apt-get."
        apt_install docker-compose || die 3 "Could not install docker-compose: install it by hand, or Docker's compose plugin."
    fi
    echo docker-compose
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    status) [ "$(ask_engine)" = ok ] ;;
    compose) compose ;;
    *) die 2 "Usage: engine.sh start|stop|status|compose" ;;
esac
