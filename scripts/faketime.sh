#!/usr/bin/env bash
# Makes sure that there is libfaketime, with which the selftest moves the clock of its own processes. Without it that one row is
# not run, so where it is not to be had this says so, and does not fail.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

compgen -G "/usr/lib*/*/faketime/libfaketimeMT.so.1" >/dev/null && exit
compgen -G "/usr/lib*/faketime/libfaketimeMT.so.1" >/dev/null && exit
if can_install; then
    say "Installing libfaketime with apt-get."
    apt_install libfaketime && exit
fi
say "There is no libfaketime (Debian: libfaketime): the row of the selftest that moves clocks will not be run."
