# Before an upgrade of a running node: move its pods away, and take a snapshot of the database. After checks.sh.
# Set in front: HOST ROLE DATABASE VERSION DRAIN_ON_PATCH DRAIN_TIMEOUT
# shellcheck disable=SC2154,SC2329  # other parts set what this reads, and call it

# Does nothing on a node that is not running: that is the rest of an interrupted install.
prepare_upgrade() {
    [ -n "$installed" ] && [ "$installed" != "$VERSION" ] && systemctl --quiet is-active "$unit" || return 0
    if [ "$ROLE" = server ]; then check_majority; fi
    if [ -n "$DRAIN_ON_PATCH" ] || [ "$(minor "$installed")" -ne "$(minor "$VERSION")" ]; then drain; fi
    case $DATABASE in own | first) take_snapshot ;; esac
}

# The pods that a drain evicts, as NAMESPACE/NAME|PHASE|DELETED|OWNER. The DaemonSet controller would recreate its
# pods here at once; a Node's own pods are the kubelet's.
pods_to_evict() {
    all=$(node_kubectl get pods --all-namespaces --field-selector "spec.nodeName=$HOST" --output \
        'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}|{.status.phase}|{.metadata.deletionTimestamp}|{.metadata.ownerReferences[*].kind}{"\n"}{end}') || return 1
    printf '%s\n' "$all" | awk -F '|' 'NF && $2 != "Succeeded" && $2 != "Failed" && $4 != "DaemonSet" && $4 != "Node"'
}

# Evictions respect disruption budgets, and nothing is forced: at the deadline the upgrade is given up.
drain() {
    pods=$(pods_to_evict) || fail "the API server did not say which pods run here" "see journalctl -u $unit, then run up again"
    bare=$(printf '%s\n' "$pods" | awk -F '|' 'NF && $4 == "" { print $1 }' | tr '\n' ' ')
    [ -z "$bare" ] || fail "pods that no controller would recreate on another node: $bare" "delete them, then run up again"
    # A node that somebody else has cordoned stays cordoned.
    if [ -z "$(node_kubectl get node "$HOST" --output 'jsonpath={.spec.unschedulable}')" ]; then
        : | put "$marker_dir/cordoned" 644
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
        if left=$(pods_to_evict); then pods=$left; fi
    done
}

# Only where `drain` has cordoned the node.
uncordon() {
    [ -e "$marker_dir/cordoned" ] || return 0
    node_kubectl uncordon "$HOST" >/dev/null || fail "this node stayed cordoned" "run: kubectl uncordon $HOST"
    rm -f "$marker_dir/cordoned"
}

# docs/guides/operations.md says how a failed upgrade is taken back to it.
take_snapshot() {
    if [ -d "$data_dir/server/db/etcd" ]; then
        $k3s etcd-snapshot save --name "before-$VERSION" && return 0
    else
        # The files of its database are consistent only while k3s is stopped. start_k3s starts it again.
        mkdir -p "$data_dir/server/snapshots"
        timeout "$STOP_SECONDS" systemctl stop "$unit" &&
            tar -C "$data_dir/server" -cf "$data_dir/server/snapshots/new" db token &&
            mv -f "$data_dir/server/snapshots/new" "$data_dir/server/snapshots/$installed.tar" && return 0
        systemctl start --no-block "$unit"
    fi
    fail "no snapshot could be taken, so the upgrade did not begin; the node stays cordoned until a run succeeds" "look at df -h $data_dir"
}
