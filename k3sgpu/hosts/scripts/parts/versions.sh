# Versions of k3s, and which step from one to another it can do. After files.sh.
# Set in front: HOST VERSION
# shellcheck disable=SC2154,SC2329  # other parts set what this reads, and call it

# version_number VERSION: v1.36.2+k3s1 as 1036002001, which grows with the version
version_number() { printf '%s\n' "$1" | awk -F '[v.+]' '{ sub("k3s", "", $5); printf "%d%03d%03d%03d", $2, $3, $4, $5 }'; }
# minor VERSION: v1.36.2+k3s1 as 1036
minor() { echo $(($(version_number "$1") / 1000000)); }

# Refuses what k3s cannot do from the version that is `installed`.
check_upgrade_step() {
    [ -n "$installed" ] && [ "$installed" != "$VERSION" ] || return 0
    [ "$(version_number "$VERSION")" -ge "$(version_number "$installed")" ] ||
        fail "k3s $installed is installed and the stack file says $VERSION: k3s cannot be downgraded in place" \
            "write version: $installed; docs/guides/operations.md says how a snapshot of the older version is restored"
    here=$(minor "$installed")
    [ "$(minor "$VERSION")" -le $((here + 1)) ] ||
        fail "from k3s $installed to $VERSION a minor version would be skipped, which Kubernetes does not support" \
            "go to a release of v1.$((here % 1000 + 1)) first"
}
