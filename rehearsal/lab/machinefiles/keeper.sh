#!/bin/sh
# Keeps one machine running: boots it, and boots it again each time it was rebooted from inside (systemd-nspawn ends
# with exit code 133 then). Ends when the machine was powered off.
#
# usage: keeper.sh UNIFIED_CGROUP SYSTEMD_CGROUP|"" SYSTEMD-NSPAWN ARGUMENT...
set -u
unified=$1
systemd=$2
shift 2

# A group of its own, beside the machine's: where controllers are handed down a group with groups in it may hold no
# process.
mkdir -p "$unified/keeper"
echo $$ >"$unified/keeper/cgroup.procs" || exit
if [ -n "$systemd" ]; then
    echo $$ >"$systemd/cgroup.procs" || exit
fi

while :; do
    # What the last boot left: with controllers handed down in it, it would take no process.
    [ ! -d "$unified/machine" ] || find "$unified/machine" -depth -type d -exec rmdir {} \;
    mkdir -p "$unified/machine"
    # shellcheck disable=SC2016  # $$ must be the id of the shell that becomes systemd-nspawn
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$unified/machine" "$@"
    code=$?
    [ "$code" -eq 133 ] || exit "$code"
done
