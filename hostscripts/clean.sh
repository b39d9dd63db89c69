#!/bin/sh
# Leave this machine as it was found. Left here by converge, called by the host's ward when the host
# leaves the stack: clean PROJECT STACK HOST. Acts only on a machine that carries that very marker.
set -eu
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

own=/etc/k3s-gpu-sharing
mine="project=$1
stack=$2
host=$3
machine-id=$(cat /etc/machine-id)"

if [ "$(cat $own/owner 2>/dev/null || :)" != "$mine" ]; then
    echo "$3: this machine carries another owner's marker: left alone"
    exit 0
fi

exec 9>/run/lock/k3s-gpu-sharing.lock
flock -w 300 9 || {
    echo "$3: another run is still at work here after 300 s; run destroy again when it has ended" >&2
    exit 1
}

mkdir -p /run/k3s-gpu-sharing
out=$(mktemp /run/k3s-gpu-sharing/clean.XXXXXX)
(
    trap '' HUP PIPE TERM
    # k3s's own scripts know every mount and process of theirs; their exit code proves nothing.
    for script in k3s-uninstall.sh k3s-agent-uninstall.sh; do
        [ ! -x /usr/local/bin/$script ] || timeout 300 /usr/local/bin/$script || :
    done
    # An install that failed early has no such script; what it put here is taken away piece by piece.
    for unit in k3s k3s-agent; do
        [ ! -e /etc/systemd/system/$unit.service ] || timeout 120 systemctl disable --now $unit || :
        rm -f /etc/systemd/system/$unit.service /etc/systemd/system/$unit.service.env
    done
    systemctl daemon-reload || :
    rm -rf /etc/rancher/k3s /usr/local/bin/k3s /usr/local/bin/k3s.new
) >"$out" 2>&1 </dev/null &
wait $! || :

# /etc/rancher/node holds the node's password: a later cluster would refuse this machine with it.
rm -rf /etc/rancher/node

# What the GPU Operator's containers leave on the host, where it was not there before. Its driver mounts
# the host's own file system below /run/nvidia: unmount first, and never delete across a mount.
mounts() { awk -v path="$1" '$2 == path || index($2, path "/") == 1 { print $2 }' /proc/self/mounts; }
left=
while read -r path; do
    mounts "$path" | sort -r | while read -r mount; do umount -l "$mount" || :; done
    if [ -n "$(mounts "$path")" ]; then
        left="$left $path"
    else
        rm -rf --one-file-system "$path"
        rmdir "${path%/*}" 2>/dev/null || :
    fi
done <$own/absent-before

for path in /usr/local/bin/k3s /etc/rancher/k3s /etc/systemd/system/k3s.service /etc/systemd/system/k3s-agent.service; do
    [ ! -e $path ] || left="$left $path"
done
# These may be disks of their own, which stay, empty.
for path in /var/lib/rancher/k3s /var/lib/kubelet; do
    [ -z "$(find $path -mindepth 1 -maxdepth 1 ! -name lost+found 2>/dev/null || :)" ] || left="$left $path"
done
if [ -n "$left" ]; then
    tail -n 40 "$out" >&2
    rm -f "$out"
    echo "$3: still there:$left; look at what holds them (mount, ps), then run destroy again" >&2
    exit 1
fi
rm -f "$out"
rmdir /var/lib/rancher/k3s /var/lib/kubelet /etc/rancher /var/lib/rancher 2>/dev/null || :
rm -rf $own /usr/local/lib/k3s-gpu-sharing /run/k3s-gpu-sharing /run/lock/k3s-gpu-sharing.lock
echo "$3: clean"
