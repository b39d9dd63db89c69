#!/bin/sh
# Leaves this machine as it was before k3s. stage-host.sh writes this script to /usr/local/lib/k3s-gpu-sharing/clean,
# and run-uninstall.sh calls it when the host is removed: clean PROJECT STACK HOST. It acts only on a machine with
# that owner marker. It trusts no exit status: in the end it searches for what is left, and names it. Data is searched
# for where links and the kubelet's root-dir lead; a folder there that holds anything else is refused.
set -eu
cd / # a process that works in a data folder is one of k3s's
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
# shellcheck source=/dev/null
. ./timeouts.sh

host=$3
marker_dir=/etc/k3s-gpu-sharing
programs=$(readlink -f /usr/local/bin)
config_dir=/etc/rancher/k3s
data_dir=/var/lib/rancher/k3s
# shellcheck source=k3sgpu/hosts/scripts/parts/data.sh
. ./parts/data.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/release_lock.sh
. ./parts/release_lock.sh
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

# refuse PROBLEM REMEDY: end before anything is changed
refuse() {
    printf '%s: %s; nothing was changed\n  remedy: %s, then run destroy again\n' "$host" "$1" "$2" >&2
    exit 1
}

# data_names PATH: what k3s and the kubelet have in a data folder, as patterns of find. The kubelet's:
# kubernetes.io/docs/reference/node/kubelet-files.
data_names() {
    case $1 in
    "$config_dir") echo 'config.yaml config.yaml.d k3s.yaml registries.yaml agent-token server-token *.new' ;;
    /etc/rancher/node) echo 'password' ;;
    "$data_dir") echo 'agent data server storage' ;;
    "$data_dir"/*/containerd) echo 'io.containerd.* bin lib opt tmpmounts *.log *.gz' ;;
    "$data_dir"/*/images) echo '*.tar *.tar.* *.txt .cache*' ;;
    "$data_dir"/*/db) echo 'etcd snapshots state.db* tmp reset-flag' ;;
    "$data_dir"/*/etcd) echo 'config member name' ;;
    "$data_dir"/agent) echo 'containerd etc images pod-manifests *.crt *.key *.kubeconfig' ;;
    "$data_dir"/data) echo 'cni current previous .lock [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*' ;;
    "$data_dir"/server) echo 'agent-token cred db etc kine.sock manifests node-token static tls token' ;;
    "$data_dir"/storage) echo 'pvc-*' ;;
    */pods) echo '[0-9a-f]*-*-*-*-*' ;;
    *) echo 'actuated_pods_state allocated_pods_state checkpoints config.yaml cpu_manager_state device-plugins' \
        'dra_manager_state graceful_node_shutdown_state image_manager memory_manager_state pki plugins' \
        'plugins_registry pod-resources pods seccomp usernsfs' ;;
    esac
}

# foreign PATH FOLDER: what is in a folder and is not k3s's: another name, or it was there before k3s
foreign() (
    folder=$2
    set -f # the names are patterns of find
    # shellcheck disable=SC2046
    set -- $(data_names "$1")
    names=$#
    for name in "$@"; do set -- "$@" ! -name "$name"; done
    shift "$names"
    {
        find "$folder" -mindepth 1 -maxdepth 1 ! -name lost+found "$@"
        [ ! -e $marker_dir/data-before ] || contents "$folder" | grep -xF -f $marker_dir/data-before || :
    } | sort -u
)

