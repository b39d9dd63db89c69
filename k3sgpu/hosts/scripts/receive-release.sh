# Take k3s's release from the computer that runs Pulumi, and lay it where converge fetches it from.
#
# Set in front: PROJECT STACK HOST ROLE VERSION CLEAN, as for converge, and
#               NAME SHA256   the file that comes on stdin; empty: say what machine this is, and what is here already
# shellcheck disable=SC2154  # converge.sh sets what this reads

# shellcheck source=/dev/null
. ./converge.sh

release=$lib/release/$VERSION
check_owner
if [ -z "$NAME" ]; then
    claim
    mkdir -p "$release" || no_room "$release"
    rm -f "$release"/*.came
    for other in "$lib"/release/*; do [ "$other" = "$release" ] || rm -rf "$other"; done
    uname -m
    for file in "$release"/*; do [ ! -e "$file" ] || sha256sum "$file"; done
else
    put "$release/$NAME.came" 600
    verify "$release/$NAME.came" "$SHA256" "$NAME, as it came,"
    mv -f "$release/$NAME.came" "$release/$NAME"
fi
