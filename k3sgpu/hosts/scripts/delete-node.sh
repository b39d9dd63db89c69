# Runs on another server and deletes a host's Node; with it goes the password that its name is kept with, and of a
# server its seat in etcd. After cluster.sh. Set in front: HOST
#   HOST_KEY  empty: the host has left, or is dead for good. Else it may have come back with an empty disk and this key, and k3s would refuse
#             it under the old Node's name: a Node that another machine was, and that is dead, makes room for it.
about() { kubectl get node "$HOST" --ignore-not-found --output "jsonpath=$1"; }
renewed() { kubectl --namespace kube-node-lease get lease "$HOST" --ignore-not-found --output 'jsonpath={.spec.renewTime}'; }

if [ -n "$HOST_KEY" ]; then
    # This server joins in the same run, in the place of a dead one, and knows of no Node yet.
    [ -x /usr/local/bin/k3s ] || exit 0
    was=$(about '{.metadata.annotations.k3s-gpu-sharing/host-key}') || unanswered "whose Node it is is not known"
    [ -n "$was" ] && [ "$was" != "$HOST_KEY" ] || exit 0
    # A kubelet renews its lease every ten seconds; one that does has only been given another host key.
    last=$(renewed) || unanswered "whether its k3s lives is not known"
    begin=$(date +%s)
    while :; do
        sleep 1
        waited=$(($(date +%s) - begin))
        now=$(renewed) || now=$last
        [ "$now" = "$last" ] || {
            echo "$HOST: another host key, and the same node"
            exit 0
        }
        ready=$(about '{.status.conditions[?(@.type=="Ready")].status}') || ready=unknown
        if [ "$ready" != True ] && [ "$waited" -ge 20 ]; then break; fi
        [ "$waited" -lt 180 ] || fail "it has another host key, its k3s has not been heard of for $waited s, and its Node still is $ready" \
            "look at kubectl describe node $HOST, then run up again"
    done
    echo "$HOST: another machine under the name of a dead one, whose Node is deleted"
fi
check_majority
timeout 90 /usr/local/bin/k3s kubectl delete node "$HOST" --ignore-not-found --timeout=60s ||
    fail "its Node could not be deleted" "look at kubectl get node $HOST --output yaml, then run up again"
# k3s sweeps a password without a Node later; a machine that comes back at once would still meet it.
kubectl --namespace kube-system delete secret "$HOST.node-password.k3s" --ignore-not-found
