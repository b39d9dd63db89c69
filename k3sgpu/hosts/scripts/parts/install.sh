# Installs k3s's release, which download.sh or an upload has put into its folder. After secrets.sh and release.sh.
# Set in front: ROLE VERSION
# shellcheck disable=SC2034,SC2154,SC2329  # other parts read what this sets, set what this reads, and call it

# link FILE NAME: the same file under a second name, or a copy on another disk. So a failed install can be repeated.
link() {
    if ! { ln -f "$1" "$2" 2>/dev/null || cp "$1" "$2"; }; then fail_to_write "$2"; fi
}

# Puts the image archives where k3s reads them when it starts, and removes those of another release.
place_images() {
    set -- "$release_dir/k3s-airgap-images-$arch".tar*
    [ -e "$1" ] || return 0
    mkdir -p "$data_dir/agent/images"
    rm -f "$data_dir"/agent/images/k3s-airgap-images-*
    for archive in "$@"; do link "$archive" "$data_dir/agent/images/${archive##*/}"; done
}

install_release() {
    place_images
    chmod 755 "$release_dir/$asset"
    link "$release_dir/$asset" "$k3s.new"
    mv -f "$k3s.new" "$k3s" || fail_to_write "$k3s"
    # A file keeps the SELinux label of where it was created, and systemd may not run one of another folder.
    ! command -v restorecon >/dev/null || restorecon "$k3s"
    # The script would record this login's proxy for k3s, where the stack file names another.
    [ -z "$environment" ] || unset HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy
    # The script writes the unit and the uninstall script. It must not start k3s: it would wait for ever for a
    # server that cannot be reached, and start_k3s decides what is started.
    said=$(INSTALL_K3S_SKIP_DOWNLOAD=$skip INSTALL_K3S_SKIP_START=true INSTALL_K3S_EXEC=$ROLE sh "$release_dir/install.sh" 2>&1) || {
        printf '%s\n' "$said" >&2
        case $said in
        *rpm.rancher.io* | *k3s-selinux*) fail "k3s's install script could not install its SELinux policy" "let this machine reach https://rpm.rancher.io and its distribution's packages, or install k3s-selinux and use k3s.airGap" ;;
        *) fail "k3s's install script failed" "read its output above" ;;
        esac
    }
    empty_release
    action="installed $VERSION"
}
