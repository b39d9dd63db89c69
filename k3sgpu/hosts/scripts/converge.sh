# Make this machine the k3s node that the stack file describes. Running it twice changes nothing.
# It never uninstalls: leaving is clean.sh's work.
#
# Set in front: PROJECT STACK HOST   whose machine this is
#               ROLE                 server | agent
#               DATABASE             of a server: own | first (others will copy it) | copy (of the others')
#               SERVERS              addresses of the other servers, the initial one first
#               VERSION CONFIG       the k3s release; the text of /etc/rancher/k3s/config.yaml
#               MIRROR SCRIPT_URL SCRIPT_SHA256 BINARY_SHA256_AMD64 BINARY_SHA256_ARM64
#               TIMEOUT              seconds that k3s may take to become ready
#               DRAIN_ON_PATCH       empty, or yes: move pods away not only before a minor upgrade
#               DRAIN_TIMEOUT        seconds that the pods may take to go
#               GENERATION           a number without meaning but to make this run again
#               CLEAN                the text of clean.sh, left here for the day the host leaves
# stdin:        what is secret or may be, one NAME=<base64> a line: AGENT_TOKEN for ROLE=agent and DATABASE=copy,
#               SERVER_TOKEN for DATABASE=copy, SERVER_CONFIG (more of config.yaml), and the texts of
#               registries.yaml (REGISTRIES) and of the unit's environment (ENVIRONMENT)

own=/etc/k3s-gpu-sharing
lib=/usr/local/lib/k3s-gpu-sharing
etc=/etc/rancher/k3s
k3s=/usr/local/bin/k3s
data=/var/lib/rancher/k3s
case $ROLE in
server) unit="k3s" other="k3s-agent" ;;
agent) unit="k3s-agent" other="k3s" ;;
esac
unit_file=/etc/systemd/system/$unit.service

fail() {
    printf '%s: %s\n' "$HOST" "$1" >&2
    [ -z "${2:-}" ] || printf '  remedy: %s\n' "$2" >&2
    exit 1
}

no_room() { fail "could not write $1" "is the disk full or read-only? see df -h, df -i and mount"; }

# put FILE MODE: stdin becomes FILE, whole or not at all
put() {
    if ! { cat >"$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"; }; then no_room "$1"; fi
}

# shellcheck source=k3sgpu/hosts/scripts/secrets.sh
. ./secrets.sh

# fetch URL FILE
fetch() {
    case $1 in
    file://*)
        [ -r "${1#file://}" ] || fail "no file ${1#file://}" "put the release there, or change k3s.mirror in the stack file"
        cp "${1#file://}" "$2" || no_room "$2"
        ;;
    *)
        if command -v curl >/dev/null; then
            through_proxy 's/^HTTPS_PROXY=(.*)/proxy = "\1"/p; s/^NO_PROXY=(.*)/noproxy = "\1"/p' |
                curl --config - --fail --silent --show-error --location --proto '=https' --connect-timeout 15 --max-time 600 --retry 3 --output "$2" "$1"
        else
            through_proxy 's/^HTTPS_PROXY=/https_proxy = /p; s/^NO_PROXY=/no_proxy = /p' >"$work/wgetrc"
            WGETRC=$work/wgetrc wget --quiet --https-only --timeout=15 --tries=3 --output-document="$2" "$1"
        fi || fail "could not download $1" "check that this machine reaches it, or set k3s.mirror or k3s.proxy in the stack file"
        ;;
    esac
}

# verify FILE SHA256 WHAT
verify() {
    found=$(sha256sum "$1" | cut -d ' ' -f 1)
    [ "$found" = "$2" ] || fail "$3 has sha256 $found, expected $2" "somebody changed it, or the pin in the stack file belongs to another version"
}

# With the kubelet's own identity, whose rights end at this node.
node_kubectl() { timeout 20 $k3s kubectl --kubeconfig $data/agent/kubelet.kubeconfig --request-timeout=15s "$@"; }

check_owner() {
    machine=$(cat /etc/machine-id)
    mine="project=$PROJECT
stack=$STACK
host=$HOST
machine-id=$machine"
    if [ -e $own/owner ]; then
        [ "$(cat $own/owner)" = "$mine" ] ||
            fail "this machine belongs to $(tr '\n' ' ' <$own/owner)and not to project=$PROJECT stack=$STACK host=$HOST machine-id=$machine" \
                "keep its old key in the stack file; or take it out there, run up, and add it again under the new key"
    elif [ -e $k3s ] || [ -e /etc/systemd/system/k3s.service ] || [ -e /etc/systemd/system/k3s-agent.service ]; then
        fail "k3s is here already and was not installed by this program" "remove it with its own uninstall script, or choose another machine"
    fi
    [ ! -e "/etc/systemd/system/$other.service" ] ||
        fail "this machine runs $other and the stack file makes it a $ROLE" \
            "a node's role cannot change in place: take the host out, run up, and add it again"
}