# A folder that a link or the configuration leads to may be another's as well, up to / itself.
refuse_foreign_data() {
    while IFS=$tab read -r path target _; do
        [ ! -L "$path" ] || [ -e "$path" ] ||
            refuse "$path leads to $target, which is not there" "mount its disk, or delete the link if there is none"
        case $path in "$data_dir" | "$kubelet_dir" | /etc/rancher/*) [ "$path" != "$target" ] || continue ;; esac
        [ -d "$target" ] || continue
        others=$(foreign "$path" "$target")
        [ -z "$others" ] ||
            refuse "$path leads to $target, and this is in it and not k3s's: $(printf '%s' "$others" | head -n 5 | tr '\n' ' ')" \
                "move it elsewhere, or delete it if nobody needs it"
    done <$marker_dir/data-folders
}

# is_data PATH: whether it is below a data folder
is_data() {
    while IFS=$tab read -r _ target _; do case $1 in "$target"/*) return 0 ;; esac; done <$marker_dir/data-folders
    return 1
}

# All mounts as paths, the innermost first.
all_mounts() { awk '{ print $2 }' /proc/self/mounts | sed 's/\\040/ /g; s/\\134/\\/g' | sort -r; }

# mounts PATH: the mounts at or below it
mounts() { all_mounts | while IFS= read -r mount; do case $mount in "$1" | "$1"/*) printf '%s\n' "$mount" ;; esac; done; }

# The mounts of k3s, of its pods and of their networks. The data folders themselves may be disks, which stay mounted.
k3s_mounts() {
    all_mounts | while IFS= read -r mount; do
        case $mount in
        /run/k3s/* | /run/netns/cni-*) ;;
        *) is_data "$mount" || continue ;;
        esac
        printf '%s\n' "$mount"
    done
}

# works_in_data PROCESS: whether it runs in a data folder. Somebody's login that only stands there is not k3s's.
works_in_data() {
    is_data "$(readlink "$1/root" || :)/" || {
        is_data "$(readlink "$1/cwd" || :)/" && ! grep -qs /user.slice/ "$1/cgroup"
    }
}

# The processes of k3s's programs, deleted ones too, and of its pods, as PID PROGRAM.
k3s_processes() {
    for process in /proc/[0-9]*; do
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        case $program in
        "$programs/k3s" | "$programs/k3s "*) ;;
        *) is_data "$program" || works_in_data "$process" || grep -qs /kubepods "$process/cgroup" || continue ;;
        esac
        printf '%s %s\n' "${process#/proc/}" "$program"
    done 2>/dev/null
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

# Before anything deletes files: a disk of a pod that is still mounted would lose what is on it.
end_processes() {
    k3s_processes | while read -r pid program; do
        echo "killing $pid $program"
        kill -9 "$pid" || :
    done
    k3s_mounts | while IFS= read -r mount; do umount "$mount" || umount -l "$mount" || :; done
}

# k3s's own scripts know its network, but not where links lead. A failed install may have none of them, and what they
# leave behind is removed step by step.
remove_k3s() {
    for unit in k3s k3s-agent; do
        [ ! -e /etc/systemd/system/$unit.service ] || timeout "$DISABLE_SECONDS" systemctl stop $unit || :
    done
    end_processes
    for script in k3s-uninstall.sh k3s-agent-uninstall.sh; do
        [ ! -x /usr/local/bin/$script ] || timeout "$UNINSTALL_SECONDS" /usr/local/bin/$script || :
    done
    for unit in k3s k3s-agent; do
        [ ! -e /etc/systemd/system/$unit.service ] || timeout "$DISABLE_SECONDS" systemctl disable --now $unit || :
        rm -f /etc/systemd/system/$unit.service /etc/systemd/system/$unit.service.env
    done
    systemctl daemon-reload || :
    end_processes
    for interface in $(k3s_interfaces); do ip link delete "$interface" || :; done
    for tool in iptables ip6tables; do
        [ -n "$(k3s_rules $tool)" ] || continue
        timeout "$FIREWALL_SECONDS" $tool-save | grep -viE 'KUBE-|CNI-|flannel' | timeout "$FIREWALL_SECONDS" $tool-restore || :
    done
    changed_sysctls | while read -r name _ before; do printf '%s\n' "$before" >"/proc/sys/$name" || :; done
    rm -rf --one-file-system /run/k3s /run/flannel /run/netns/cni-* \
        /usr/local/bin/k3s /usr/local/bin/k3s.new /usr/local/bin/k3s-killall.sh /usr/local/bin/k3s-uninstall.sh \
        /usr/local/bin/k3s-agent-uninstall.sh || :
    # With /etc/rancher/node, which holds the node's password: a later cluster would refuse this machine with it.
    data_contents | while IFS= read -r path; do rm -rf --one-file-system "$path" || :; done
    # What the GPU Operator's containers have left on the host and was not there before. Its driver mounts the
    # host's own file system below /run/nvidia: unmount first, and never delete across a mount.
    while read -r path; do
        mounts "$path" | while read -r mount; do umount -l "$mount" || :; done
        if [ -z "$(mounts "$path")" ]; then rm -rf --one-file-system "$path" || :; fi
        rmdir "${path%/*}" 2>/dev/null || :
    done <$marker_dir/absent-before
}

# What is left of k3s and its operators, one a line.
leftovers() {
    for path in /usr/local/bin/k3s /usr/local/bin/k3s-*.sh \
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
    data_contents
    k3s_mounts | sed 's/^/mount /'
    k3s_processes | sed 's/^/process /'
    k3s_interfaces | sed 's/^/interface /'
    for tool in iptables ip6tables; do
        count=$(k3s_rules $tool | grep -c '' || :)
        [ "$count" = 0 ] || echo "$count lines of k3s in $tool-save"
    done
    changed_sysctls | while read -r name now before; do echo "sysctl $name = $now (was $before)"; done
}

# The folders that an administrator linked stay, and so do the links, which k3s's script deletes.
leave_folders() {
    while IFS=$tab read -r path target link; do
        if [ -z "$link" ]; then
            rmdir "$path" || :
        elif [ -d "$target" ]; then
            [ -e "$path" ] || ln -s "$link" "$path" || :
        fi
    done <$marker_dir/data-folders 2>/dev/null
    rmdir /etc/rancher /var/lib/rancher 2>/dev/null || :
}

# Whether converge.sh has come as far as configuring k3s. The first thing that it then writes is data-folders.
was_configured() {
    # A k3s that was to be taken over, and was not.
    [ ! -d $marker_dir/adopted ] || [ -e $marker_dir/adopted/begun ] || return 1
    for path in $marker_dir/data-folders /usr/local/bin/k3s /etc/systemd/system/k3s.service /etc/systemd/system/k3s-agent.service; do
        [ ! -e "$path" ] || return 0
    done
    return 1
}

finish() {
    rm -rf $marker_dir /usr/local/lib/k3s-gpu-sharing /run/k3s-gpu-sharing /run/lock/k3s-gpu-sharing.lock "$release_lock"
    echo "$host: clean"
    exit 0
}

# Where the machine was only staged, whatever has a name of k3s's was there before.
was_configured || {
    stop_download # parts/release_lock.sh
    finish
}
record_data_folders ""
refuse_foreign_data
stop_download
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
leave_folders
finish
