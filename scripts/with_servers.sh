#!/usr/bin/env bash
# with_servers.sh COMMAND...: runs a command that needs everything (an engine, Redis, Chromium, a compose command, the sandbox
# image, the weights) and exits as it does. Stops before it where one of them can't be had. An engine started for it is stopped after.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

if ! scripts/engine.sh status; then
    scripts/engine.sh start
    trap 'scripts/engine.sh stop' EXIT
fi
scripts/redis.sh
scripts/chromium.sh
scripts/engine.sh compose >/dev/null
.venv/bin/scaffoldry image build
.venv/bin/scaffoldry models pull local/smollm2

code=0
"$@" || code=$?
exit "$code"
