# Downloads and checks k3s's release. After secrets.sh and release.sh.
# Set in front: HOST VERSION
# shellcheck disable=SC2154,SC2329  # other parts set what this reads, and call it

# Does nothing when all is there. Only with the lock. All files together have DOWNLOAD_SECONDS.
fetch_release() {
    read_source
    release_is_complete && return 0
    download_end=$(($(date +%s) + DOWNLOAD_SECONDS))
    fetch "$release/$asset" "$release_dir/$asset"
    if [ -z "$pin" ]; then pin=$(listed_hash "$asset" "check k3s.mirror and k3s.version"); fi
    verify "$release_dir/$asset" "$pin" "the k3s binary of $VERSION"
    fetch_images
    fetch "$SCRIPT_URL" "$release_dir/install.sh"
    [ -z "$SCRIPT_SHA256" ] || verify "$release_dir/install.sh" "$SCRIPT_SHA256" "k3s's install script"
    put "$release_dir/complete" 600 <"$release_dir/source"
}

# k3s's image archives, for a host without access to a registry: those beside a release on this machine's disk, each
# checked against the release's own list.
fetch_images() {
    case $MIRROR in file://*) ;; *) return 0 ;; esac
    for archive in "${release#file://}/k3s-airgap-images-$arch".tar*; do
        [ -e "$archive" ] || continue
        name=${archive##*/}
        pin=$(listed_hash "$name" "put the release's own sha256sum-$arch.txt beside it")
        verify "$archive" "$pin" "$archive"
        fetch "file://$archive" "$release_dir/$name"
    done
}

# listed_hash NAME REMEDY: the hash of a file in the release's own list
listed_hash() {
    sums=$release_dir/sha256sum-$arch.txt
    [ -e "$sums" ] || fetch "$release/${sums##*/}" "$sums"
    listed=$(awk -v name="$1" '$2 == name { print $1 }' "$sums")
    [ -n "$listed" ] || fail "the release's checksum file does not name $1" "$2"
    printf '%s\n' "$listed"
}

# fetch URL FILE: all of it or nothing. An uploaded file is in its place already.
fetch() {
    case $1 in
    "file://$2") [ -r "$2" ] || fail "no file $2, which was uploaded" "$stage_again" ;;
    file://*)
        [ -r "${1#file://}" ] || fail "no file ${1#file://}" "put the release there, or change k3s.mirror in the stack file"
        if ! { cp "${1#file://}" "$2.part" && mv -f "$2.part" "$2"; }; then fail_to_write "$2"; fi
        ;;
    *)
        tries=0
        until
            download_begin=$(date +%s)
            said=$(download "$1" "$2.part" 2>&1) && status=0 || status=$?
            [ "$status" -eq 0 ]
        do
            tries=$((tries + 1))
            # A connection that broke, for which curl by itself does not try again as wget does.
            case $status in 18 | 52 | 55 | 56 | 92) [ "$tries" -ge "$DOWNLOAD_TRIES" ] || continue ;; esac
            fail_to_download "$1" "$2.part"
        done
        mv -f "$2.part" "$2" || fail_to_write "$2"
        ;;
    esac
}

# download URL FILE. curl gives up a slow one by itself; wget only one that stands still.
download() {
    seconds=$((download_end - $(date +%s)))
    [ "$seconds" -gt 0 ] || return 124
    if command -v curl >/dev/null; then
        proxy_settings 's/^HTTPS_PROXY=(.*)/proxy = "\1"/p; s/^NO_PROXY=(.*)/noproxy = "\1"/p' |
            timeout "$seconds" curl --config - --fail --silent --show-error --location --proto '=https' \
                --connect-timeout "$CONNECT_SECONDS" --retry "$DOWNLOAD_TRIES" \
                --speed-limit "$DOWNLOAD_BYTES_PER_SECOND" --speed-time "$DOWNLOAD_SLOW_SECONDS" --output "$2" "$1"
    else
        proxy_settings 's/^HTTPS_PROXY=/https_proxy = /p; s/^NO_PROXY=/no_proxy = /p' >"$release_dir/wgetrc"
        status=0
        WGETRC=$release_dir/wgetrc timeout "$seconds" wget --no-verbose --https-only --connect-timeout="$CONNECT_SECONDS" \
            --read-timeout="$DOWNLOAD_SLOW_SECONDS" --tries="$DOWNLOAD_TRIES" --output-document="$2" "$1" || status=$?
        rm -f "$release_dir/wgetrc"
        return "$status"
    fi
}

# fail_to_download URL FILE, with `status` and what the program `said`
fail_to_download() {
    said=$(printf '%s' "$said" | tail -n 1 | sed 's#://[^/@ ]*@#://***@#g')
    [ "$status" -ne 124 ] || said="not finished after $DOWNLOAD_SECONDS s"
    case $said in *"No space left"* | *"curl: (23)"*) fail_to_write "$2 ($said)" ;; esac
    came=0
    [ ! -e "$2" ] || came=$(wc -c <"$2")
    rate=$(awk -v bytes="$came" -v seconds=$(($(date +%s) - download_begin)) \
        'BEGIN { printf "%.1f MiB arrived in %d s, %.2f MiB/s", bytes / 1048576, seconds, bytes / 1048576 / (seconds ? seconds : 1) }')
    rm -f "$2"
    fail "could not download $1: $rate: $said" \
        "check that this machine reaches it, or set k3s.mirror or k3s.proxy in the stack file; or k3s.airGap: this program then uploads it"
}
