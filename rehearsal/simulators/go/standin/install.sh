#!/bin/sh
# Stand-in for k3s's install script, for rehearsal machines with systemd.
#
# It keeps k3s's contract: variables INSTALL_K3S_*, verb by argument or INSTALL_K3S_EXEC, unit and
# env file, links, killall and uninstall scripts, and the same silence about changes in
# configuration files. It downloads the binary of INSTALL_K3S_VERSION from where k3s's releases are, unless it
# is in place already (INSTALL_K3S_SKIP_DOWNLOAD), which is how an air-gapped k3s is installed too.
#
# Usage: INSTALL_K3S_SKIP_DOWNLOAD=true sh install.sh [server|agent] [k3s options]
set -e
set -o noglob

BIN_DIR=/usr/local/bin
SYSTEMD_DIR=/etc/systemd/system
GITHUB_URL=${GITHUB_URL:-https://github.com/k3s-io/k3s/releases}

info() { echo '[INFO] ' "$@"; }
fatal() {
    echo '[ERROR] ' "$@" >&2
    exit 1
}

# Refuses what is not played, rather than to do something else than asked.
check_request() {
    [ "$(id -u)" -eq 0 ] || fatal 'k3s stand-in: must run as root'
    command -v systemctl >/dev/null 2>&1 || fatal 'Can not find systemd or openrc to use as a process supervisor for k3s'
    for variable in INSTALL_K3S_NAME INSTALL_K3S_TYPE INSTALL_K3S_BIN_DIR INSTALL_K3S_BIN_DIR_READ_ONLY; do
        eval "value=\${$variable:-}"
        [ -z "$value" ] || fatal "k3s stand-in: $variable is not played: found '$value', expected it unset"
    done
    [ "${INSTALL_K3S_SYSTEMD_DIR:-$SYSTEMD_DIR}" = "$SYSTEMD_DIR" ] ||
        fatal "k3s stand-in: INSTALL_K3S_SYSTEMD_DIR is not played: found '$INSTALL_K3S_SYSTEMD_DIR', expected it unset"
    case "${K3S_URL:-}" in
        '' | https://*) ;;
        *) fatal "Only https:// URLs are supported for K3S_URL (have ${K3S_URL})" ;;
    esac
}

# As k3s's script: the checksums first, then the binary, unless the installed one is the same.
download_and_verify() {
    case "${INSTALL_K3S_SKIP_DOWNLOAD:-}" in
        true | binary)
            info 'Skipping k3s download and verify'
            [ -x "$BIN_DIR/k3s" ] || fatal "Executable k3s binary not found at $BIN_DIR/k3s"
            return
            ;;
    esac
    [ -n "${INSTALL_K3S_VERSION:-}" ] ||
        fatal 'k3s stand-in: channels are not played: found no INSTALL_K3S_VERSION, expected a release'
    case $(uname -m) in
        x86_64) ARCH=amd64 SUFFIX='' ;;
        aarch64) ARCH=arm64 SUFFIX=-arm64 ;;
        *) fatal "Unsupported architecture $(uname -m)" ;;
    esac
    # As k3s's own script does.
    TMP_DIR=$(mktemp -d -t k3s-install.XXXXXXXXXX)
    trap 'rm -rf "$TMP_DIR"' EXIT
    info "Using $INSTALL_K3S_VERSION as release"
    download "$TMP_DIR/k3s.hash" "sha256sum-$ARCH.txt"
    HASH_EXPECTED=$(grep " k3s$SUFFIX$" "$TMP_DIR/k3s.hash" | cut -d ' ' -f 1)
    [ -n "$HASH_EXPECTED" ] || fatal "The release's checksums do not name k3s$SUFFIX"
    if [ "$HASH_EXPECTED" = "$(hash_of "$BIN_DIR/k3s")" ]; then
        info 'Skipping binary downloaded, installed k3s matches hash'
        return
    fi
    download "$TMP_DIR/k3s.bin" "k3s$SUFFIX"
    info 'Verifying binary download'
    [ "$HASH_EXPECTED" = "$(hash_of "$TMP_DIR/k3s.bin")" ] || fatal "Download sha256 does not match $HASH_EXPECTED"
    info "Installing k3s to $BIN_DIR/k3s"
    chmod 755 "$TMP_DIR/k3s.bin"
    mv -f "$TMP_DIR/k3s.bin" "$BIN_DIR/k3s"
}

