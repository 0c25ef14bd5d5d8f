#!/usr/bin/env bash
# The quickstart from nothing to its table: an engine, the sandbox image, the model, the run. Silent about what is there already.
# MODEL=... runs it with another model.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

model=${MODEL:-local/smollm2}

if ! scripts/engine.sh status; then
    scripts/engine.sh start
    say "The Docker engine is left running; stop it with: make engine-stop"
fi
.venv/bin/scaffoldry image build
case $model in
    local/*) .venv/bin/scaffoldry models pull "$model" ;;
esac
options=()
[ -z "${MODEL:-}" ] || options=(--set "executor.model=$MODEL")
exec .venv/bin/scaffoldry run examples/quickstart/experiment.yaml "${options[@]}"
