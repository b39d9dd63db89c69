#!/bin/sh
# Leaves this machine as it was before k3s. converge.sh writes this script to /usr/local/lib/k3s-gpu-sharing/clean,
# and run-uninstall.sh calls it when the host is removed: clean PROJECT STACK HOST. It acts only on a machine with
# that owner marker. It trusts no exit status: in the end it searches for what is left, and names it.
set -eu
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
# shellcheck source=/dev/null
. ./timeouts.sh

marker_dir=/etc/k3s-gpu-sharing
marker="project=$1
stack=$2
host=$3
machine-id=$(cat /etc/machine-id)"

if [ "$(cat $marker_dir/owner 2>/dev/null || :)" != "$marker" ]; then
    echo "$3: this machine has another owner's marker; nothing was changed"
    exit 0
fi

exec 9>/run/lock/k3s-gpu-sharing.lock
flock -w "$UNINSTALL_LOCK_SECONDS" 9 || {
    echo "$3: another run is still at work here after $UNINSTALL_LOCK_SECONDS s" >&2
    echo "  remedy: run destroy again when it has ended" >&2
    exit 1
}

# mounts PATH: the mounts at or below it, the innermost first
mounts() { awk -v path="$1" '$2 == path || index($2, path "/") == 1 { print $2 }' /proc/self/mounts | sort -r; }

# The mounts of k3s, of its pods and of their networks. k3s's folders themselves may be disks, which stay mounted.
k3s_mounts() {
    awk '$2 ~ "^/(run/k3s|var/lib/kubelet|var/lib/rancher/k3s)/|^/run/netns/cni-" { print $2 }' /proc/self/mounts | sort -r
}

# The processes of k3s's programs and of its pods, as PID PROGRAM.
k3s_processes() {
    for process in /proc/[0-9]*; do
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        case $program in
        /usr/local/bin/k3s | /usr/local/bin/k3s\ * | /var/lib/rancher/k3s/*) ;;
        *) grep -qs /kubepods "$process/cgroup" || continue ;;
        esac
        printf '%s %s\n' "${process#/proc/}" "$program"
    done
}

k3s_interfaces() {
    awk '{ sub(/:.*/, ""); sub(/^ */, "") } /^(cni0|flannel[.]1|flannel-v6[.]1|flannel-wg(-v6)?|kube-ipvs0)$/' /proc/net/dev
}

# k3s_rules TOOL: the lines of iptables-save that kube-proxy, network policies and the pods' network have added
k3s_rules() { { timeout "$FIREWALL_SECONDS" "$1-save" 2>/dev/null || :; } | grep -iE 'KUBE-|CNI-|flannel' || :; }

# The kernel settings that differ from those before k3s, as NAME NOW BEFORE.
changed_sysctls() {
    [ -e $marker_dir/sysctl-before ] || return 0
    while read -r name before; do
        [ -w "/proc/sys/$name" ] || continue
        now=$(cat "/proc/sys/$name" 2>/dev/null) || continue
        [ "$now" = "$before" ] || printf '%s %s %s\n' "$name" "$now" "$before"
    done <$marker_dir/sysctl-before
}

