# Who may change the folder of k3s's release. After files.sh, but for stop_download. Set in front: HOST
# shellcheck disable=SC2154,SC2329  # other parts set what this reads, and call it

release_lock=/run/lock/k3s-gpu-sharing-release.lock

# The lock is held on file descriptor 8 until it is closed. A download in the background holds it on 7.
lock_release() {
    exec 8>"$release_lock"
    flock -w "$RELEASE_LOCK_SECONDS" 8 ||
        fail "another run has been at work on the release here for $RELEASE_LOCK_SECONDS s" "wait for it; it holds $release_lock"
}
unlock_release() { exec 8>&-; }

# Ends a download in the background, with the programs that it started.
stop_download() {
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/fd/7" 2>/dev/null)" != "$(readlink -f "$release_lock")" ] || kill "${process#/proc/}" 2>/dev/null || :
    done
}
