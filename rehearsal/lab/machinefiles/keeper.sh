#!/bin/sh
# Keeps one machine running: boots it, and boots it again each time it was rebooted from inside (systemd-nspawn ends
# with exit code 133 then). Ends when the machine was powered off.
#
# usage: keeper.sh UNIFIED_CGROUP "OTHER_CGROUP ..." "PREFIX ..." SYSTEMD-NSPAWN ARGUMENT...
# OTHER_CGROUP: the machine's groups in version 1 hierarchies. PREFIX: a command that starts another one, or nothing.
set -u
unified=$1
others=$2
prefix=$3
shift 3

# A group of its own, beside the machine's: where controllers are handed down a group with groups in it may hold no
# process.
mkdir -p "$unified/keeper"
echo $$ >"$unified/keeper/cgroup.procs" || exit
for group in $others; do echo $$ >"$group/cgroup.procs" || exit; done

while :; do
    # What the last boot left: with controllers handed down in it, it would take no process.
    [ ! -d "$unified/machine" ] || find "$unified/machine" -depth -type d -exec rmdir {} \;
    for group in $others; do find "$group" -mindepth 1 -depth -type d -exec rmdir {} \; ; done
    mkdir -p "$unified/machine"
    # shellcheck disable=SC2016,SC2086  # $$ must be the id of the shell that becomes systemd-nspawn; a prefix is words
    $prefix sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$unified/machine" "$@"
    code=$?
    [ "$code" -eq 133 ] || exit "$code"
done
