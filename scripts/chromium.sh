#!/usr/bin/env bash
# Makes sure that there is a Chromium and its chromedriver, for the tests that read Flower's page as people do.
# Exit 3: they are not to be had; the sentence says what to do.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit
can_install || die 3 "There is no chromium or no chromedriver, and this user may not install them: install both (Debian: chromium and chromium-driver)."
say "Installing chromium and chromium-driver with apt-get."
apt_install chromium chromium-driver || die 3 "Could not install chromium and chromium-driver: install them by hand."
