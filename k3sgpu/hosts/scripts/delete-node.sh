# Deletes a host's Node, on another server. That also deletes the node's password, and a server's etcd membership.
#
# Set in front: HOST
#   HOST_KEY  empty: the host is removed, or dead for good. Otherwise a machine with this host key has the name
#             now: if the Node is of another machine, and that one is dead, it is deleted, because k3s would
#             refuse the new machine under its name.

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/cluster.sh
. ./parts/cluster.sh

node() { kubectl get node "$HOST" --ignore-not-found --output "jsonpath=$1"; }
lease_renewed_at() { kubectl --namespace kube-node-lease get lease "$HOST" --ignore-not-found --output 'jsonpath={.spec.renewTime}'; }

if [ -n "$HOST_KEY" ]; then
    # A server that joins in this run, in the place of a dead one, has no k3s yet, and no Node to delete.
    [ -x /usr/local/bin/k3s ] || exit 0
    old_key=$(node '{.metadata.annotations.k3s-gpu-sharing/host-key}') || fail_unanswered "the Node's machine is unknown"
    [ -n "$old_key" ] && [ "$old_key" != "$HOST_KEY" ] || exit 0
    # A running kubelet renews its lease every ten seconds. If it does, only the machine's host key has changed.
    last=$(lease_renewed_at) || fail_unanswered "it is unknown whether its k3s runs"
    begin=$(date +%s)
    while :; do
        sleep 1
        waited=$(($(date +%s) - begin))
        now=$(lease_renewed_at) || now=$last
        [ "$now" = "$last" ] || {
            echo "$HOST: another host key, and the same node"
            exit 0
        }
        ready=$(node '{.status.conditions[?(@.type=="Ready")].status}') || ready=unknown
        if [ "$ready" != True ] && [ "$waited" -ge "$DEAD_NODE_SECONDS" ]; then break; fi
        [ "$waited" -lt "$DEAD_NODE_LIMIT_SECONDS" ] || fail "it has another host key, its k3s has not renewed its lease for $waited s, and its Node still is $ready" \
            "look at kubectl describe node $HOST, then run up again"
    done
    echo "$HOST: another machine under the name of a dead one, whose Node is deleted"
fi
check_majority
timeout "$CLUSTER_KUBECTL_SECONDS" /usr/local/bin/k3s kubectl delete node "$HOST" --ignore-not-found --timeout="${DELETE_NODE_SECONDS}s" ||
    fail "its Node could not be deleted" "look at kubectl get node $HOST --output yaml, then run up again"
# k3s deletes the password of a deleted Node only later; a machine that joins at once would be refused.
kubectl --namespace kube-system delete secret "$HOST.node-password.k3s" --ignore-not-found
