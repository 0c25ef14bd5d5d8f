#!/usr/bin/env bash
# Remakes requirements.lock from pyproject.toml: one file for Python 3.11 and newer.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
[ -x "$uv" ] || { python3 -m venv .venv && .venv/bin/python -m pip install --quiet uv; }
temporary=$(mktemp)
trap 'rm -f "$temporary"' EXIT
{
    echo "# The exact versions behind pyproject.toml, with the extras dev and local, for Python 3.11 and newer."
    echo "# Remake it with: make lock"
    "$uv" pip compile --quiet --universal --python-version 3.11 --extra dev --extra local \
        --no-emit-index-url --no-header --upgrade pyproject.toml
} >"$temporary"
chmod 644 "$temporary"
cp "$temporary" requirements.lock
