#!/usr/bin/env bash
# init.sh [DIRECTORY]: makes .env.example real, as DIRECTORY/.env (here without one), and in DIRECTORY/.deploy the broker's users
# (users.acl) and what other hosts need (worker.env). What .env says already stays; twice is as good as once.
# Exit 2: a value is no good; 3: there is no Docker for this user. The sentence says what to do.
set -euo pipefail
directory=$(realpath "${1:-$(dirname "$0")/..}")
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

umask 077
env_file=$directory/.env
declare -A value=() kept=()

is_root() { [ "$(id -u)" -eq 0 ]; }

read_env() {
    local line
    [ ! -e "$env_file" ] || [ -r "$env_file" ] || die 2 "$env_file is not for this user to read: run make init as its owner, $(stat -c %U "$env_file")."
    [ -e "$env_file" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        [[ $line =~ ^([A-Z_]+)=(.*)$ ]] || continue
        kept[${BASH_REMATCH[1]}]=1
        value[${BASH_REMATCH[1]}]=$(sed -E "s/^(['\"])(.*)\1\$/\2/" <<<"${BASH_REMATCH[2]}")
    done <"$env_file"
}

# Where .env is silent, a SCAFFOLDRY_* variable that this script was given says it.
read_given() {
    local name
    for name in $(sed -nE 's/^#?(SCAFFOLDRY_[A-Z_]+)=.*/\1/p' .env.example); do
        [ -n "${!name:-}" ] || continue
        if [ -n "${kept[$name]:-}" ]; then
            [ "${value[$name]}" = "${!name}" ] || say "$name stays as $env_file has it; change it there."
        else
            value[$name]=${!name}
        fi
    done
}

# Services do not run as root: where root makes .env, they run as whoever called sudo, or owns the data directory.
owner() { # owner u|g
    local data=${value[SCAFFOLDRY_DATA_DIR]:-}
    if ! is_root; then
        id "-$1"
    elif [ "${SUDO_UID:-0}" -ne 0 ]; then
        if [ "$1" = u ]; then echo "$SUDO_UID"; else echo "$SUDO_GID"; fi
    elif [ -d "$data" ] && [ "$(stat -c %u "$data")" -ne 0 ]; then
        stat -c "%$1" "$data"
    else
        echo 1000
    fi
}

default_cache() { if is_root; then echo /var/cache/scaffoldry; else echo "${XDG_CACHE_HOME:-$HOME/.cache}/scaffoldry"; fi; }

default() { # default NAME: its value where nobody has said one
    case $1 in
        SCAFFOLDRY_DATA_DIR) echo "$directory/experiments" ;;
        SCAFFOLDRY_UID) owner u ;;
        SCAFFOLDRY_GID) owner g ;;
        SCAFFOLDRY_DOCKER_GID) socket_group ;;
        SCAFFOLDRY_WORKER_NAME) uname -n | cut -d. -f1 ;;
        SCAFFOLDRY_CACHE_DIR) default_cache ;;
        SCAFFOLDRY_SOCKET_DIR) echo "${value[SCAFFOLDRY_CACHE_DIR]}/sockets" ;;
        SCAFFOLDRY_SPEC_DIR | SCAFFOLDRY_COMPOSE_DIR) echo "$directory" ;;
        SCAFFOLDRY_COMPOSE) if docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then echo "docker compose"; else echo docker-compose; fi ;;
        *_PASSWORD | *_LOGIN) .venv/bin/python -c 'import secrets; print(secrets.token_hex(20))' ;;
    esac
}

socket() { echo "${value[SCAFFOLDRY_DOCKER_SOCKET]:-/var/run/docker.sock}"; }

socket_group() { stat -c %g "$(socket)"; }

check_docker() {
    [ -S "$(socket)" ] || die 3 "There is no Docker at $(socket): start it (make engine does), or set SCAFFOLDRY_DOCKER_SOCKET."
    [ -w "$(socket)" ] || die 3 "Docker's socket $(socket) is not for this user: sudo usermod -aG docker $(id -un), and log in again."
}