# number VERSION: v1.36.2+k3s1 as 1036002001, which grows with the version
number() { printf '%s\n' "$1" | awk -F '[v.+]' '{ sub("k3s", "", $5); printf "%d%03d%03d%03d", $2, $3, $4, $5 }'; }
minor() { echo $(($(number "$1") / 1000000)); }

# What k3s cannot do is refused before anything is touched. Sets `installed`, the version on the disk.
check_version() {
    installed=
    [ ! -x $k3s ] || installed=$($k3s --version | awk '$1 == "k3s" { print $3 }')
    [ -n "$installed" ] && [ "$installed" != "$VERSION" ] || return 0
    [ "$(number "$VERSION")" -ge "$(number "$installed")" ] ||
        fail "k3s $installed is installed and the stack file says $VERSION: k3s cannot go back in place" \
            "write version: $installed; docs/guides/operations.md says how a snapshot of the older version is restored"
    here=$(minor "$installed")
    [ "$(minor "$VERSION")" -le $((here + 1)) ] ||
        fail "from k3s $installed to $VERSION a minor version would be skipped, which Kubernetes does not support" \
            "go to a release of v1.$((here % 1000 + 1)) first"
    if [ "$ROLE" = server ]; then
        # A node two steps behind could follow no more: its next step would be newer than this server.
        behind=$($k3s kubectl --request-timeout=15s get nodes --output \
            'jsonpath={range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion}{"\n"}{end}' 2>/dev/null |
            while read -r node runs; do
                [ $(($(minor "$runs") + 1)) -ge "$(minor "$VERSION")" ] || printf '%s (%s) ' "$node" "$runs"
            done)
        [ -z "$behind" ] || fail "nodes that run a version too old for a server of $VERSION: $behind" \
            "bring them to $installed first (run up with it); take a node out that is gone for good"
    else
        server=$(node_kubectl get --raw /version 2>/dev/null | awk -F '"' '$2 == "gitVersion" { print $4 }')
        [ -z "$server" ] || [ "$(minor "$VERSION")" -le "$(minor "$server")" ] ||
            fail "the server runs $server and this agent would run $VERSION: an agent may not be newer" \
                "upgrade the servers first: run up without --target"
    fi
}

# block KEY: of a config.yaml on stdin, the lines of one key
block() { awk -v key="$1:" '/^[^- ]/ { on = index($0, key) == 1 } on'; }

# A config.yaml without what k3s reads when a Node registers, and never again.
read_at_start() { awk '/^[^- ]/ { off = /^node-(label|taint):/ } !off' $etc/config.yaml; }

# begun KEY: block, or what k3s chooses where it says nothing
begun() {
    said_so=$(block "$1")
    case $1$said_so in
    cluster-cidr) echo "$1: 10.42.0.0/16" ;;
    service-cidr) echo "$1: 10.43.0.0/16" ;;
    flannel-backend) echo "$1: vxlan" ;;
    secrets-encryption) echo "$1: false" ;;
    *) printf '%s\n' "$said_so" ;;
    esac
}

# What k3s fixes when a database begins, and would not start without or silently ignore.
check_database() {
    if [ "$DATABASE" = own ] && [ -d $data/server/db/etcd ]; then
        others=$($k3s kubectl --request-timeout=15s get nodes --selector node-role.kubernetes.io/etcd --output \
            'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' 2>/dev/null |
            awk -v host="$HOST" '$1 != host { printf "%s ", $1 }')
        [ -z "$others" ] || fail "the stack file has this server alone, and the cluster also ${others}as servers: etcd has no way from several to one" \
            "put them back; docs/guides/operations.md says how a snapshot is restored into a cluster of one"
    fi
    [ "$ROLE" = server ] && [ -d $data/server/db ] && [ -s $etc/config.yaml ] || return 0
    for key in cluster-cidr service-cidr cluster-domain flannel-backend secrets-encryption; do
        was=$(begun $key <$etc/config.yaml) another="another $key takes a new cluster: destroy, then up"
        case $was in *"secrets-encryption: true"*) another="a living cluster ends its encryption with k3s secrets-encrypt disable, a restart of k3s and k3s secrets-encrypt reencrypt --force --skip, and keeps this setting" ;; esac
        [ "$was" = "$(printf '%s' "$CONFIG" | begun $key)" ] ||
            fail "$key cannot change once a cluster has begun; here it is: ${was:-not set}" "take the change back; $another"
    done
}

