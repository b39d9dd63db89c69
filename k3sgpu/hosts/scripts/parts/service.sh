# Starting k3s, and waiting until this node is Ready. After the other parts.
# Set in front: HOST ROLE TIMEOUT
# shellcheck disable=SC2154,SC2329  # other parts set what this reads, and call it

# The paths where k3s looks for NVIDIA's runtime when it starts, in its order, to offer the RuntimeClass nvidia.
nvidia_runtimes() {
    for dir in /usr/local/nvidia/toolkit /usr/bin; do
        [ ! -x $dir/nvidia-container-runtime ] || printf '%s\n' $dir
    done
}

# The hash of everything that k3s reads at its start only. Another one means a restart.
start_hash() {
    { config_read_at_start <"$config_dir/config.yaml" && cat "$config_dir"/*-token "$k3s" "$unit_file" && print_stack_files && nvidia_runtimes; } |
        sha256sum | cut -d ' ' -f 1
}

# An id that systemd gives to every start of a unit.
invocation() { systemctl show --property InvocationID --value "$unit"; }

# A kubelet registers its Node when it starts, and at no other time.
node_is_deleted() { node_kubectl get node "$HOST" 2>&1 >/dev/null | grep -q NotFound; }

# Also restarts a k3s that is still starting: with a wrong token it would do so for ever. Sets `begin`, and `before`:
# the invocation that has to end.
start_k3s() {
    hash=$(start_hash)
    begin=$(date +%s)
    before=none
    case $(systemctl is-active "$unit" || :) in
    active | activating | reloading)
        why=
        if adoption_is_pending; then # parts/adopt.sh: these files say what k3s has read from others
            :
        elif [ "$hash" != "$(cat "$marker_dir/started" 2>/dev/null || :)" ]; then
            why="with a new configuration"
        elif node_is_deleted; then
            why="because its Node had been deleted"
        fi
        if [ -n "$why" ]; then
            if [ "$ROLE" = server ]; then check_majority; fi
            before=$(invocation)
            systemctl restart --no-block "$unit"
            [ "$action" != "nothing to change" ] || action="restarted $why"
        fi
        ;;
    *)
        systemctl reset-failed "$unit" 2>/dev/null || :
        systemctl start --no-block "$unit"
        [ "$action" != "nothing to change" ] || action="started"
        ;;
    esac
    printf '%s\n' "$hash" | put "$marker_dir/started" 644
}

wait_until_ready() {
    while reason=$(not_ready_reason) && [ -n "$reason" ]; do
        if [ $(($(date +%s) - begin)) -ge "$TIMEOUT" ]; then
            print_masked_journal
            rm -f "$marker_dir/started" # so that the next run restarts k3s, whatever it waits for
            fail "k3s ($ROLE) was not ready after $TIMEOUT s; last seen: $reason" "$(likely_remedy)"
        fi
        sleep 1
    done
}

# Why this node is not ready, in one line; empty when it is.
not_ready_reason() {
    [ "$(invocation)" != "$before" ] || {
        printf 'unit %s has not started again' "$unit"
        return
    }
    active=$(systemctl is-active "$unit" || :)
    [ "$active" = active ] || {
        printf 'unit %s is %s' "$unit" "$active"
        return
    }
    [ "$ROLE" = agent ] || timeout "$READYZ_SECONDS" "$k3s" kubectl --request-timeout="${READYZ_REQUEST_SECONDS}s" get --raw /readyz >/dev/null 2>&1 || {
        printf 'the API server is not ready'
        return
    }
    ready=$(node_kubectl get node "$HOST" --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>&1 || :)
    [ "$ready" = True ] || printf 'node %s is not Ready (%s)' "$HOST" "$(printf '%s' "$ready" | tail -n 1)"
}

# journal LINES: the newest lines since this run began
journal() { journalctl --unit "$unit" --since "@$begin" --lines "$1" --no-pager --output cat 2>/dev/null; }

print_masked_journal() {
    journal 40 |
        sed -E 's/K10[0-9a-f]{64}::[a-z-]*:[^" ]*/K10***/g; s/((token|password)[= ]"?)[^" ]+/\1***/g; s#://[^/@ ]+@#://***@#g' >&2
}

# A table from the journal's text to what to do.
likely_remedy() {
    case "$ROLE $(journal 100)" in
    *"token CA hash does not match"* | *"not authorized"* | *"401 Unauthorized"*) echo "the token is not this cluster's: was the server reinstalled? run up again" ;;
    *"Node password rejected"*) echo "a node of this name with another disk is still known: delete it with kubectl delete node $HOST" ;;
    *"duplicate node name found"*) echo "etcd still has a member of this name: kubectl delete node $HOST, then run up again" ;;
    *"snapshotter cannot be enabled"*) echo "the file system below $data_dir does not carry containerd's snapshots: use ext4 or xfs there, or k3s: {config: {snapshotter: native}} in the stack file" ;;
    *"unhealthy cluster"*) echo "a server is not Ready, and etcd takes no new one until it is, or until it is removed (gone: true)" ;;
    *"critical configuration"*) echo "this server's settings differ from the others' where they must not: the journal names the key" ;;
    *"no space left on device"*) echo "the disk is full: see df -h and df -i" ;;
    *"address already in use"*) echo "a port k3s needs is taken: see ss -ltnp" ;;
    agent*"connection refused"* | agent*"i/o timeout"* | agent*"no route to host"*) echo "port 6443 of the server is not reachable from here: look at firewalls" ;;
    *cgroup*v1*) echo "this kernel runs cgroup v1, which Kubernetes 1.35 and later refuse" ;;
    *) echo "read the journal lines above: journalctl -u $unit" ;;
    esac
}