# k3s's own scripts come first: they know its mounts and processes. A failed install may have none of them, and what
# they leave behind is removed step by step.
remove_k3s() {
    for script in k3s-uninstall.sh k3s-agent-uninstall.sh; do
        [ ! -x /usr/local/bin/$script ] || timeout "$UNINSTALL_SECONDS" /usr/local/bin/$script || :
    done
    for unit in k3s k3s-agent; do
        [ ! -e /etc/systemd/system/$unit.service ] || timeout "$DISABLE_SECONDS" systemctl disable --now $unit || :
        rm -f /etc/systemd/system/$unit.service /etc/systemd/system/$unit.service.env
    done
    systemctl daemon-reload || :
    k3s_processes | while read -r pid program; do
        echo "killing $pid $program"
        kill -9 "$pid" || :
    done
    k3s_mounts | while read -r mount; do umount "$mount" || umount -l "$mount" || :; done
    for interface in $(k3s_interfaces); do ip link delete "$interface" || :; done
    for tool in iptables ip6tables; do
        [ -n "$(k3s_rules $tool)" ] || continue
        timeout "$FIREWALL_SECONDS" $tool-save | grep -viE 'KUBE-|CNI-|flannel' | timeout "$FIREWALL_SECONDS" $tool-restore || :
    done
    changed_sysctls | while read -r name _ before; do printf '%s\n' "$before" >"/proc/sys/$name" || :; done
    # /etc/rancher/node holds the node's password: a later cluster would refuse this machine with it.
    rm -rf --one-file-system /etc/rancher/k3s /etc/rancher/node /run/k3s /run/flannel /run/netns/cni-* \
        /usr/local/bin/k3s /usr/local/bin/k3s.new /usr/local/bin/k3s-killall.sh /usr/local/bin/k3s-uninstall.sh \
        /usr/local/bin/k3s-agent-uninstall.sh || :
    k3s_data -exec rm -rf --one-file-system {} + || :
    # What the GPU Operator's containers have left on the host and was not there before. Its driver mounts the
    # host's own file system below /run/nvidia: unmount first, and never delete across a mount.
    while read -r path; do
        mounts "$path" | while read -r mount; do umount -l "$mount" || :; done
        if [ -z "$(mounts "$path")" ]; then rm -rf --one-file-system "$path" || :; fi
        rmdir "${path%/*}" 2>/dev/null || :
    done <$marker_dir/absent-before
}

# k3s_data EXPRESSION: find, on the contents of the data folders
k3s_data() {
    for path in /var/lib/rancher/k3s /var/lib/kubelet; do
        [ ! -d $path ] || find $path -mindepth 1 -maxdepth 1 ! -name lost+found "$@"
    done
}

# What is left of k3s and its operators, one a line.
leftovers() {
    for path in /usr/local/bin/k3s /usr/local/bin/k3s-*.sh /etc/rancher/k3s /etc/rancher/node \
        /etc/systemd/system/k3s.service* /etc/systemd/system/k3s-agent.service*; do
        [ ! -e "$path" ] || echo "$path"
    done
    for unit in k3s k3s-agent; do
        [ ! -L /etc/systemd/system/multi-user.target.wants/$unit.service ] || echo "unit $unit, enabled"
    done
    for name in kubectl crictl ctr; do
        case $(readlink /usr/local/bin/$name || :) in k3s | /usr/local/bin/k3s) echo /usr/local/bin/$name ;; esac
    done
    while read -r path; do [ ! -e "$path" ] || echo "$path"; done <$marker_dir/absent-before
    k3s_data
    k3s_mounts | sed 's/^/mount /'
    k3s_processes | sed 's/^/process /'
    k3s_interfaces | sed 's/^/interface /'
    for tool in iptables ip6tables; do
        count=$(k3s_rules $tool | grep -c '' || :)
        [ "$count" = 0 ] || echo "$count lines of k3s in $tool-save"
    done
    changed_sysctls | while read -r name now before; do echo "sysctl $name = $now (was $before)"; done
}

mkdir -p /run/k3s-gpu-sharing
out=$(mktemp /run/k3s-gpu-sharing/clean.XXXXXX)
(
    trap '' HUP PIPE TERM
    remove_k3s
) >"$out" 2>&1 </dev/null &
wait $! || :

left=$(leftovers)
if [ -n "$left" ]; then
    tail -n 40 "$out" >&2
    rm -f "$out"
    echo "$3: still there: $(printf '%s' "$left" | tr '\n' ';'); expected nothing of k3s and its operators" >&2
    echo "  remedy: look at what holds it (mount, ps, lsattr), then run destroy again" >&2
    exit 1
fi
rm -f "$out"
rmdir /var/lib/rancher/k3s /var/lib/kubelet /etc/rancher /var/lib/rancher 2>/dev/null || :
rm -rf $marker_dir /usr/local/lib/k3s-gpu-sharing /run/k3s-gpu-sharing /run/lock/k3s-gpu-sharing.lock
echo "$3: clean"
