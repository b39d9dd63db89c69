# Runs on a server when a host leaves, before its k3s stops: move its pods away. After cluster.sh. Set in front: HOST
found=$(kubectl get node "$HOST" --ignore-not-found --output name) || unanswered "its pods cannot be moved"
[ -n "$found" ] || {
    echo "$HOST: no such node"
    exit 0
}
check_majority
/usr/local/bin/k3s kubectl drain "$HOST" --ignore-daemonsets --delete-emptydir-data --force --timeout=120s