# answers ADDRESS: whether a k3s server is there
answers() {
    if command -v curl >/dev/null; then
        curl --insecure --silent --fail --max-time 5 --output /dev/null "https://$1:6443/ping"
    else
        wget --no-check-certificate --quiet --tries=1 --timeout=5 --output-document=/dev/null "https://$1:6443/ping"
    fi
}

# How the database begins, as lines of config.yaml. k3s reads them only as long as there is none, so they stay as
# they are then: another initial server must restart nobody.
beginning() {
    if [ -d $data/server/db/etcd ]; then
        for key in cluster-init server token-file; do block $key <$etc/config.yaml; done
        return 0
    fi
    case $DATABASE in
    first)
        [ -d $data/server/db ] || for other in $SERVERS; do
            ! answers "$other" || fail "the cluster lives on $other, and this machine would begin another one" \
                "name the server at $other as k3s.initialServer; this one then joins it"
        done
        echo "cluster-init: true"
        ;;
    copy) printf 'server: https://%s:6443\ntoken-file: %s\n' "${SERVERS%% *}" $etc/server-token ;;
    esac
}

# Two servers away at the same time could take the majority with them, and with it the API.
check_majority() {
    [ -d $data/server/db/etcd ] || return 0
    away=$($k3s kubectl --request-timeout=15s get nodes --selector node-role.kubernetes.io/etcd --output \
        'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null |
        awk -v host="$HOST" '$1 != host && $2 != "True" { printf "%s ", $1 }')
    [ -z "$away" ] || fail "not Ready: $away; while another server is away this one may not restart" \
        "bring it back, or take it out of the stack file if it is gone for good"
}

claim() {
    # The way out is laid before anything is installed, so that a failed install can be cleaned up too.
    mkdir -p $own $lib
    chmod 755 $own $lib
    printf '%s' "$CLEAN" | put $lib/clean 755
    # What the GPU Operator may bring to the host and would leave there; clean takes away what was not
    # here before.
    [ -e $own/absent-before ] || for path in /usr/local/nvidia/toolkit /run/nvidia \
        /etc/containerd/conf.d/99-nvidia.toml /etc/cdi/nvidia.yaml /var/run/cdi/nvidia.yaml \
        /var/run/cdi/management.nvidia.com-gpu.yaml /var/run/cdi/k8s.device-plugin.nvidia.com-gpu.json; do
        [ -e $path ] || printf '%s\n' $path
    done | put $own/absent-before 644
    # What k3s, its kubelet and its kube-proxy switch over in the kernel.
    [ -e $own/sysctl-before ] || for name in net/ipv4/conf/all/forwarding net/ipv4/conf/default/forwarding \
        net/ipv6/conf/all/forwarding net/ipv4/conf/all/route_localnet vm/overcommit_memory kernel/panic \
        kernel/panic_on_oops; do
        [ ! -e /proc/sys/$name ] || printf '%s %s\n' $name "$(cat /proc/sys/$name)"
    done | put $own/sysctl-before 644
    printf '%s\n' "$mine" | put $own/owner 644
}

# For a machine without a way out: k3s's archives of images, where they lie beside the release, each checked
# against the release's own list.
fetch_images() {
    case $MIRROR in file://*) ;; *) return 0 ;; esac
    for archive in "${release#file://}/k3s-airgap-images-$arch".tar*; do
        [ -e "$archive" ] || continue
        [ -e "$work/sums" ] || fetch "$release/sha256sum-$arch.txt" "$work/sums"
        pin=$(awk -v name="${archive##*/}" '$2 == name { print $1 }' "$work/sums")
        [ -n "$pin" ] || fail "the release's checksum file does not name ${archive##*/}" "put the release's own sha256sum-$arch.txt beside it"
        verify "$archive" "$pin" "$archive"
        mkdir -p "$work/images"
        cp "$archive" "$work/images" || no_room "$work"
    done
}

