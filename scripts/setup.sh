#!/usr/bin/env bash
# Makes .venv: the locked dependencies, and this project in editable form.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

python=${PYTHON:-python3}
venv=.venv

command -v "$python" >/dev/null || die 3 "Scaffoldry needs Python 3.11 or newer, and there is no '$python' on the PATH: install it, or name one with PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die 3 "Scaffoldry needs Python 3.11 or newer, and '$python' is $("$python" --version 2>&1): name a newer one with PYTHON=..."

# Debian ships `venv` without `ensurepip` until python3-venv is installed.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    can_install || die 3 "'$python' can't make a virtual environment because its package $package is missing: install $package, then run make again."
    say "Installing $package with apt-get, to make a virtual environment."
    apt_install "$package" || die 3 "Could not install $package: install it by hand, then run make again."
fi

# A moved or half-made environment is made anew.
if [ -d "$venv" ] && ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
fi
say "Setting up $venv: the packages of requirements.lock, and this project."
"$python" -m venv "$venv"
# uv fetches many packages at once: a quarter of a minute where pip takes two.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check "$(grep '^uv==' requirements.lock)"
VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet -r requirements.lock
VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet --no-deps --editable .
touch "$venv/.stamp"
