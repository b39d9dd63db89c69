# k3s's tokens and configuration files. After secrets.sh and data.sh.
# Set in front: ROLE DATABASE EXTERNAL_DATABASE SERVERS CONFIG
# shellcheck disable=SC2154,SC2329  # other parts set what this reads, and call it

# config_key KEY: of a config.yaml on stdin, the lines of one key
config_key() { awk -v key="$1:" '/^[^- ]/ { on = index($0, key) == 1 } on'; }

# fixed_setting KEY: the lines of a key that is fixed with the database, or k3s's default
fixed_setting() {
    lines=$(config_key "$1")
    case $1$lines in
    cluster-cidr) echo "$1: 10.42.0.0/16" ;;
    service-cidr) echo "$1: 10.43.0.0/16" ;;
    flannel-backend) echo "$1: vxlan" ;;
    secrets-encryption) echo "$1: false" ;;
    *) printf '%s\n' "$lines" ;;
    esac
}

# server_answers ADDRESS: whether a k3s server runs there
server_answers() {
    if command -v curl >/dev/null; then
        curl --insecure --silent --fail --max-time "$PING_SECONDS" --output /dev/null "https://$1:6443/ping"
    else
        wget --no-check-certificate --quiet --tries=1 --timeout="$PING_SECONDS" --output-document=/dev/null "https://$1:6443/ping"
    fi
}

# database_exists: whether k3s has created or joined a database here. Of one outside of the cluster it keeps a token.
database_exists() { [ -d "$data_dir/server/db" ] || { [ -n "$EXTERNAL_DATABASE" ] && [ -s "$data_dir/server/token" ]; }; }

# How the database is created, as lines of config.yaml. k3s reads them only while it has none, so afterwards they
# stay as they are: another initial server must restart no server.
database_config() {
    if [ -d "$data_dir/server/db/etcd" ] || { [ -n "$EXTERNAL_DATABASE" ] && database_exists; }; then
        # A k3s that is taken over may have none.
        [ -e "$config_dir/config.yaml" ] || return 0
        for key in cluster-init server token-file; do config_key $key <"$config_dir/config.yaml"; done
        return 0
    fi
    case $DATABASE in
    first)
        database_exists || for other in $SERVERS; do
            ! server_answers "$other" || fail "the cluster runs on $other, and this machine would create another one" \
                "name the server at $other as k3s.initialServer; this one then joins it"
        done
        [ -n "$EXTERNAL_DATABASE" ] || echo "cluster-init: true"
        ;;
    copy)
        # Servers that share a database find each other there: with the token, and without `server`.
        [ -n "$EXTERNAL_DATABASE" ] || printf 'server: https://%s:6443\n' "${SERVERS%% *}"
        printf 'token-file: %s\n' "$config_dir/server-token"
        ;;
    esac
}

configure() {
    if [ "$ROLE" = agent ] || [ "$DATABASE" = copy ]; then
        [ -n "$agent_token" ] || fail "the standard input has no token" "run: pulumi up --replace '**cluster-tokens'; it is read from the server again"
    fi
    record_data_folders "$CONFIG$node_config
$server_config"
    # What is there before k3s is not k3s's.
    [ -n "$installed" ] || [ -e "$marker_dir/data-before" ] || data_contents | put "$marker_dir/data-before" 644
    mkdir -p "$config_dir"
    if [ "$ROLE" = agent ]; then
        printf '%s\n' "$agent_token" | put "$config_dir/agent-token" 600
    elif [ "$DATABASE" = copy ]; then
        # A server takes the token without the hash of the CA in front.
        printf '%s' "${agent_token##*:}" | put "$config_dir/agent-token" 600
    elif [ ! -s "$config_dir/agent-token" ]; then
        # Agents have a token of their own: the server's gives access to the whole cluster and its database.
        od -An -N32 -tx1 /dev/urandom | tr -d ' \n' | put "$config_dir/agent-token" 600
    fi
    database_lines=$(database_config)
    case $DATABASE$database_lines in copy*token-file*) printf '%s\n' "$server_token" | put "$config_dir/server-token" 600 ;; esac
    printf '%s%s%s%s' "$CONFIG" "${node_config:+$node_config
}" "${server_config:+$server_config
}" "$database_lines" | put "$config_dir/config.yaml" 600
    write_or_remove "$config_dir/registries.yaml" "$registries" k3s.registries
}