# k3s reads them when it starts; those of another release go.
place_images() {
    [ -d "$work/images" ] || return 0
    mkdir -p $data/agent/images
    rm -f $data/agent/images/k3s-airgap-images-*
    mv -f "$work"/images/* $data/agent/images || no_room $data
}

# The release of the stack file, checked, in a folder of its own: `work`.
fetch_release() {
    case $(uname -m) in
    x86_64) arch=amd64 asset=k3s pin=$BINARY_SHA256_AMD64 ;;
    aarch64) arch=arm64 asset=k3s-arm64 pin=$BINARY_SHA256_ARM64 ;;
    *) fail "machine type $(uname -m)" "k3s and NVIDIA's images exist for x86_64 and aarch64" ;;
    esac
    work=$(mktemp -d) || no_room /tmp
    trap 'rm -rf "$work"' EXIT
    # A '+' in a path means itself, but some mirrors read it as a blank.
    case $MIRROR in
    file://*) release=$MIRROR/$VERSION skip="true" ;;
    # The script still brings k3s's SELinux policy, on systems that have one.
    *) release=$MIRROR/$(printf '%s' "$VERSION" | sed 's/+/%2B/g') skip="binary" ;;
    esac
    fetch "$release/$asset" "$work/k3s"
    if [ -z "$pin" ]; then
        fetch "$release/sha256sum-$arch.txt" "$work/sums"
        pin=$(awk -v name="$asset" '$2 == name { print $1 }' "$work/sums")
        [ -n "$pin" ] || fail "the release's checksum file does not name $asset" "check k3s.mirror and k3s.version"
    fi
    verify "$work/k3s" "$pin" "the k3s binary of $VERSION"
    fetch_images
    fetch "$SCRIPT_URL" "$work/install.sh"
    [ -z "$SCRIPT_SHA256" ] || verify "$work/install.sh" "$SCRIPT_SHA256" "k3s's install script"
}

# Pods that have to go before an upgrade, as NAMESPACE/NAME|PHASE|DELETED|OWNER. Those of a DaemonSet would
# come back at once, those of a Node are the kubelet's own.
movable() {
    all=$(node_kubectl get pods --all-namespaces --field-selector "spec.nodeName=$HOST" --output \
        'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}|{.status.phase}|{.metadata.deletionTimestamp}|{.metadata.ownerReferences[*].kind}{"\n"}{end}') || return 1
    printf '%s\n' "$all" | awk -F '|' 'NF && $2 != "Succeeded" && $2 != "Failed" && $4 != "DaemonSet" && $4 != "Node"'
}

# Evictions respect disruption budgets, and nothing is forced: with the deadline the upgrade ends.
drain() {
    pods=$(movable) || fail "the API server did not say which pods run here" "see journalctl -u $unit, then run up again"
    bare=$(printf '%s\n' "$pods" | awk -F '|' 'NF && $4 == "" { print $1 }' | tr '\n' ' ')
    [ -z "$bare" ] || fail "pods that nothing would make again on another node: $bare" "delete them, then run up again"
    # A node that somebody else has cordoned stays so.
    if [ -z "$(node_kubectl get node "$HOST" --output 'jsonpath={.spec.unschedulable}')" ]; then
        : | put $own/cordoned 644
        node_kubectl cordon "$HOST" >/dev/null
    fi
    until=$(($(date +%s) + DRAIN_TIMEOUT))
    while [ -n "$pods" ]; do
        for pod in $(printf '%s\n' "$pods" | awk -F '|' '$3 == "" { print $1 }'); do
            refusal=$(printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"namespace":"%s","name":"%s"}}' "${pod%/*}" "${pod#*/}" |
                node_kubectl create --raw "/api/v1/namespaces/${pod%/*}/pods/${pod#*/}/eviction" --filename - 2>&1 >/dev/null | tail -n 1)
        done
        if [ "$(date +%s)" -ge "$until" ]; then
            uncordon
            fail "still here after $DRAIN_TIMEOUT s: $(printf '%s\n' "$pods" | cut -d '|' -f 1 | tr '\n' ' '); the upgrade did not begin" \
                "${refusal:-wait until they have ended}; look at kubectl get pdb -A, or raise k3s.drainTimeoutSeconds"
        fi
        sleep 1
        if left=$(movable); then pods=$left; fi
    done
}

uncordon() {
    [ -e $own/cordoned ] || return 0
    node_kubectl uncordon "$HOST" >/dev/null || fail "this node stayed cordoned" "run: kubectl uncordon $HOST"
    rm -f $own/cordoned
}

