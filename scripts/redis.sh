#!/usr/bin/env bash
# Makes sure that there is a redis-server program. It starts none: tests start their own.
# Exit 3: it is not to be had; the sentence says what to do.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

policy=/usr/sbin/policy-rc.d

command -v redis-server >/dev/null && exit
can_install || die 3 "There is no redis-server and this user may not install it: install Redis (Debian: redis-server)."
say "Installing redis-server with apt-get; no service is started."
# Debian starts a service when it is installed, unless this file forbids it.
if [ ! -e $policy ]; then
    trap 'as_root rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
fi
apt_install redis-server || die 3 "Could not install redis-server: install Redis by hand."
