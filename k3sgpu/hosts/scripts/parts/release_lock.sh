# Who may change the folder of k3s's release. After files.sh, but for stop_download. Set in front: HOST
# shellcheck disable=SC2154,SC2329  # other parts set what this reads, and call it

release_lock=/run/lock/k3s-gpu-sharing-release.lock

# The lock is held on file descriptor 8 until it is closed. A download in the background and an upload hold it on 7.
lock_release() {
    exec 8>"$release_lock"
    flock -w "$RELEASE_LOCK_SECONDS" 8 ||
        fail "another run has been at work on the release here for $RELEASE_LOCK_SECONDS s" "wait for it; it holds $release_lock"
}
unlock_release() { exec 8>&-; }

# The processes of a download in the background, or of an upload.
download_processes() {
    # shellcheck disable=SC2012  # the names are numbers
    ls -l /proc/[0-9]*/fd/7 2>/dev/null | awk -v lock="$(readlink -f "$release_lock")" \
        '$NF == lock { split($(NF - 2), path, "/"); print path[3] }'
}

# Ends a download in the background or an upload, also what it starts in this moment.
stop_download() {
    for _ in 1 2 3 4 5; do
        processes=$(download_processes)
        [ -n "$processes" ] || return 0
        # shellcheck disable=SC2086
        kill $processes 2>/dev/null || :
        sleep 1
    done
}
