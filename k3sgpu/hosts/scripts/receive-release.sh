# Takes k3s's release from the computer that runs Pulumi, file by file, on a machine that stage-host.sh has prepared.
#
# Set in front: HOST ROLE VERSION
#               NAME SHA256   the file on stdin; empty: all files have come
# shellcheck disable=SC2154,SC2034  # the parts set what this reads, and read what this sets

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/files.sh
. ./parts/files.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/secrets.sh
. ./parts/secrets.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/release_lock.sh
. ./parts/release_lock.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/release.sh
. ./parts/release.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/download.sh
. ./parts/download.sh

lock_release
# As a download does: the next run ends an upload whose connection is gone.
exec 7>&8 8>&-
if [ -n "$NAME" ]; then
    put "$release_dir/$NAME.part" 600
    verify "$release_dir/$NAME.part" "$SHA256" "$NAME, as received,"
    mv -f "$release_dir/$NAME.part" "$release_dir/$NAME"
else
    fetch_release
fi
