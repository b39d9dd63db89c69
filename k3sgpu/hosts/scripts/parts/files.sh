# Paths, failing, and writing files. Set in front: HOST ROLE VERSION
# shellcheck disable=SC2034,SC2154,SC2329  # other parts read what this sets, and call it

marker_dir=/etc/k3s-gpu-sharing
adopted_dir=$marker_dir/adopted
lib_dir=/usr/local/lib/k3s-gpu-sharing
release_dir=$lib_dir/release/$VERSION
config_dir=/etc/rancher/k3s
k3s=/usr/local/bin/k3s
data_dir=/var/lib/rancher/k3s
case $ROLE in
server) unit="k3s" other_unit="k3s-agent" ;;
agent) unit="k3s-agent" other_unit="k3s" ;;
esac
unit_file=/etc/systemd/system/$unit.service

# fail PROBLEM REMEDY
fail() {
    printf '%s: %s\n' "$HOST" "$1" >&2
    [ -z "${2:-}" ] || printf '  remedy: %s\n' "$2" >&2
    exit 1
}

stage_again="raise k3s.generation in the stack file, and run up: it is staged again"

fail_to_write() { fail "could not write $1" "is the disk full or read-only? see df -h, df -i and mount"; }

# put FILE MODE: write stdin to FILE, all of it or nothing
put() {
    if ! { cat >"$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"; }; then fail_to_write "$1"; fi
}

# config_read_at_start: a config.yaml on stdin without what k3s reads only when a Node registers
config_read_at_start() { awk '/^[^- ]/ { off = /^node-(label|taint):/ } !off'; }

# verify FILE SHA256 WHAT. The run of another stack file may have left its pin.
verify() {
    found=$(sha256sum "$1" | cut -d ' ' -f 1)
    [ "$found" = "$2" ] || fail "$3 has sha256 $found, expected $2" "somebody changed it, or the pin in the stack file belongs to another version; if the pin is right, $stage_again"
}
