# Where k3s and its kubelet keep their data: links and the configuration may lead elsewhere, for instance to a big
# disk. Set in front: marker_dir data_dir config_dir
# shellcheck disable=SC2154,SC2329  # other parts and scripts set what this reads, and call it

kubelet_dir=/var/lib/kubelet
tab=$(printf '\t')

# record_data_folders CONFIG: add the folders as they are now to data-folders, one a line: its path, the folder that the
# path leads to, and what the path links to where it is a link itself. Earlier lines stay: k3s's own uninstall script
# deletes links, and another configuration may have had another folder. CONFIG: what config.yaml will be.
record_data_folders() {
    {
        [ ! -e "$marker_dir/data-folders" ] || cat "$marker_dir/data-folders"
        data_folder "$data_dir" 3
        data_folder "$kubelet_dir" 1
        data_folder "$config_dir" 0
        data_folder "${config_dir%/*}/node" 0
        { printf '%s\n' "$1" && cat "$config_dir"/config.yaml "$config_dir"/config.yaml.d/*.yaml 2>/dev/null; } |
            sed -n "s/^[- ]*['\"]\{0,1\}root-dir=\([^'\"]*\).*/\1/p" |
            while IFS= read -r folder; do data_folder "$folder" 1; done
    } | awk '!seen[$0]++' >"$marker_dir/data-folders.new"
    mv -f "$marker_dir/data-folders.new" "$marker_dir/data-folders"
}

# contents FOLDER: what is in it, a path a line
contents() { [ ! -d "$1" ] || find "$1" -mindepth 1 -maxdepth 1 ! -name lost+found; }

# data_contents: the contents of all data folders
data_contents() { while IFS=$tab read -r _ target _; do contents "$target"; done <"$marker_dir/data-folders"; }

# data_folder PATH DEPTH: the line of PATH, and those of links to other folders at most DEPTH below it
data_folder() (
    target=$(readlink -f "$1") || target=$1
    link=$(readlink "$1") || link=
    printf '%s\t%s\t%s\n' "$1" "$target" "$link"
    [ -d "$target" ] && [ "$2" -gt 0 ] || exit 0
    find -H "$1" -mindepth 1 -maxdepth "$2" -type l | while IFS= read -r inner; do
        case $(readlink -f "$inner") in
        "$target" | "$target"/*) ;;
        *) [ ! -d "$inner" ] || data_folder "$inner" $(($2 - 1)) ;;
        esac
    done
)
