# Takes this machine out of the program: k3s goes on, and what this program knew of the machine stays as notes.
# Set in front: PROJECT STACK HOST ROLE VERSION
# shellcheck disable=SC2034,SC2154  # the parts set what this reads, and read what this sets

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/files.sh
. ./parts/files.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/owner.sh
. ./parts/owner.sh

released=$marker_dir/released

# The notes for those who manage the machine from now on.
write_notes() {
    printf '%s\n' \
        "Until $(date -u +%Y-%m-%d) this machine was host $HOST of the Pulumi stack $STACK, project $PROJECT." \
        "Nothing manages its k3s now: a change here is yours, and nothing takes it back." \
        "" \
        "look       systemctl status $unit; journalctl -u $unit" \
        "configure  $config_dir/config.yaml, then: systemctl restart $unit" \
        "           the proxy is in $unit_file.env, registries are in $config_dir/registries.yaml;" \
        "           keep $config_dir/*-token, which config.yaml names" \
        "upgrade    servers first, one after another; it keeps config.yaml, and empties $unit_file.env:" \
        "           curl -sfL https://get.k3s.io | INSTALL_K3S_EXEC=$ROLE INSTALL_K3S_VERSION=$VERSION sh -" \
        "uninstall  /usr/local/bin/$unit-uninstall.sh" \
        "" \
        "Beside this file is what the program had noted: sysctl-before (kernel settings before k3s)," \
        "absent-before (files that were not here before the GPU Operator), adopted/files (k3s's files" \
        "as they were when the program took a hand-made k3s over)." | put "$released/README" 644
}

exec 9>/run/lock/k3s-gpu-sharing.lock
flock -w "$UNINSTALL_LOCK_SECONDS" 9 || fail "another run is still at work here after $UNINSTALL_LOCK_SECONDS s" "run release again when it has ended"
if [ ! -e "$marker_dir/owner" ]; then
    if [ -e "$released/README" ]; then echo "$HOST: was released before"; else echo "$HOST: is not managed by this program"; fi
    exit 0
fi
check_owner # parts/owner.sh
[ ! -e "$adopted_dir/begun" ] || [ -e "$adopted_dir/done" ] ||
    fail "an up was cut off while it took k3s over" "run up again, then release"

rm -rf "$lib_dir" || fail_to_write "$lib_dir"
if is_only_staged; then # parts/owner.sh
    rm -rf "$marker_dir"
    echo "$HOST: released; this program never touched a k3s here"
    exit 0
fi
mkdir -p "$released" || fail_to_write "$released"
write_notes
# The marker last: a run that is cut off goes on when it is repeated.
keep() {
    rm -rf "${released:?}/$1"
    mv "$marker_dir/$1" "$released/$1" || fail_to_write "$released"
}
for file in "$marker_dir"/*; do
    case ${file##*/} in released | owner) ;; *) keep "${file##*/}" ;; esac
done
keep owner
echo "$HOST: released; $released/README says how k3s is managed now"
