# Moves the pods of a removed host away, on another server, before k3s stops there. Set in front: HOST

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/cluster.sh
. ./parts/cluster.sh

found=$(kubectl get node "$HOST" --ignore-not-found --output name) || fail_unanswered "its pods cannot be moved"
[ -n "$found" ] || {
    echo "$HOST: no such node"
    exit 0
}
check_majority
/usr/local/bin/k3s kubectl drain "$HOST" --ignore-daemonsets --delete-emptydir-data --force --timeout="${DRAIN_REMOVED_SECONDS}s"