check_values() {
    local name
    for name in DATA CACHE SOCKET SPEC COMPOSE; do
        name=SCAFFOLDRY_${name}_DIR
        [[ ${value[$name]} =~ ^/[A-Za-z0-9._+@/-]+$ ]] ||
            die 2 "$name is ${value[$name]}: it must be an absolute path of letters, digits and . _ + @ - / alone, as Compose mounts it."
    done
    [ ${#value[SCAFFOLDRY_SOCKET_DIR]} -le 70 ] || die 2 "SCAFFOLDRY_SOCKET_DIR is too long for Unix sockets: name a folder of at most 70 characters."
    [ "${value[SCAFFOLDRY_SPEC_DIR]}" != "${value[SCAFFOLDRY_DATA_DIR]}" ] ||
        die 2 "SCAFFOLDRY_SPEC_DIR and SCAFFOLDRY_DATA_DIR are both ${value[SCAFFOLDRY_DATA_DIR]}: specs need a folder of their own."
    for name in SCAFFOLDRY_UID SCAFFOLDRY_GID SCAFFOLDRY_DOCKER_GID; do
        [[ ${value[$name]} =~ ^[0-9]+$ ]] || die 2 "$name is ${value[$name]}: it must be a number."
    done
    [ "${value[SCAFFOLDRY_UID]}" -ne 0 ] || die 2 "SCAFFOLDRY_UID is 0, and services do not run as root: name the user who owns the experiments."
    [ "${value[SCAFFOLDRY_DOCKER_GID]}" -eq "$(socket_group)" ] ||
        die 2 "SCAFFOLDRY_DOCKER_GID is ${value[SCAFFOLDRY_DOCKER_GID]}, but $(socket) belongs to group $(socket_group): take the line out of $env_file, and run make init again."
    for name in COORDINATOR_PASSWORD WORKER_PASSWORD FLOWER_PASSWORD FLOWER_LOGIN; do
        [[ ${value[SCAFFOLDRY_$name]} =~ ^[A-Za-z0-9._~-]+$ ]] || die 2 "SCAFFOLDRY_$name has a character that no URL may hold: take letters, digits and . _ ~ - alone."
    done
    [[ ${value[SCAFFOLDRY_COMPOSE]} =~ ^docker[\ -]compose$ ]] ||
        die 2 "SCAFFOLDRY_COMPOSE is ${value[SCAFFOLDRY_COMPOSE]}: it must be docker-compose, or docker compose."
    [[ ${value[SCAFFOLDRY_REDIS_ADDRESS]:-127.0.0.1} =~ ^[0-9]+(\.[0-9]+){3}$ ]] ||
        die 2 "SCAFFOLDRY_REDIS_ADDRESS is ${value[SCAFFOLDRY_REDIS_ADDRESS]}: give this host's IPv4 address in the lab's network, as in ip -4 address."
}

as_owner() {
    if is_root; then
        setpriv --reuid "${value[SCAFFOLDRY_UID]}" --regid "${value[SCAFFOLDRY_GID]}" --clear-groups "$@"
    else
        "$@"
    fi
}

give() { # give PATH...: to the services' user, where root makes it
    ! is_root || chown "${value[SCAFFOLDRY_UID]}:${value[SCAFFOLDRY_GID]}" "$@"
}

# The shared volume is not made here: where it is not mounted, a folder in its place would take the lab's results.
check_folders() {
    local name path
    for name in DATA CACHE SOCKET; do
        path=${value[SCAFFOLDRY_${name}_DIR]}
        if [ ! -e "$path" ]; then
            [ $name != DATA ] || [ "$path" = "$directory/experiments" ] || die 2 "There is no data directory $path: mount the shared volume, or make the folder, then run make init again."
            (umask 022 && mkdir -p "$path") || die 2 "SCAFFOLDRY_${name}_DIR cannot be made at $path: name a folder that you may make."
            give "$path"
        fi
        as_owner test -d "$path" -a -w "$path" -a -x "$path" ||
            die 2 "SCAFFOLDRY_${name}_DIR is $path, which user ${value[SCAFFOLDRY_UID]} may not write ($(stat -c 'it belongs to %U, mode %A' "$path")): give it to that user, or set SCAFFOLDRY_UID to its owner."
    done
    [ -d "${value[SCAFFOLDRY_SPEC_DIR]}" ] || die 2 "There is no folder of specs ${value[SCAFFOLDRY_SPEC_DIR]}: make it, or set SCAFFOLDRY_SPEC_DIR."
}

replace() { # replace FILE MODE: with stdin, where it says something else
    local new
    new=$(mktemp "$1.XXXXXX")
    cat >"$new"
    chmod "$2" "$new"
    give "$new"
    if cmp -s "$new" "$1"; then rm "$new"; else mv "$new" "$1"; fi
}

# A new .env is .env.example with its values; to one that is there, what it lacks is added.
env_lines() {
    local line
    [ ! -e "$env_file" ] || sed -e '$a\' "$env_file"
    while IFS= read -r line; do
        if [[ $line =~ ^#?([A-Z_]+)= ]] && [ -n "${value[${BASH_REMATCH[1]}]:-}" ]; then
            [ -n "${kept[${BASH_REMATCH[1]}]:-}" ] || echo "${BASH_REMATCH[1]}=${value[${BASH_REMATCH[1]}]}"
        elif [ ! -e "$env_file" ]; then
            echo "$line"
        fi
    done <.env.example
}

broker_users() {
    SCAFFOLDRY_COORDINATOR_PASSWORD=${value[SCAFFOLDRY_COORDINATOR_PASSWORD]} \
        SCAFFOLDRY_WORKER_PASSWORD=${value[SCAFFOLDRY_WORKER_PASSWORD]} \
        SCAFFOLDRY_FLOWER_PASSWORD=${value[SCAFFOLDRY_FLOWER_PASSWORD]} \
        .venv/bin/python -m shared.broker_acl
}

worker_env() {
    local name
    echo "# For docker-compose.worker.yml on another host, as .env beside it. Folders and Docker's group may be others there."
    echo "SCAFFOLDRY_BROKER_URL=redis://worker:${value[SCAFFOLDRY_WORKER_PASSWORD]}@${value[SCAFFOLDRY_REDIS_ADDRESS]}:${value[SCAFFOLDRY_REDIS_PORT]:-6379}/0"
    for name in DATA_DIR UID GID DOCKER_GID CACHE_DIR SOCKET_DIR; do
        echo "SCAFFOLDRY_$name=${value[SCAFFOLDRY_$name]}"
    done
}

read_env
read_given
check_docker
for name in $(sed -nE 's/^([A-Z_]+)=$/\1/p' .env.example); do
    value[$name]=${value[$name]:-$(default "$name")}
done
check_values
check_folders
users=$(broker_users)
mkdir -p "$directory/.deploy"
give "$directory/.deploy"
# The broker runs as a user of its own; nobody else of this host gets into the folder. It holds hashes, not passwords.
replace "$directory/.deploy/users.acl" 644 <<<"$users"
lines=$(env_lines)
replace "$env_file" 600 <<<"$lines"
say "$env_file and .deploy/users.acl are up to date."
case ${value[SCAFFOLDRY_REDIS_ADDRESS]:-127.0.0.1} in
    127.*) say "Only this host reaches the broker: SCAFFOLDRY_REDIS_ADDRESS in .env lets others in." ;;
    *)
        worker_env | replace "$directory/.deploy/worker.env" 600
        say "Other hosts take docker-compose.worker.yml, and .deploy/worker.env as their .env."
        ;;
esac
