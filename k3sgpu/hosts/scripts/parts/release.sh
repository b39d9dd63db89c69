# k3s's release: download, check, install. After secrets.sh.
# Set in front: ROLE VERSION MIRROR SCRIPT_URL SCRIPT_SHA256 BINARY_SHA256_AMD64 BINARY_SHA256_ARM64
# shellcheck disable=SC2034,SC2154,SC2329  # other parts read what this sets, set what this reads, and call it

release_is_installed() { [ "$installed" = "$VERSION" ] && [ -e "$unit_file" ]; }

# fetch URL FILE
fetch() {
    case $1 in
    file://*)
        [ -r "${1#file://}" ] || fail "no file ${1#file://}" "put the release there, or change k3s.mirror in the stack file"
        cp "${1#file://}" "$2" || fail_to_write "$2"
        ;;
    *)
        if command -v curl >/dev/null; then
            proxy_settings 's/^HTTPS_PROXY=(.*)/proxy = "\1"/p; s/^NO_PROXY=(.*)/noproxy = "\1"/p' |
                curl --config - --fail --silent --show-error --location --proto '=https' \
                    --connect-timeout "$CONNECT_SECONDS" --max-time "$DOWNLOAD_SECONDS" --retry "$DOWNLOAD_TRIES" --output "$2" "$1"
        else
            proxy_settings 's/^HTTPS_PROXY=/https_proxy = /p; s/^NO_PROXY=/no_proxy = /p' >"$work/wgetrc"
            WGETRC=$work/wgetrc wget --quiet --https-only --timeout="$CONNECT_SECONDS" --tries="$DOWNLOAD_TRIES" --output-document="$2" "$1"
        fi || fail "could not download $1" "check that this machine reaches it, or set k3s.mirror or k3s.proxy in the stack file"
        ;;
    esac
}

# Downloads and checks the release, into a folder of its own: `work`.
fetch_release() {
    case $(uname -m) in
    x86_64) arch=amd64 asset=k3s pin=$BINARY_SHA256_AMD64 ;;
    aarch64) arch=arm64 asset=k3s-arm64 pin=$BINARY_SHA256_ARM64 ;;
    *) fail "machine type $(uname -m)" "use x86_64 or aarch64, for which k3s and NVIDIA's images exist" ;;
    esac
    work=$(mktemp -d) || fail_to_write /tmp
    trap 'rm -rf "$work"' EXIT
    # A '+' in a path means itself, but some mirrors read it as a blank.
    case $MIRROR in
    file://*) release=$MIRROR/$VERSION skip="true" ;;
    # The script still downloads k3s's SELinux policy, on systems that have one.
    *) release=$MIRROR/$(printf '%s' "$VERSION" | sed 's/+/%2B/g') skip="binary" ;;
    esac
    fetch "$release/$asset" "$work/k3s"
    if [ -z "$pin" ]; then
        fetch "$release/sha256sum-$arch.txt" "$work/sums"
        pin=$(awk -v name="$asset" '$2 == name { print $1 }' "$work/sums")
        [ -n "$pin" ] || fail "the release's checksum file does not name $asset" "check k3s.mirror and k3s.version"
    fi
    verify "$work/k3s" "$pin" "the k3s binary of $VERSION"
    fetch_images
    fetch "$SCRIPT_URL" "$work/install.sh"
    [ -z "$SCRIPT_SHA256" ] || verify "$work/install.sh" "$SCRIPT_SHA256" "k3s's install script"
}

# k3s's image archives, for a host without access to a registry: those beside a release that was uploaded, each
# checked against the release's own list.
fetch_images() {
    case $MIRROR in file://*) ;; *) return 0 ;; esac
    for archive in "${release#file://}/k3s-airgap-images-$arch".tar*; do
        [ -e "$archive" ] || continue
        [ -e "$work/sums" ] || fetch "$release/sha256sum-$arch.txt" "$work/sums"
        pin=$(awk -v name="${archive##*/}" '$2 == name { print $1 }' "$work/sums")
        [ -n "$pin" ] || fail "the release's checksum file does not name ${archive##*/}" "put the release's own sha256sum-$arch.txt beside it"
        verify "$archive" "$pin" "$archive"
        mkdir -p "$work/images"
        cp "$archive" "$work/images" || fail_to_write "$work"
    done
}

# Puts the archives where k3s reads them when it starts, and removes those of another release.
place_images() {
    [ -d "$work/images" ] || return 0
    mkdir -p "$data_dir/agent/images"
    rm -f "$data_dir"/agent/images/k3s-airgap-images-*
    mv -f "$work"/images/* "$data_dir/agent/images" || fail_to_write "$data_dir"
}

install_release() {
    place_images
    chmod 755 "$work/k3s"
    if ! { mv -f "$work/k3s" "$k3s.new" && mv -f "$k3s.new" "$k3s"; }; then fail_to_write "$k3s"; fi
    # A file keeps the SELinux label of where it was created, and systemd may not run one of a temporary folder.
    ! command -v restorecon >/dev/null || restorecon "$k3s"
    # The script would record this login's proxy for k3s, where the stack file names another.
    [ -z "$environment" ] || unset HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy
    # The script writes the unit and the uninstall script. It must not start k3s: it would wait for ever for a
    # server that cannot be reached, and start_k3s decides what is started.
    INSTALL_K3S_SKIP_DOWNLOAD=$skip INSTALL_K3S_SKIP_START=true INSTALL_K3S_EXEC=$ROLE sh "$work/install.sh" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        case $(cat "$work/log") in
        *rpm.rancher.io* | *k3s-selinux*) fail "k3s's install script could not install its SELinux policy" "let this machine reach https://rpm.rancher.io and its distribution's packages, or install k3s-selinux and use k3s.airGap" ;;
        *) fail "k3s's install script failed" "read its output above" ;;
        esac
    }
    action="installed $VERSION"
}
