# Prepares this machine for the Commands that will run here: marks it as this stack's, keeps the scripts that they
# call, and starts the download of k3s's release. A second run changes nothing.
#
# Set in front: PROJECT STACK HOST ROLE   whose machine this is
#               VERSION SOURCE            the k3s release; the text of its `source` (parts/release.sh)
#               UPLOADS                   names of the files that are uploaded; empty: the machine downloads
#               ADOPT                     empty, or the permission to take over a k3s that is here (parts/adopt.sh)
# stdin:        ENVIRONMENT=<base64> as for converge.sh, or nothing; a line --; then the files for this machine: a line
#               "-- NAME-SHA256" and the text of each
# stdout:       "scripts COUNT": how many were missing or different
#               "release STATE": installed | complete | downloading | uploading
#               when uploading: "machine TYPE", and "file SHA256 PATH" for each file that is here already
#               before an upgrade, while it waits for the download: "arrived SIZE"
# shellcheck disable=SC2154,SC2329,SC2034  # the parts set what this reads, and read what this sets

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/files.sh
. ./parts/files.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/secrets.sh
. ./parts/secrets.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/owner.sh
. ./parts/owner.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/versions.sh
. ./parts/versions.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/release_lock.sh
. ./parts/release_lock.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/release.sh
. ./parts/release.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/download.sh
. ./parts/download.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/k3s_files.sh
. ./parts/k3s_files.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/adopt.sh
. ./parts/adopt.sh

# The uninstall script and those of Commands. Other versions of these stay: Commands in the state may name them.
take_scripts() {
    mkdir -p "$lib_dir/scripts" || fail_to_write "$lib_dir"
    chmod 755 "$lib_dir"
    rm -rf "$lib_dir"/new.*
    # A name of its own: the files of a killed run that still writes must not get between these.
    new=$(mktemp -d "$lib_dir/new.XXXXXX") || fail_to_write "$lib_dir"
    awk -v folder="$new" '/^-- / { file = folder "/" $2; next } { print >file }' || fail_to_write "$new"
    count=0
    for file in "$new"/*; do
        name=${file##*/}
        case $name in
        clean-*) target=$lib_dir/clean mode=755 ;;
        *) target=$lib_dir/scripts/$name.sh mode=600 ;;
        esac
        sum="${name##*-}  -"
        [ "$(sha256sum <"$file")" = "$sum" ] || fail_to_write "$file"
        [ ! -e "$target" ] || [ "$(sha256sum <"$target")" != "$sum" ] || continue
        put "$target" "$mode" <"$file"
        count=$((count + 1))
    done
    rm -rf "$new"
    echo "scripts $count"
}

# True where somebody is at work on the release that SOURCE describes: that goes on. Otherwise ends a download of
# another release and an upload, and holds the lock when it returns.
leave_download_or_lock() {
    exec 8>"$release_lock"
    ! flock -n 8 || return 1
    [ -n "$UPLOADS" ] || [ "$SOURCE" != "$(cat "$release_dir/source" 2>/dev/null)" ] || return 0
    stop_download
    lock_release
    find_installed # whoever held the lock may have been installing
    return 1
}

# In the background, and with its output in a file: it goes on when the connection ends.
start_download() {
    (
        trap '' HUP PIPE
        fetch_release
    ) >"$release_dir/log" 2>&1 </dev/null 7>&8 8>&- &
}

stage_release() {
    find_installed     # parts/release.sh
    check_upgrade_step # parts/versions.sh: before anything is downloaded
    if ! leave_download_or_lock; then
        for other in "$lib_dir"/release/*; do [ "$other" = "$release_dir" ] || rm -rf "$other"; done
        mkdir -p "$release_dir" || fail_to_write "$release_dir"
        if [ "$SOURCE" != "$(cat "$release_dir/source" 2>/dev/null)" ]; then
            [ -n "$UPLOADS" ] || empty_release
            printf '%s\n' "$SOURCE" | put "$release_dir/source" 600
        fi
        if release_is_installed; then
            empty_release
            echo "release installed"
            return
        elif release_is_complete; then
            echo "release complete"
            return
        elif [ -n "$UPLOADS" ]; then
            list_uploads
            return
        fi
        start_download
        unlock_release
    fi
    # An upgrade restarts nothing before every machine has the release.
    if [ -n "$installed" ]; then
        wait_for_download say_arrived
        find_installed # by a run that went on without its connection
        if release_is_installed; then
            echo "release installed"
        elif release_is_complete; then
            echo "release complete"
        else
            fail_with_log
        fi
    else
        echo "release downloading"
    fi
}

say_arrived() { echo "arrived $1"; }

fail_with_log() {
    [ -s "$release_dir/log" ] || fail "the download of k3s $VERSION was cut off" "run up again"
    cat "$release_dir/log" >&2
    exit 1
}

list_uploads() {
    echo "release uploading"
    echo "machine $(uname -m)"
    for file in "$release_dir"/*; do
        case " $UPLOADS source " in
        *" ${file##*/} "*) ;;
        *) rm -f "$file" ;;
        esac
    done
    for file in "$release_dir"/*; do printf 'file %s\n' "$(sha256sum "$file")"; done
}

read_secrets
free_staged_machine # parts/owner.sh
check_owner         # parts/owner.sh
if is_to_adopt; then # parts/adopt.sh
    check_found "$ADOPT"
    keep_found "$ADOPT"
fi
take_scripts
claim
stage_release
