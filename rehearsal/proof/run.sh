#!/bin/sh
# sh run.sh [OPTION ...]              unpacks the bundle that this script lies in, and runs the proof with these options
# sh run.sh run COMMAND [WORD ...]    runs a command in the unpacked bundle instead
#
# For root on a Linux machine with an NVIDIA card and its driver. It needs no network. Everything runs in namespaces of
# its own (mounts, processes, network), which end with it. Results lie in the folder `results` beside this script.
#   FOLDER=/var/tmp/k3s-gpu-sharing    where the bundle is unpacked, on a local disk with 4 GiB free
set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd)
folder=${FOLDER:-/var/tmp/k3s-gpu-sharing}
box=$folder/box
groups=/sys/fs/cgroup

fail() {
    echo "run.sh: $1" >&2
    exit 2
}

check() {
    [ "$(id -u)" = 0 ] || fail "this user: found uid $(id -u), expected root; run it with sudo"
    for command in tar xz sha256sum mount unshare chroot find; do
        command -v "$command" >/dev/null || fail "this machine: found no $command, expected it"
    done
    (cd "$here" && sha256sum --check --quiet sha256) || fail "$here: found pieces missing or damaged; copy them again"
}

# The archives in the pieces are unpacked in parallel.
unpack() {
    if [ -e "$folder/sha256" ] && cmp -s "$here/sha256" "$folder/sha256"; then return; fi
    echo "unpacking to $folder ..." >&2
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder/archives"
    cat "$here"/proof.[0-9][0-9] | tar -x -C "$folder/archives"
    waiting=
    for archive in "$folder"/archives/*.tar.xz; do
        tar -xJf "$archive" -C "$folder" --numeric-owner &
        waiting="$waiting $!"
    done
    for process in $waiting; do
        wait "$process" || fail "$folder: could not unpack the bundle there; expected 4 GiB free"
    done
    rm -r "$folder/archives"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$box/etc/hosts"
    mkdir -p "$box/host" "$box/results"
    cp "$here/sha256" "$folder/sha256"
}

# What the kernel needs for machines, where it has modules.
load_modules() {
    if command -v modprobe >/dev/null; then
        modprobe --quiet --all overlay bridge veth br_netfilter nf_conntrack vxlan || :
    fi
}

# The control groups of machines when a run was killed; their processes ended with its namespaces.
remove_groups() {
    for group in "$groups"/k3sgpu-* "$groups"/*/k3sgpu-*; do
        if [ -d "$group" ] && [ -z "$(find "$group" -name cgroup.procs -exec cat {} +)" ]; then
            find "$group" -depth -type d -exec rmdir {} \; || :
        fi
    done
}

# Runs in the new namespaces, whose mounts nobody else sees.
inside() {
    mount --bind "$box" "$box" # systemd-nspawn and ip want a mount point as their root
    mount -t proc proc "$box/proc"
    mount -t sysfs sysfs "$box/sys"
    mount --rbind "$groups" "$box$groups"
    mount --rbind /dev "$box/dev"
    mount -t tmpfs -o mode=755 tmpfs "$box/run"
    mount --bind / "$box/host" # the driver's files
    for place in /usr /usr/local /usr/local/nvidia; do
        ! mountpoint -q "$place" || mount --bind "$place" "$box/host$place"
    done
    mount --bind "$here/results" "$box/results"
    exec chroot "$box" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        PYTHONUNBUFFERED=1 K3SGPU_TOOLS=/opt/tools/tools.json \
        sh -c 'cd /opt/k3s-gpu-sharing && ip link set lo up && python3 -m rehearsal.lab.cards /host && "$@"' sh "$@"
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
fi
check
unpack
load_modules
mkdir -p "$here/results"
if [ "${1:-}" = run ]; then
    shift
else
    set -- python3 -m rehearsal.proof --report /results/proof.json "$@"
fi
status=0
unshare --mount --net --pid --fork --kill-child sh "$here/run.sh" --inside "$@" || status=$?
remove_groups
echo "results: $here/results" >&2
exit "$status"
