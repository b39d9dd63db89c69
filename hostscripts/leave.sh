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
k3s kubectl drain "$HOST" --ignore-daemonsets --delete-emptydir-data --force --timeout=120s
