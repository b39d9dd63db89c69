# What k3s or etcd cannot do is refused before anything is changed. After kubectl.sh, versions.sh and configure.sh.
# Set in front: HOST ROLE VERSION DATABASE EXTERNAL_DATABASE CONFIG
# shellcheck disable=SC2034,SC2154,SC2329  # other parts read what this sets, set what this reads, and call it

check_version() {
    find_installed     # parts/release.sh
    check_upgrade_step # parts/versions.sh
    [ -n "$installed" ] && [ "$installed" != "$VERSION" ] || return 0
    if [ "$ROLE" = server ]; then check_node_versions; else check_server_version; fi
}

# A node two minor versions behind could not follow: its next version would be newer than this server.
check_node_versions() {
    behind=$(server_kubectl get nodes --output \
        'jsonpath={range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion}{"\n"}{end}' 2>/dev/null |
        while read -r node runs; do
            [ $(($(minor "$runs") + 1)) -ge "$(minor "$VERSION")" ] || printf '%s (%s) ' "$node" "$runs"
        done)
    [ -z "$behind" ] || fail "nodes run a version too old for a server of $VERSION: $behind" \
        "upgrade them to $installed first (run up with it); take a host that is dead for good out of the stack file"
}

check_server_version() {
    server=$(node_kubectl get --raw /version 2>/dev/null | awk -F '"' '$2 == "gitVersion" { print $4 }')
    [ -z "$server" ] || [ "$(minor "$VERSION")" -le "$(minor "$server")" ] ||
        fail "the server runs $server and this agent would run $VERSION: an agent may not be newer" \
            "upgrade the servers first: run up without --target"
}

# What k3s fixes when it creates a database: a change would be ignored, or k3s would not start.
check_database() {
    if [ "$DATABASE" = own ] && [ -d "$data_dir/server/db/etcd" ]; then
        others=$(server_kubectl get nodes --selector node-role.kubernetes.io/etcd --output \
            'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' 2>/dev/null |
            awk -v host="$HOST" '$1 != host { printf "%s ", $1 }')
        [ -z "$others" ] || fail "the stack file has this server alone, and the cluster also ${others}as servers: etcd cannot go from several members to one" \
            "put them back; docs/guides/operations.md says how a snapshot is restored into a cluster of one"
    fi
    [ "$ROLE" = server ] && [ -s "$config_dir/config.yaml" ] || return 0
    here=$(config_key datastore-endpoint <"$config_dir/config.yaml" | grep -Ev '^datastore-endpoint: .?(sqlite|litestream|memory):' || :)
    if [ -n "$EXTERNAL_DATABASE" ] && [ -z "$here" ] && [ -d "$data_dir/server/db" ]; then
        fail "this server keeps the cluster in its own database, and the stack file names one outside of the cluster, which does not have it" \
            "take datastoreEndpoint back (or k3s.config.datastore-endpoint); another kind of database needs a new cluster: destroy, then up"
    elif [ -z "$EXTERNAL_DATABASE" ] && [ -n "$here" ] && [ -s "$data_dir/server/token" ]; then
        fail "the cluster is in a database outside of it, and the stack file names none any more" \
            "set datastoreEndpoint again (or k3s.config.datastore-endpoint); another kind of database needs a new cluster: destroy, then up"
    fi
    database_exists || return 0 # parts/configure.sh
    for key in cluster-cidr service-cidr cluster-domain flannel-backend secrets-encryption; do
        current=$(fixed_setting $key <"$config_dir/config.yaml") change="another $key needs a new cluster: destroy, then up"
        case $current in *"secrets-encryption: true"*) change="to end the encryption of a running cluster: k3s secrets-encrypt disable, a restart of k3s, k3s secrets-encrypt reencrypt --force --skip; the setting stays" ;; esac
        [ "$current" = "$(printf '%s' "$CONFIG" | fixed_setting $key)" ] ||
            fail "$key cannot change once a cluster exists; here it is: ${current:-not set}" "take the change back; $change"
    done
}

# Two servers that are not Ready at the same time could take away etcd's majority, and with it the API.
check_majority() {
    [ -d "$data_dir/server/db/etcd" ] || return 0
    not_ready=$(server_kubectl get nodes --selector node-role.kubernetes.io/etcd --output \
        'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null |
        awk -v host="$HOST" '$1 != host && $2 != "True" { printf "%s ", $1 }')
    [ -z "$not_ready" ] || fail "not Ready: $not_ready; this server may not restart until the others are Ready" \
        "repair it, or take it out of the stack file if it is dead for good"
}
