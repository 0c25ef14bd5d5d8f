# shellcheck shell=bash
# What the scripts beside this file share: talking, giving up, and installing Debian packages.

say() { printf '%s\n' "$*" >&2; }

# die CODE SENTENCE: 3 means that a server or a system package can't be had.
die() {
    local code=$1
    shift
    say "$*"
    exit "$code"
}

# Runs a command as root, directly or through a sudo that asks for no password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

can_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

# apt_install PACKAGE...: refreshes the package lists only when there are none, or when they turn out too old to serve.
apt_install() {
    local log
    log=$(mktemp)
    if ! _apt_try "$@" >"$log" 2>&1; then
        if ! { as_root apt-get -qq update && _apt_try "$@"; } >>"$log" 2>&1; then
            tail -n 20 "$log" >&2
            rm -f "$log"
            return 1
        fi
    fi
    rm -f "$log"
}

_apt_try() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "$@"
}
