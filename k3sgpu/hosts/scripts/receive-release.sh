# Takes k3s's release from the computer that runs Pulumi, and puts it where converge fetches it from.
#
# Set in front: PROJECT STACK HOST ROLE VERSION UNINSTALL_SCRIPT, as for converge.sh, and
#               NAME SHA256   the file on stdin; empty: print this machine's type, and what is here already
# shellcheck disable=SC2154  # the parts set what this reads

# shellcheck source=k3sgpu/hosts/scripts/parts/files.sh
. ./parts/files.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/owner.sh
. ./parts/owner.sh

release=$lib_dir/release/$VERSION
check_owner
if [ -z "$NAME" ]; then
    claim
    mkdir -p "$release" || fail_to_write "$release"
    rm -f "$release"/*.came
    for other in "$lib_dir"/release/*; do [ "$other" = "$release" ] || rm -rf "$other"; done
    uname -m
    for file in "$release"/*; do [ ! -e "$file" ] || sha256sum "$file"; done
else
    put "$release/$NAME.came" 600
    verify "$release/$NAME.came" "$SHA256" "$NAME, as received,"
    mv -f "$release/$NAME.came" "$release/$NAME"
fi
