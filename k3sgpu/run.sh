#!/bin/sh
# sh k3sgpu/run.sh COMMAND ...: runs `python -m k3sgpu COMMAND ...` in the project's folder, with the interpreter of
# the project's environment. The Pulumi program starts its commands through this script, because a Command's text is
# an input: it must be the same on every computer, wherever the environment is.
#
# The interpreter is the first of:
#   $K3SGPU_PYTHON, a path or the name of a command
#   the activated environment ($VIRTUAL_ENV), if it has this project's packages
#   the environment that Pulumi.yaml names (virtualenv)
#   .venv
set -eu
cd -- "$(dirname -- "$0")/.."

run() {
    python=$1
    shift
    exec "$python" -m k3sgpu "$@"
}

# An activated environment may belong to another project. asyncssh is one of this project's packages.
has_packages() {
    for package in "$1"/lib/python3*/site-packages/asyncssh; do
        [ ! -d "$package" ] || return 0
    done
    return 1
}

if [ -n "${K3SGPU_PYTHON:-}" ]; then
    if command -v "$K3SGPU_PYTHON" >/dev/null; then run "$K3SGPU_PYTHON" "$@"; fi
    echo "K3SGPU_PYTHON is $K3SGPU_PYTHON, which is no program; set it to a Python interpreter, or unset it" >&2
    exit 2
fi

active=${VIRTUAL_ENV:-}
if [ -n "$active" ] && [ -x "$active/bin/python" ] && has_packages "$active"; then run "$active/bin/python" "$@"; fi

named=$(sed -n "s/^[[:space:]]*virtualenv:[[:space:]]*[\"']\{0,1\}\([^\"'#]*[^\"'#[:space:]]\).*/\1/p" Pulumi.yaml)
for environment in "${named:-.venv}" .venv; do
    if [ -x "$environment/bin/python" ]; then run "$environment/bin/python" "$@"; fi
done

{
    echo "no Python environment of this project was found in $PWD; looked at:"
    echo "  K3SGPU_PYTHON: not set"
    if [ -n "$active" ]; then
        echo "  VIRTUAL_ENV: $active, which has no interpreter or not this project's packages"
    else
        echo "  VIRTUAL_ENV: not set"
    fi
    if [ -n "$named" ]; then
        echo "  virtualenv in Pulumi.yaml: $named, which has no bin/python"
    else
        echo "  virtualenv in Pulumi.yaml: not set"
    fi
    echo "  .venv: no bin/python"
    echo "remedy: make the environment with pulumi install (or make venv), or set K3SGPU_PYTHON to its interpreter"
} >&2
exit 2