# $1: file; $2: its name in the release.
download() {
    info "Downloading $GITHUB_URL/download/$INSTALL_K3S_VERSION/$2"
    curl -o "$1" -sfL "$GITHUB_URL/download/$INSTALL_K3S_VERSION/$2" || fatal 'Download failed'
}

hash_of() { sha256sum "$1" 2>/dev/null | cut -d ' ' -f 1; }

# Sets VERB, UNIT (k3s or k3s-agent) and EXEC_LINES, the unit's command line.
choose_verb() {
    case "${1:-}" in
        -* | '')
            VERB=server
            if [ -n "${K3S_URL:-}" ]; then
                [ -n "${K3S_TOKEN:-}${K3S_TOKEN_FILE:-}" ] ||
                    fatal "Defaulted k3s exec command to 'agent' because K3S_URL is defined, but K3S_TOKEN or K3S_TOKEN_FILE is not defined."
                VERB=agent
            fi
            ;;
        *)
            VERB=$1
            shift
            ;;
    esac
    case "$VERB" in
        server) UNIT=k3s ;;
        agent) UNIT=k3s-agent ;;
        *) fatal "k3s stand-in: verb '$VERB' is not played, expected server or agent" ;;
    esac
    UNIT_FILE=$SYSTEMD_DIR/$UNIT.service
    ENV_FILE=$UNIT_FILE.env
    UNINSTALL=$BIN_DIR/$UNIT-uninstall.sh
    KILLALL=$BIN_DIR/k3s-killall.sh
    EXEC_LINES="$VERB \\
$(for argument in "$@"; do printf "\t%s \\\\\n" "$(quote "$argument")"; done)"
}

# One argument in single quotes, as systemd and the shell both read it.
quote() { printf '%s' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }

state_hash() { sha256sum "$BIN_DIR/k3s" "$UNIT_FILE" "$ENV_FILE" 2>&1 || true; }

make_links() {
    [ "${INSTALL_K3S_SYMLINK:-}" != skip ] || return 0
    for name in kubectl crictl ctr; do
        if [ "${INSTALL_K3S_SYMLINK:-}" != force ] && { [ -e "$BIN_DIR/$name" ] || command -v "$name" >/dev/null 2>&1; }; then
            info "Skipping $BIN_DIR/$name symlink to k3s, already exists"
            continue
        fi
        info "Creating $BIN_DIR/$name symlink to k3s"
        ln -sf k3s "$BIN_DIR/$name"
    done
}

# $1: file; content on stdin.
write_script() {
    cat >"$1"
    chmod 0755 "$1"
}

