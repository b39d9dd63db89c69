# kubectl on a node. After files.sh.
# shellcheck disable=SC2154,SC2329  # files.sh sets what this reads; others call this

# With the kubelet's identity, whose rights end at this node.
node_kubectl() {
    timeout "$NODE_KUBECTL_SECONDS" "$k3s" kubectl --kubeconfig "$data_dir/agent/kubelet.kubeconfig" --request-timeout="${API_REQUEST_SECONDS}s" "$@"
}

# With the administrator's identity, which only a server has.
server_kubectl() { $k3s kubectl --request-timeout="${API_REQUEST_SECONDS}s" "$@"; }