# What an upgrade that went wrong is taken back to; docs/guides/operations.md says how.
snapshot() {
    if [ -d $data/server/db/etcd ]; then
        $k3s etcd-snapshot save --name "before-$VERSION" && return 0
    else
        # Only with k3s stopped are the files of its database of one moment. It starts again below.
        mkdir -p $data/server/snapshots
        timeout 180 systemctl stop "$unit" &&
            tar -C $data/server -cf $data/server/snapshots/new db token &&
            mv -f $data/server/snapshots/new "$data/server/snapshots/$installed.tar" && return 0
        systemctl start --no-block "$unit"
    fi
    fail "no snapshot could be taken, so the upgrade did not begin; the node stays cordoned until a run goes through" "look at df -h $data"
}

configure() {
    mkdir -p $etc
    if [ "$ROLE" = agent ] || [ "$DATABASE" = copy ]; then
        [ -n "$agent_token" ] || fail "no token came on the standard input" "run: pulumi up --replace '**cluster-tokens'; it is read from the server again"
    fi
    if [ "$ROLE" = agent ]; then
        printf '%s\n' "$agent_token" | put $etc/agent-token 600
    elif [ "$DATABASE" = copy ]; then
        # A server takes the token without the hash of the CA in front.
        printf '%s' "${agent_token##*:}" | put $etc/agent-token 600
    elif [ ! -s $etc/agent-token ]; then
        # Agents get a token of their own: the server's opens the whole cluster and its datastore.
        od -An -N32 -tx1 /dev/urandom | tr -d ' \n' | put $etc/agent-token 600
    fi
    start=$(beginning)
    case $DATABASE$start in copy*token-file*) printf '%s\n' "$server_token" | put $etc/server-token 600 ;; esac
    printf '%s%s%s' "$CONFIG" "${server_config:+$server_config
}" "$start" | put $etc/config.yaml 600
    place $etc/registries.yaml "$registries" k3s.registries
}

place_release() {
    place_images
    chmod 755 "$work/k3s"
    if ! { mv -f "$work/k3s" $k3s.new && mv -f $k3s.new $k3s; }; then no_room $k3s; fi
    # A file keeps the label of where it was made, and systemd may not run one of a temporary folder.
    ! command -v restorecon >/dev/null || restorecon $k3s
    # The script writes unit and uninstaller. It must not start k3s: it would block for ever on a
    # server that cannot be reached, and what is started is decided below.
    # It would also keep the proxy that this login has, where the stack file names another.
    [ -z "$environment" ] || unset HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy
    INSTALL_K3S_SKIP_DOWNLOAD=$skip INSTALL_K3S_SKIP_START=true INSTALL_K3S_EXEC=$ROLE sh "$work/install.sh" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "k3s's install script failed" "its own words are above"
    }
    said="installed $VERSION"
}

install_k3s() {
    if [ "$installed" = "$VERSION" ] && [ -e "$unit_file" ]; then
        configure
        return 0
    fi
    fetch_release
    # An upgrade of a node at work, and not the rest of an install.
    if [ -n "$installed" ] && [ "$installed" != "$VERSION" ] && systemctl --quiet is-active "$unit"; then
        if [ "$ROLE" = server ]; then check_majority; fi
        if [ -n "$DRAIN_ON_PATCH" ] || [ "$(minor "$installed")" -ne "$(minor "$VERSION")" ]; then drain; fi
        case $DATABASE in own | first) snapshot ;; esac
    fi
    configure
    place_release
}

# What k3s looks for when it starts, in its order, to offer the RuntimeClass nvidia.
runtimes() {
    for dir in /usr/local/nvidia/toolkit /usr/bin; do
        [ ! -x $dir/nvidia-container-runtime ] || printf '%s\n' $dir
    done
}

journal() { journalctl --unit "$unit" --since "@$begin" --lines "$1" --no-pager --output cat 2>/dev/null; }

masked_journal() {
    journal 40 |
        sed -E 's/K10[0-9a-f]{64}::[a-z-]*:[^" ]*/K10***/g; s/((token|password)[= ]"?)[^" ]+/\1***/g; s#://[^/@ ]+@#://***@#g' >&2
}

# systemd gives every start of a unit an id of its own.
invocation() { systemctl show --property InvocationID --value "$unit"; }

# A kubelet makes its Node when it starts, and never again.
unregistered() { node_kubectl get node "$HOST" 2>&1 >/dev/null | grep -q NotFound; }

