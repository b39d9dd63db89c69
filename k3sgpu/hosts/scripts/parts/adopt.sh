# Taking over a k3s that was installed by hand, without a restart. After files.sh, secrets.sh, release.sh, k3s_files.sh.
# Its files stay in a folder of the marker's:
#   permission  64 hex digits of the stack file: half of the hash of k3s's files as `adopt` read them, and half of the
#               hash of the configuration that replaces them, which `adopt` has compared
#   files/      k3s's files as they were
#   begun       from here on this program's files replace them
#   done        k3s runs, and its next start reads this program's files
# Set in front: HOST ROLE VERSION
# shellcheck disable=SC2034,SC2154,SC2329  # other parts read what this sets, set what this reads, and call it

root=''
adopt_again="run python -m k3sgpu adopt again, then up: it reads k3s anew"

adoption_is_pending() { [ -d "$adopted_dir" ] && [ ! -e "$adopted_dir/done" ]; }

# Whether staging is to prepare the takeover. Without a k3s it installs one, and one of its own it knows already.
is_to_adopt() {
    [ -n "$ADOPT" ] && k3s_is_here && [ ! -e "$adopted_dir/begun" ] && { [ ! -e "$marker_dir/owner" ] || adoption_is_pending; }
}

# check_found PERMISSION: k3s is as `adopt` has read it, and this run is to install no other release
check_found() {
    case $(k3s_files_hash) in
    "${1%????????????????????????????????}"*) ;;
    *) fail "k3s's unit or configuration has changed since adopt read it; nothing was changed" "$adopt_again" ;;
    esac
    check_found_release
}

check_found_release() {
    find_installed # parts/release.sh
    release_is_installed ||
        fail "k3s here is ${installed:-not installed}, and the stack file says $VERSION; nothing was changed" \
            "write version: ${installed:-VERSION} under k3s for the first up, and upgrade after it"
}

# keep_found PERMISSION: note k3s's files before any of them is replaced
keep_found() {
    rm -rf "$adopted_dir.new"
    mkdir -p "$adopted_dir.new/files"
    chmod 700 "$adopted_dir.new"
    k3s_files | while IFS= read -r file; do
        mkdir -p "$adopted_dir.new/files${file%/*}"
        cp -p "$file" "$adopted_dir.new/files$file" || fail_to_write "$adopted_dir.new"
    done
    printf '%s\n' "$1" | put "$adopted_dir.new/permission" 600
    rm -rf "$adopted_dir"
    mv "$adopted_dir.new" "$adopted_dir" || fail_to_write "$adopted_dir"
}

# The hash of the configuration that converge will write, as adopt computes it (k3sgpu/adoption/permission.py). Lines
# about labels and taints are not in it: k3s reads them only when a Node registers.
planned_hash() {
    {
        printf '%s' "$CONFIG" | config_read_at_start
        printf '%s\n--\n' "$node_config" "$server_config" "$registries" "$environment"
    } | sha256sum | cut -d ' ' -f 1
}

# Puts this program's unit and tokens in the place of those that were found. configure writes config.yaml after it.
take_over() {
    check_found_release
    permission=$(cat "$adopted_dir/permission")
    case $(planned_hash) in
    "${permission#????????????????????????????????}"*) ;;
    *) fail "the stack file describes another configuration of k3s than the one that adopt compared" \
        "undo the change for the first up, and make it after that; or run python -m k3sgpu adopt again" ;;
    esac
    if [ ! -e "$adopted_dir/begun" ]; then
        check_found "$permission"
        systemctl --quiet is-active "$unit" ||
            fail "k3s was installed by hand and does not run; nothing was changed" "repair it (systemctl status $unit), then run up again"
        : | put "$adopted_dir/begun" 600
    fi
    mkdir -p "$config_dir"
    rm -f "$config_dir"/config.yaml.d/*.yaml
    # Everything of the unit stays but the flags, which are in config.yaml now.
    awk -v start="ExecStart=$k3s $ROLE" '
        dropped { dropped = /\\$/; next }
        /^ExecStart=/ { print start; dropped = /\\$/; next }
        { print }' "$adopted_dir/files$unit_file" | put "$unit_file" 644
    [ ! -e "$unit_file.env" ] || is_from_stack_file "$unit_file.env" || : | put "$unit_file.env" 600
    is_from_stack_file "$config_dir/registries.yaml" || rm -f "$config_dir/registries.yaml"
    # Agents go on with the token that they have.
    if [ "$ROLE" = server ]; then
        token=$(cat "$data_dir/server/agent-token" 2>/dev/null || cat "$data_dir/server/node-token") ||
            fail "no $data_dir/server/agent-token and no node-token" "is k3s a server here? (systemctl status $unit)"
        token=${token#*::}
        printf '%s' "${token#*:}" | put "$config_dir/agent-token" 600
    fi
    systemctl daemon-reload
    action="took over k3s $VERSION without a restart"
}

finish_adoption() { ! adoption_is_pending || : | put "$adopted_dir/done" 600; }