# The stand-in's children die with it; the patterns are for one that lost its unit, and for shims, which go on
# without it. They match full paths of the rehearsal's tools only. What belongs to pods is ended as k3s's own
# script does it: shims with all their children, mounts, network namespaces, interfaces and rules.
write_killall() {
    info "Creating killall script $KILLALL"
    write_script "$KILLALL" <<'EOF'
#!/bin/sh
# k3s stand-in: ends all of k3s on this machine, pods included.
[ "$(id -u)" -eq 0 ] || { echo 'must run as root' >&2; exit 1; }
set -x
for service in /etc/systemd/system/k3s*.service; do
    [ -s "$service" ] && systemctl stop "$(basename "$service")"
done
# The children first, or they would be given to another parent.
end_with_children() {
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do end_with_children "$child"; done
    kill -9 "$1"
}
# k3s has a mount namespace of its own. From outside of it, on a computer that runs machines in a chroot, the path
# of a program has that folder in front.
for process in /proc/[0-9]*; do
    case $(readlink "$process/exe") in
        */opt/standin/bin/*) end_with_children "${process#/proc/}" ;;
    esac
done 2>/dev/null
for folder in /run/k3s /var/lib/kubelet/pods /var/lib/kubelet/plugins /run/netns/cni-; do
    awk -v folder="$folder" 'index($2, folder) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
        umount -f "$mount" || umount -l "$mount"
    done
done
rm -rf /run/k3s /var/lib/cni /run/netns/cni-*
if [ -e /sys/class/net/cni0 ]; then ip link delete cni0; fi
ip route flush proto 75 # those to the pods of other nodes
for tool in iptables ip6tables; do
    if $tool-save 2>/dev/null | grep -qE 'KUBE-|CNI-'; then
        $tool-save | grep -vE 'KUBE-|CNI-' | $tool-restore
    fi
done
EOF
}

write_uninstall() {
    info "Creating uninstall script $UNINSTALL"
    write_script "$UNINSTALL" <<EOF
#!/bin/sh
# k3s stand-in: leaves the machine as it was, except for /etc/rancher/node, as k3s does.
[ "\$(id -u)" -eq 0 ] || { echo 'must run as root' >&2; exit 1; }
set -x
$KILLALL
systemctl disable $UNIT
systemctl reset-failed $UNIT
rm -f $UNIT_FILE $ENV_FILE
systemctl daemon-reload
trap 'rm -f $UNINSTALL' EXIT
if ls $SYSTEMD_DIR/k3s*.service >/dev/null 2>&1; then
    set +x
    echo 'Additional k3s services installed, skipping uninstall of k3s'
    exit
fi
for name in kubectl crictl ctr; do
    if [ -L "$BIN_DIR/\$name" ]; then
        rm -f "$BIN_DIR/\$name"
    fi
done
rm -rf /etc/rancher/k3s /run/k3s /run/flannel /var/lib/rancher/k3s /var/lib/kubelet
rm -f $BIN_DIR/k3s $KILLALL
EOF
}

# What the caller exported as K3S_*, CONTAINERD_* or proxy settings becomes the unit's environment:
# secrets among it, so only root may read it.
write_env_file() {
    info "env: Creating environment file $ENV_FILE"
    rm -f "$ENV_FILE"
    (umask 077 && : >"$ENV_FILE")
    sh -c export | sed 's/^export //' | {
        grep -Ei '^((K3S|CONTAINERD)_[A-Z0-9_]*|(NO|HTTP|HTTPS)_PROXY)=' || true
    } >>"$ENV_FILE"
}

write_unit() {
    info "systemd: Creating service file $UNIT_FILE"
    cat >"$UNIT_FILE" <<EOF
[Unit]
Description=Lightweight Kubernetes (stand-in for rehearsals)
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$ENV_FILE
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=$BIN_DIR/k3s \\
    $EXEC_LINES

EOF
    chmod 0644 "$UNIT_FILE"
}

enable_and_start() {
    [ "${INSTALL_K3S_SKIP_ENABLE:-}" != true ] || return 0
    info "systemd: Enabling $UNIT unit"
    systemctl enable "$UNIT_FILE" >/dev/null 2>&1
    systemctl daemon-reload >/dev/null
    [ "${INSTALL_K3S_SKIP_START:-}" != true ] || return 0
    if [ "$HASH_BEFORE" = "$(state_hash)" ] && [ "${INSTALL_K3S_FORCE_RESTART:-}" != true ]; then
        info 'No change detected so skipping service start'
        return 0
    fi
    info "systemd: Starting $UNIT"
    systemctl restart "$UNIT" # waits until k3s says it is ready, however long that takes
}

# INSTALL_K3S_EXEC is split like a shell command line, quotes honoured.
eval "set -- ${INSTALL_K3S_EXEC:-} $(for argument in "$@"; do quote "$argument"; printf ' '; done)"

info 'k3s stand-in: installing for a rehearsal, this is not k3s'
check_request
choose_verb "$@"
HASH_BEFORE=$(state_hash)
download_and_verify
make_links
write_killall
write_uninstall
systemctl disable "$UNIT" >/dev/null 2>&1 || true
rm -f "$UNIT_FILE"
write_env_file
write_unit
enable_and_start
