# For scripts that act on the cluster from one of its servers. Set in front: HOST, the host that they act on
# shellcheck disable=SC2329  # others call this

kubectl() { timeout "$CLUSTER_KUBECTL_SECONDS" /usr/local/bin/k3s kubectl --request-timeout="${API_REQUEST_SECONDS}s" "$@"; }

# fail PROBLEM REMEDY
fail() {
    printf '%s: %s\n  remedy: %s\n' "$HOST" "$1" "$2" >&2
    exit 1
}

# fail_unanswered CONSEQUENCE
fail_unanswered() {
    fail "the API server did not answer, so $1" \
        "look at systemctl status k3s here, then run up again; with half of the servers dead there is no API: docs/guides/operations.md, \"A lost majority\""
}

# A server is also a member of etcd: without it, more than half of all members have to be Ready.
check_majority() {
    members=$(kubectl get nodes --selector node-role.kubernetes.io/etcd --output \
        'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}') ||
        fail_unanswered "the members of etcd are unknown, and nothing was changed"
    printf '%s\n' "$members" | awk -v host="$HOST" '
        { all += NF > 0; rest += $1 != host && $2 == "True"; member = member || $1 == host }
        END { exit member && rest * 2 <= all }
    ' || fail "without it etcd would lose its majority, and the cluster its API; found (member, Ready): $(printf '%s\n' "$members" | tr '\n' ';') expected more than half of them Ready without $HOST" \
        "repair the others first, or keep $HOST in the stack file"
}
