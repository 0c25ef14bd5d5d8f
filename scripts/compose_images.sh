#!/usr/bin/env bash
# Builds the image of the compose file's services. No image registry is needed: without one the base is the image that
# `scaffoldry image build` makes from Debian's packages. Wheels are fetched here, on the host, for the base's Python.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

image=${SCAFFOLDRY_SERVICE_IMAGE:-scaffoldry/services:latest}
base=${BASE_IMAGE:-}
official=python:3.12-slim
fallback=scaffoldry/base:bookworm
context=build/image

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

choose_base() {
    for candidate in $official $fallback; do
        has_image "$candidate" && { echo "$candidate"; return; }
    done
    timeout 120 docker pull --quiet $official >/dev/null 2>&1 && { echo $official; return; }
    say "No registry gives $official: building on $fallback, made from Debian's packages."
    .venv/bin/scaffoldry image build >&2
    has_image $fallback || die 3 "scaffoldry image build made no $fallback: name a base image with Python 3.11 or newer by BASE_IMAGE=..."
    echo $fallback
}

# The packages that the base's Python needs (markers are its, not the host's), at the versions of requirements.lock.
fetch_dependencies() { # fetch_dependencies PYTHON_VERSION MACHINE
    local directory=$context/dependencies platforms=()
    for libc in manylinux_2_34 manylinux_2_31 manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux_2_12 manylinux2010 manylinux_2_5 manylinux1 linux; do
        platforms+=(--platform "${libc}_$2")
    done
    mkdir -p $directory
    .venv/bin/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --python-version "$1" \
        --python-platform "$2-manylinux_2_34" --extra local --constraint requirements.lock pyproject.toml >$context/requirements.new
    if ! cmp -s $context/requirements.new $directory/requirements.txt; then
        rm -f $directory/*.whl
        .venv/bin/python -m pip download -qq --disable-pip-version-check --no-deps --only-binary :all: \
            --implementation cp --python-version "$1" "${platforms[@]}" --dest $directory -r $context/requirements.new
        mv $context/requirements.new $directory/requirements.txt
    fi
    rm -f $context/requirements.new
}

build_project() {
    rm -rf $context/project
    .venv/bin/python -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir $context/project .
}

mkdir -p build
exec 9>build/.lock
flock 9 # one at a time in this checkout
[ -n "$base" ] || base=$(choose_base)
version=$(docker run --rm --network none "$base" python3 -c 'import os, sys; print("%d.%d.%d" % sys.version_info[:3], os.uname().machine)')
read -r python machine <<<"$version"
fetch_dependencies "$python" "$machine"
build_project
previous=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The classic builder: Debian's client comes without BuildKit's.
if ! DOCKER_BUILDKIT=0 docker build --quiet --build-arg BASE_IMAGE="$base" --tag "$image" . >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    die 1 "Could not build $image on $base; the end of the log is above."
fi
# Builds would pile up otherwise. One that a running service still uses stays.
if [ -n "$previous" ] && [ "$previous" != "$(docker image inspect --format '{{.Id}}' "$image")" ]; then
    docker image rm "$previous" >/dev/null 2>&1 || say "The image that $image was before is still in use, and stays."
fi
say "$image is up to date (on $base)."
