#!/bin/sh
# Makes .venv with the locked packages. It is a link into a cache, named after a hash of the requirement files and
# the interpreter, so that an environment which this computer has made before is ready at once.
set -eu
cd "$(dirname "$0")/../.."

for python in python3 python3.14 python3.13 python3.12 python3.11 none; do
    [ "$python" != none ] || {
        echo "no Python 3.11 or later found; on Debian and Ubuntu: apt-get install python3 python3-venv" >&2
        exit 1
    }
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
done

key=$({ cat requirements.txt requirements-dev.txt; "$python" -c 'import sys; print(sys.version, sys.prefix)'; } | sha256sum | cut -c 1-12)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/k3s-gpu-sharing/venv-$key
if [ ! -e "$venv/complete" ]; then
    echo "Python packages (once, about a minute) ..." >&2
    rm -rf "$venv"
    mkdir -p "${venv%/*}"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
            echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2
            exit 1
        fi
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python3-venv >/dev/null
        "$python" -m venv --clear "$venv"
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
    touch "$venv/complete"
fi
if [ -d .venv ] && [ ! -L .venv ]; then
    echo ".venv is a folder of your own; it is used as it is" >&2
else
    ln -sfn "$venv" .venv
fi
