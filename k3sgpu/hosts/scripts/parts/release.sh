# k3s's release in a folder of this program, until it is installed, and what is in it. After files.sh and release_lock.sh.
#   source     where it comes from and its hashes, as assignments of sh; `complete` has the same text when all is there
#   k3s, install.sh, … under their names in k3s's releases; NAME.part is not whole yet
#   log        what the download in the background said
# Set in front: HOST ROLE VERSION
# shellcheck disable=SC2034,SC2154,SC2329  # other parts read what this sets, set what this reads, and call it

# Sets `installed`: the version on the disk, empty when there is none.
find_installed() {
    installed=
    [ ! -x "$k3s" ] || installed=$($k3s --version | awk '$1 == "k3s" { print $3 }')
}

release_is_installed() { [ "$installed" = "$VERSION" ] && [ -e "$unit_file" ]; }

release_is_complete() { [ -s "$release_dir/complete" ] && [ "$(cat "$release_dir/complete")" = "$(cat "$release_dir/source")" ]; }

# wait_for_download SAY: waits until nobody works on the release. Calls SAY now and then with what has arrived.
wait_for_download() {
    waited=0
    exec 8>"$release_lock"
    until flock -w "$DOWNLOAD_PROGRESS_SECONDS" 8; do
        waited=$((waited + DOWNLOAD_PROGRESS_SECONDS))
        [ "$waited" -lt $((DOWNLOAD_SECONDS + RELEASE_LOCK_SECONDS)) ] ||
            fail "the download of k3s $VERSION has not ended after $waited s; $(arrived) arrived" "look at what holds $release_lock, end it, and run up again"
        "$1" "$(arrived)"
    done
    unlock_release
}

# What is in the folder, in words.
arrived() {
    # shellcheck disable=SC2012  # only the sizes
    ls -ln "$release_dir" 2>/dev/null | awk '{ bytes += $5 } END { printf "%.1f MiB", bytes / 1048576 }'
}

# Sets what `source` says, and what follows from it for this machine.
read_source() {
    [ -s "$release_dir/source" ] || fail "k3s $VERSION was not staged here, or $release_dir/source was deleted" "$stage_again"
    # shellcheck source=/dev/null
    . "$release_dir/source"
    case $(uname -m) in
    x86_64) arch=amd64 asset=k3s pin=$BINARY_SHA256_AMD64 ;;
    aarch64) arch=arm64 asset=k3s-arm64 pin=$BINARY_SHA256_ARM64 ;;
    *) fail "machine type $(uname -m)" "use x86_64 or aarch64, for which k3s and NVIDIA's images exist" ;;
    esac
    # A '+' in a path means itself, but some mirrors read it as a blank.
    case $MIRROR in
    file://*) release=$MIRROR/$VERSION skip="true" ;;
    # The script still downloads k3s's SELinux policy, on systems that have one.
    *) release=$MIRROR/$(printf '%s' "$VERSION" | sed 's/+/%2B/g') skip="binary" ;;
    esac
}

# Everything but `source`, with which a later run can download again.
empty_release() { for file in "$release_dir"/*; do case $file in */source) ;; *) rm -f "$file" ;; esac done; }
