# Reads the secrets on stdin, and writes those that become files. After files.sh.
# shellcheck disable=SC2034,SC2154,SC2329  # other parts read what this sets, set what this reads, and call it

# Reads NAME=<base64> lines. The values stay in variables of this shell, which no other process sees, until they
# are written to files of root's. It ends with the standard input, or with a line --.
read_secrets() {
    agent_token='' server_token='' node_config='' server_config='' registries='' environment=''
    while IFS= read -r line && [ "$line" != -- ]; do
        name=${line%%=*}
        case $name in
        "$line" | '' | *[!A-Z0-9_]*) fail "the standard input has a line that is not NAME=<base64> (not shown)" "$stdin_remedy" ;;
        esac
        value=$(printf '%s' "${line#*=}" | base64 -d 2>/dev/null) ||
            fail "the standard input has no base64 for $name (not shown)" "$stdin_remedy"
        case $name in
        AGENT_TOKEN) agent_token=$value ;;
        SERVER_TOKEN) server_token=$value ;;
        NODE_CONFIG) node_config=$value ;;
        SERVER_CONFIG) server_config=$value ;;
        REGISTRIES) registries=$value ;;
        ENVIRONMENT) environment=$value ;;
        *) fail "the standard input has the unknown name $name" "$stdin_remedy" ;;
        esac
    done
    [ "${line#--}" = "" ] || fail "the standard input ends within a line (not shown)" "$stdin_remedy"
    unset line name value
}
stdin_remedy="run up again with one version of this program; if that does not help, report it"

# A file of the stack file's begins with a line that says so.
is_from_stack_file() { [ -e "$1" ] && head -n 1 "$1" | grep -q '^# From the stack file, by k3s-gpu-sharing'; }

# write_or_remove FILE TEXT KEY: write TEXT to FILE; without a TEXT, remove FILE. KEY is the stack file's. A file that
# somebody else wrote is never removed; where there is a TEXT for it, the run fails.
write_or_remove() {
    if [ -n "$2" ]; then
        [ ! -s "$1" ] || is_from_stack_file "$1" ||
            fail "$1 is here already and was not written by this program" "move what it says to $3 in the stack file, and delete it"
        printf '%s\n' "$2" | put "$1" 600
    elif is_from_stack_file "$1"; then
        rm -f "$1"
    fi
}

# The contents of those files.
print_stack_files() {
    for file in "$config_dir/registries.yaml" "$unit_file.env"; do ! is_from_stack_file "$file" || cat "$file"; done
}

# proxy_settings SED: k3s's environment as settings of a downloader. The proxy's password may be in it, so it goes
# through a pipe or a file, and not through an argument, which other users can see.
proxy_settings() { printf '%s\n' "$environment" | sed -nE "$1"; }
