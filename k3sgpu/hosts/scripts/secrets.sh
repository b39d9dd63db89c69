# What a machine is given on the standard input of converge.sh, a part of which this is, and the files it becomes.
# shellcheck disable=SC2034,SC2154,SC2329  # converge.sh reads what this sets, sets what this reads, and calls it

# What came on the standard input. It stays in variables of this shell alone, which no other process sees,
# until it is written to files of root's.
take_secrets() {
    agent_token='' server_token='' server_config='' registries='' environment=''
    while IFS= read -r line; do
        name=${line%%=*}
        case $name in
        "$line" | '' | *[!A-Z0-9_]*) fail "the standard input has a line that is not NAME=<base64> (not shown)" "$another_program" ;;
        esac
        value=$(printf '%s' "${line#*=}" | base64 -d 2>/dev/null) ||
            fail "the standard input has no base64 for $name (not shown)" "$another_program"
        case $name in
        AGENT_TOKEN) agent_token=$value ;;
        SERVER_TOKEN) server_token=$value ;;
        SERVER_CONFIG) server_config=$value ;;
        REGISTRIES) registries=$value ;;
        ENVIRONMENT) environment=$value ;;
        *) fail "the standard input has the unknown name $name" "$another_program" ;;
        esac
    done
    [ -z "$line" ] || fail "the standard input ends within a line (not shown)" "$another_program"
    unset line name value
}
another_program="run up again with one version of this program; if that does not help, report it"

ours() { [ -e "$1" ] && head -n 1 "$1" | grep -q '^# From the stack file, by k3s-gpu-sharing'; }

# place FILE TEXT KEY: FILE holds TEXT, which begins with the line that says whose it is; without a TEXT it goes.
# What somebody else wrote there stays, and stands in the way of a TEXT.
place() {
    if [ -n "$2" ]; then
        [ ! -s "$1" ] || ours "$1" || fail "$1 is here already and was not written by this program" "say what it says in $3, and delete it"
        printf '%s\n' "$2" | put "$1" 600
    elif ours "$1"; then
        rm -f "$1"
    fi
}

# Of those files that only some nodes have.
given_files() { for file in $etc/registries.yaml "$unit_file.env"; do ! ours "$file" || cat "$file"; done; }

# What a downloader reads of the environment that k3s will have: the proxy's password may be in it, so it goes
# through a pipe or a file, and through no argument that others see.
through_proxy() { printf '%s\n' "$environment" | sed -nE "$1"; }
