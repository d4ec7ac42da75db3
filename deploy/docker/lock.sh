#!/bin/sh
# Writes requirements.lock and build.lock anew: the versions in the image, with the hashes of all their wheels.
# Needs uv, which needs not be in the image: UV=path/to/uv deploy/docker/lock.sh
set -eu
cd "$(dirname "$0")/../.."
uv=${UV:-uv}

compile() { # file, arguments
    out=$1
    shift
    {
        printf '# Written by deploy/docker/lock.sh (make lock) from pyproject.toml; do not edit.\n'
        "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
            --upgrade --no-config "$@"
    } >"$out.new"
    mv "$out.new" "$out"
    printf '%s: %s packages\n' "$out" "$(grep -c == "$out")"
}

compile deploy/docker/requirements.lock pyproject.toml
python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' |
    compile deploy/docker/build.lock -
