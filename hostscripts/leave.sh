# Runs on the server when a host leaves, before its k3s stops: move its pods away. Set in front: HOST
node() { k3s kubectl --request-timeout=15s get node "$HOST" --ignore-not-found --output name; }
found=$(node) || {
    echo "$HOST: the API server did not answer, so its pods cannot be moved; look at systemctl status k3s" >&2
    exit 1
}
[ -n "$found" ] || {
    echo "$HOST: no such node"
    exit 0
}
# A server is a member of etcd as well: without it a majority of all has to be there.
members=$(k3s kubectl --request-timeout=15s get nodes --selector node-role.kubernetes.io/etcd --output \
    'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}')
printf '%s\n' "$members" | awk -v host="$HOST" '
    { all += NF > 0; rest += $1 != host && $2 == "True"; member = member || $1 == host }
    END { exit member && rest * 2 <= all }
' || {
    echo "$HOST: without it etcd would lose its majority, and the cluster its API; the members and whether they are Ready:" >&2
    printf '%s\n' "$members" >&2
    echo "  to do: bring the others back first, or keep $HOST in the stack file" >&2
    exit 1
}
k3s kubectl drain "$HOST" --ignore-daemonsets --delete-emptydir-data --force --timeout=120s
