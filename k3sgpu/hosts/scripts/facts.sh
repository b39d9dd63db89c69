#!/bin/sh
# Reads what doctor has to know about this machine and prints it as "name<TAB>value" lines; a name may
# come several times. Changes nothing, needs no package, judges nothing: the rules are elsewhere.
#
# $1  how it runs: root, sudo (a login that became root), none or wrong-password (a login that did not)
# $2  in front of every path read; empty on a machine, a folder of captured files in tests
# $3  with none and wrong-password: what sudo said
#
# May be set in front: downloads  addresses that an installation would fetch from
#                      server     where the cluster's API is to be found
#                      names      host names that have to be known here
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
set -u

say() { printf '%s\t%s\n' "$1" "$(printf '%s' "$2" | tr '\t\n' '  ')"; }
each() { while IFS= read -r line; do [ -z "$line" ] || say "$1" "$line"; done; }
lacks() {
    if command -v modprobe >/dev/null 2>&1 && ! modprobe -n -q "$1" 2>/dev/null; then say kernel-lacks "$1"; fi
}
text() { [ ! -r "$1" ] || cat "$1" 2>/dev/null; }
# away URL: the HTTP status at the end of the way to it (000: no answer), the program that asked, its exit status
away() {
    if command -v curl >/dev/null 2>&1; then
        found=$(bounded 10 curl -sIL --max-time 8 -o /dev/null -w '%{http_code}' "$1" 2>/dev/null)
        printf '%s curl %s' "${found:-000}" "$?"
    elif command -v wget >/dev/null 2>&1; then
        found=$(bounded 10 wget -S --spider -t 1 -T 8 "$1" 2>&1)
        ended=$?
        printf '%s\n' "$found" |
            awk -v ended="$ended" '$1 ~ /^HTTP/ { s = $2 } END { printf "%s wget %s", s ? s : "000", ended }'
    else
        return 1
    fi
}
# Whether k3s's install script downloads its SELinux policy here: as its setup_selinux and install_selinux_rpm decide.
needs_policy() {
    [ -d "$root/usr/share/selinux" ] || return 1
    for file in redhat centos oracle fedora system; do
        [ ! -r "$root/etc/$file-release" ] || return 0
    done
    text "$root/etc/os-release" | grep -Eq '^ID_LIKE="?suse'
}
# certificates ADDRESS: of the cluster whose API answers there
certificates() {
    if command -v curl >/dev/null 2>&1; then
        bounded 7 curl -skf --max-time 5 "https://$1:6443/cacerts" 2>/dev/null
    else
        bounded 7 wget -q --no-check-certificate -t 1 -T 5 -O - "https://$1:6443/cacerts" 2>/dev/null
    fi
}
digest() { [ -z "$1" ] || printf '%s\n' "$1" | sha256sum | cut -d ' ' -f 1; }
# Asked beside each other and beside all other questions, because each may take its whole time.
ask() {
    for url in ${downloads-}; do
        case $(uname -m)$url in aarch64*/k3s) url=$url-arm64 ;; esac
        { ! status=$(away "$url") || say download "$url $status"; } &
    done
    if [ -n "${downloads-}" ] && needs_policy; then
        { ! status=$(away https://rpm.rancher.io/public.key) || say policy-download "$status"; } &
    fi
    if [ -n "${server-}" ]; then
        say api "$(digest "$(certificates "$server")")" &
    fi
    ! command -v getent >/dev/null 2>&1 || for name in ${names-}; do
        { bounded 8 getent ahosts "$name" >/dev/null 2>&1 || say unknown-name "$name"; } &
    done
}
bounded() {
    if command -v timeout >/dev/null 2>&1; then timeout -k 1 "$@"; else shift && "$@"; fi
}

# card_values FIELDS: of every card, a line each, where the driver knows these fields
card_values() {
    ! found=$(bounded 20 nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null) || printf '%s\n' "$found" | head -n 64
}
# The MIG partitions in what nvidia-smi -L prints on stdin, as "number of the card, profile".
partitions() {
    awk '$1 == "GPU" { card = $2 + 0 } $1 == "MIG" { print card, $2 }' | head -n 512
}

root=${2-}
# shellcheck source=k3sgpu/hosts/scripts/parts/k3s_files.sh
. ./parts/k3s_files.sh

# A function, so that nothing runs before all of it has arrived and nothing in it eats the rest from stdin.
look() {
    # First, before anything that may be slow: the clock is compared with the moment this line arrives.
    say time "$(date -u +%s)"

    ask

    say privileges "${1-none}"
    [ -z "${3-}" ] || say sudo-said "$3"

    say kernel "$(uname -s)"
    say kernel-release "$(uname -r)"
    say arch "$(uname -m)"
    say hostname "$(uname -n)"
    say os "$(text "$root/etc/os-release" | sed -n 's/^PRETTY_NAME=//p' | tr -d '"')"
    say os-id "$(text "$root/etc/os-release" | sed -n 's/^ID=//p' | tr -d '"')"
    say os-version "$(text "$root/etc/os-release" | sed -n 's/^VERSION_ID=//p' | tr -d '"')"
    [ ! -d "$root/run/systemd/system" ] || say systemd running
    say machine-id "$(text "$root/etc/machine-id")"
    # A container sees that of the computer it runs on.
    [ -e "$root/run/systemd/container" ] || say product-uuid "$(text "$root/sys/class/dmi/id/product_uuid")"
    say cpus "$(grep -c '^processor' "$root/proc/cpuinfo" 2>/dev/null)"
    say memory-kib "$(awk '$1 == "MemTotal:" { print $2 }' "$root/proc/meminfo" 2>/dev/null)"

    for tool in curl wget sha256sum flock timeout mktemp awk sed grep cut cmp od tee tar ip modprobe ps; do
        ! command -v "$tool" >/dev/null 2>&1 || say tool "$tool"
    done

    say cgroup-fs "$(stat -fc %T "$root/sys/fs/cgroup" 2>/dev/null)"
    say cgroup-controllers "$(text "$root/sys/fs/cgroup/cgroup.controllers")"

    # k3s keeps its data under /var/lib/rancher; the nearest folder that exists shows the file system.
    for dir in "$root/var/lib/rancher/k3s" "$root/var/lib/rancher" "$root/var/lib"; do
        [ -d "$dir" ] || continue
        # A folder may be a link to another disk.
        resolved=$(readlink -f "$dir" 2>/dev/null)
        resolved=${resolved:-$dir}
        at=$(df -P "$dir" 2>/dev/null | awk 'NR == 2 { print $6 }')
        awk -v at="$at" -v dir="${resolved#"$root"}" '$2 == at { found = $3 " " $4 } END { if (found) print dir, found }' \
            "$root/proc/mounts" 2>/dev/null | each data-mounted
        say disk-free-kib "$(df -Pk "$dir" 2>/dev/null | awk 'NR == 2 { print $4 }')"
        say inodes-free "$(df -Pi "$dir" 2>/dev/null | awk 'NR == 2 && $2 > 0 { print $4 }')"
        break
    done
    say program-free-kib "$(df -Pk "$root/usr/local/bin" 2>/dev/null | awk 'NR == 2 { print $4 }')"

    # What the file systems are mounted with that k3s is to write to and to run programs from.
    for dir in "$root/var/lib" "$root/usr/local/bin"; do
        [ -d "$dir" ] || continue
        at=$(df -P "$dir" 2>/dev/null | awk 'NR == 2 { print $6 }')
        awk -v at="$at" -v dir="${dir#"$root"}" '$2 == at { found = $4 } END { if (found) print dir, found }' \
            "$root/proc/mounts" 2>/dev/null | each mounted
    done
    say zfs "$(text "$root/sys/module/zfs/version")"
    awk 'NR > 1 && $3 > 0 { print $1 }' "$root/proc/swaps" 2>/dev/null | each swap

    # Modules may be built in, loaded, or loadable: the effect is asked for first, then modprobe.
    grep -qw overlay "$root/proc/filesystems" 2>/dev/null || lacks overlay
    [ -e "$root/proc/sys/net/bridge/bridge-nf-call-iptables" ] || lacks br_netfilter
    [ -e "$root/proc/sys/net/netfilter/nf_conntrack_max" ] || lacks nf_conntrack
    [ -d "$root/sys/module/vxlan" ] || lacks vxlan
    [ -d "$root/sys/module/wireguard" ] || lacks wireguard
    [ ! -d "$root/lib/modules/$(uname -r)/build" ] || say kernel-headers there

    [ "$(text "$root/sys/fs/selinux/enforce")" != 1 ] || say selinux enforcing
    [ ! -e "$root/usr/share/selinux/packages/k3s.pp" ] || say selinux-policy k3s
    [ "$(text "$root/sys/module/apparmor/parameters/enabled")" != Y ] || say apparmor enabled
    ! command -v apparmor_parser >/dev/null 2>&1 || say apparmor-parser there
    ! command -v iptables >/dev/null 2>&1 || say iptables "$(bounded 5 iptables --version 2>/dev/null)"
    [ "$(bounded 5 systemctl is-enabled nm-cloud-setup.service 2>/dev/null)" != enabled ] || say nm-cloud-setup enabled
    say clock-synchronized "$(bounded 5 timedatectl show -p NTPSynchronized --value 2>/dev/null)"
    for variable in "$root"/sys/firmware/efi/efivars/SecureBoot-*; do
        [ -e "$variable" ] || continue
        [ "$(od -An -tu1 -j4 -N1 "$variable" 2>/dev/null | tr -d ' ')" != 1 ] || say secure-boot enabled
    done
    say lockdown "$(text "$root/sys/kernel/security/lockdown" | sed -n 's/.*\[\(.*\)\].*/\1/p')"

    ! command -v ip >/dev/null 2>&1 || ip -4 route show 2>/dev/null |
        awk '$1 ~ /\// { for (n = 2; n < NF; n++) if ($n == "dev") print $1, $(n + 1) }' | each route
    ! command -v ip >/dev/null 2>&1 || ip -o addr show 2>/dev/null |
        awk '{ sub("/.*", "", $4); sub("@.*", "", $2); print $4, $2 }' | each address
    [ -z "${server-}" ] || ! command -v ip >/dev/null 2>&1 || ip -4 -o route get "$server" 2>/dev/null |
        awk '{ for (n = 1; n < NF; n++) if ($n == "src") print $(n + 1) }' | each source
    awk '$2 == "00000000" && $8 == "00000000" { print $1; exit }' "$root/proc/net/route" 2>/dev/null |
        each default-route
    awk '$1 == "00000000000000000000000000000000" && $2 == "00" && $10 != "lo" { print $10; exit }' \
        "$root/proc/net/ipv6_route" 2>/dev/null | each default-route

    # In the files where k3s looks for name servers that pods can use.
    for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
        text "$root$file" | awk -v file="$file" '$1 == "nameserver" { print file, $2 }' | head -n 32 | each nameserver
    done

    # Listening TCP ports in the kernel's own hexadecimal, and who holds them where ss can say.
    cat "$root/proc/net/tcp" "$root/proc/net/tcp6" 2>/dev/null |
        awk '$4 == "0A" { n = split($2, part, ":"); print part[n] }' | sort -u | each listens
    ! command -v ss >/dev/null 2>&1 || bounded 5 ss -Htlnp 2>/dev/null | head -n 200 |
        awk '{ n = split($4, part, ":"); if (split($0, name, "\"") > 1) print part[n] " " name[2] }' |
        sort -u | each listener
    cat "$root/proc/net/udp" "$root/proc/net/udp6" 2>/dev/null |
        awk '$2 ~ /:/ { n = split($2, part, ":"); print part[n] }' | sort -u | each listens-udp

    # Ours, and anything else of Kubernetes.
    text "$root/etc/k3s-gpu-sharing/owner" | sed -n 's/^\([a-z-]*\)=/\1 /p' | each owner
    for bin in /usr/local/bin/k3s /opt/bin/k3s /usr/bin/k3s; do
        [ -x "$root$bin" ] || continue
        say k3s-binary "$bin"
        say k3s-version "$(bounded 5 "$root$bin" --version 2>/dev/null | awk 'NR == 1 { print $3 }')"
        break
    done
    for unit in "$root"/etc/systemd/system/k3s*.service; do
        [ -e "$unit" ] || continue
        unit=${unit##*/}
        active=$(bounded 5 systemctl is-active "$unit" 2>/dev/null)
        say k3s-unit "$unit $active"
        # Only where k3s runs: its program unpacks itself at the first such call.
        [ "$active" != active ] || bounded 10 "$root/usr/local/bin/k3s" check-config 2>/dev/null |
            sed -n 's/^- \([A-Za-z0-9_]*\): missing (fail).*/\1/p' | each check-config
    done
    files=$(k3s_files)
    [ -z "$files" ] || say k3s-files "$(k3s_files_hash)"
    say own-ca "$(digest "$(text "$root/var/lib/rancher/k3s/server/tls/server-ca.crt")")"
    if [ -r "$root/var/lib/rancher/k3s/agent/etc/containerd/config.toml" ]; then
        say containerd-config "$(text "$root/var/lib/rancher/k3s/agent/etc/containerd/config.toml" |
            awk '/nvidia/ { found = 1 } END { print found ? "nvidia" : "plain" }')"
    fi
    for service in docker containerd kubelet; do
        ! bounded 5 systemctl is-active --quiet "$service" 2>/dev/null || say service "$service"
    done
    for path in /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf /var/lib/rancher/rke2 \
        /var/snap/microk8s /var/snap/k8s /var/lib/k0s; do
        [ ! -e "$root$path" ] || say kubernetes "$path"
    done

    ! bounded 5 systemctl is-active --quiet firewalld 2>/dev/null || say firewall firewalld
    ! grep -qs '^ENABLED=yes' "$root/etc/ufw/ufw.conf" || say firewall ufw

    # GPUs as the PCI bus shows them: VGA (0300) and 3D (0302) controllers of vendor 10de.
    for device in "$root"/sys/bus/pci/devices/*; do
        [ "$(text "$device/vendor")" = 0x10de ] || continue
        case $(text "$device/class") in
        0x0300* | 0x0302*)
            board="$(text "$device/subsystem_vendor") $(text "$device/subsystem_device")"
            say pci-gpu "${device##*/} $(text "$device/device") $board"
            [ ! -e "$device/driver" ] || say pci-driver "$(basename "$(readlink "$device/driver")")"
            ;;
        0x0680*) say nvswitch "${device##*/}" ;;
        esac
    done
    ! bounded 5 systemctl is-active --quiet nvidia-fabricmanager 2>/dev/null || say fabric-manager active
    [ ! -d "$root/sys/module/nouveau" ] || say nouveau loaded
    [ ! -d "$root/sys/module/nvidia" ] || say nvidia-module "$(text "$root/sys/module/nvidia/version")"
    [ ! -d "$root/run/nvidia/driver/usr" ] || say operator-driver /run/nvidia/driver
    # Eight cards without persistence mode take more than ten seconds to answer, so all questions go beside each
    # other. One that an older driver does not know has no answer.
    if command -v nvidia-smi >/dev/null 2>&1; then
        { bounded 20 nvidia-smi -L 2>/dev/null | partitions | each mig-partition; } &
        { card_values mig.mode.current | each mig-mode; } &
        { card_values fabric.state,fabric.status | each fabric; } &
        answer=$(bounded 20 nvidia-smi --query-gpu=name,memory.total --format=csv,noheader 2>&1)
        say nvidia-smi-status "$?"
        printf '%s\n' "$answer" | head -n 64 | each nvidia-smi
    fi
    # Where k3s looks, in its order.
    for dir in /usr/local/nvidia/toolkit /usr/bin; do
        [ ! -x "$root$dir/nvidia-container-runtime" ] || say toolkit "$dir/nvidia-container-runtime"
    done
    # Options that are not set have their defaults. Those of sections follow after the first "[".
    text "$root/etc/nvidia-container-runtime/config.toml" | awk '
        /^[ \t]*\[/ { exit }
        /^[ \t]*accept-nvidia-visible-devices-[a-z-]+[ \t]*=[ \t]*(true|false)/ {
            gsub(/[ \t]/, ""); sub(/#.*/, ""); split($0, part, "="); print part[1], part[2]
        }' | each toolkit-option

    wait
    say end ok
}

look "$@" </dev/null
