#!/bin/sh
# Puts a stack file's profiles before NVIDIA's own programs on the cards of this machine: `run [--output FILE]`.
# Needs root and NVIDIA's driver; no cluster, no network, no Go, no Python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# The plugin serves below /var/lib/kubelet, which may be a real kubelet's: in a mount namespace of its own
# an empty folder lies there instead, and nothing of it stays.
# shellcheck disable=SC2016
exec unshare --mount sh -c \
    'mount -t tmpfs none /var/lib && mkdir -p /var/lib/kubelet/device-plugins && exec "$0" "$@"' \
    "$here/proof" --folder "$here" "$@"