# What is wrong, in one line; empty when this node is ready.
state() {
    [ "$(invocation)" != "$before" ] || {
        printf 'unit %s has not started again' "$unit"
        return
    }
    active=$(systemctl is-active "$unit" || :)
    [ "$active" = active ] || {
        printf 'unit %s is %s' "$unit" "$active"
        return
    }
    [ "$ROLE" = agent ] || timeout 10 $k3s kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1 || {
        printf 'the API server is not ready'
        return
    }
    ready=$(node_kubectl get node "$HOST" --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>&1 || :)
    [ "$ready" = True ] || printf 'node %s is not Ready (%s)' "$HOST" "$(printf '%s' "$ready" | tail -n 1)"
}

cause() {
    case "$ROLE $(journal 100)" in
    *"token CA hash does not match"* | *"not authorized"* | *"401 Unauthorized"*) echo "the token is not this cluster's: was the server reinstalled? run up again" ;;
    *"Node password rejected"*) echo "a node of this name with another disk is still known: delete it with kubectl delete node $HOST" ;;
    *"unhealthy cluster"*) echo "a server is away, and etcd takes no new one until it is back or has left (gone: true)" ;;
    *"critical configuration"*) echo "this server's settings differ from the others' where they must not: the journal names the key" ;;
    *"no space left on device"*) echo "the disk is full: see df -h and df -i" ;;
    *"address already in use"*) echo "a port k3s needs is taken: see ss -ltnp" ;;
    agent*"connection refused"* | agent*"i/o timeout"* | agent*"no route to host"*) echo "port 6443 of the server is not reachable from here: look at firewalls" ;;
    *cgroup*v1*) echo "this kernel runs cgroup v1, which Kubernetes 1.35 and later refuse" ;;
    *) echo "read the journal lines above: journalctl -u $unit" ;;
    esac
}

converge() {
    said="nothing to change"
    check_owner
    check_version
    check_database
    claim
    install_k3s
    # After the install script, which begins this file anew.
    place "$unit_file.env" "$environment" k3s.proxy
    # What k3s runs with. It reads its files at the start only, so a difference means a restart; also of
    # one that is still starting: with a wrong token it would do so for ever.
    want=$({ read_at_start && cat $etc/*-token $k3s "$unit_file" && given_files && runtimes; } | sha256sum | cut -d ' ' -f 1)
    begin=$(date +%s)
    before=none
    case $(systemctl is-active "$unit" || :) in
    active | activating | reloading)
        why=
        if [ "$want" != "$(cat $own/started 2>/dev/null || :)" ]; then
            why="with a new configuration"
        elif unregistered; then
            why="because its Node had been deleted"
        fi
        if [ -n "$why" ]; then
            if [ "$ROLE" = server ]; then check_majority; fi
            before=$(invocation)
            systemctl restart --no-block "$unit"
            [ "$said" != "nothing to change" ] || said="restarted $why"
        fi
        ;;
    *)
        systemctl reset-failed "$unit" 2>/dev/null || :
        systemctl start --no-block "$unit"
        [ "$said" != "nothing to change" ] || said="started"
        ;;
    esac
    printf '%s\n' "$want" | put $own/started 644
    while last=$(state) && [ -n "$last" ]; do
        if [ $(($(date +%s) - begin)) -ge "$TIMEOUT" ]; then
            masked_journal
            rm -f $own/started # so that the next run starts it anew, whatever it hangs on
            fail "k3s ($ROLE) was not ready after $TIMEOUT s; last seen: $last" "$(cause)"
        fi
        sleep 1
    done
    uncordon
    printf '%s: k3s %s: %s\n' "$HOST" "$ROLE" "$said"
}

take_secrets

# The engine may be killed and the connection with it. The work then goes on, deaf to the hang-up and
# with its words in a file; the next run waits for the lock and finds everything done.
exec 9>/run/lock/k3s-gpu-sharing.lock
flock -w "$TIMEOUT" 9 || fail "another run has been at work here for $TIMEOUT s" "wait for it; it holds /run/lock/k3s-gpu-sharing.lock"
mkdir -p /run/k3s-gpu-sharing
out=$(mktemp /run/k3s-gpu-sharing/converge.XXXXXX)
(
    trap '' HUP PIPE TERM
    converge
) >"$out" 2>&1 </dev/null &
wait $! && status=0 || status=$?
if [ "$status" -eq 0 ]; then cat "$out"; else cat "$out" >&2; fi
rm -f "$out"
exit "$status"
