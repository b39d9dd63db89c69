# The files that decide how a k3s runs that was installed by hand. Set in front: root, a folder in front of all paths
# shellcheck disable=SC2154,SC2329  # scripts set what this reads, and call it

# k3s_files: those that are there, a path a line
k3s_files() {
    for name in k3s k3s-agent; do
        for file in "$root/etc/systemd/system/$name.service" "$root/etc/systemd/system/$name.service.env" \
            "$root/etc/systemd/system/$name.service.d"/*.conf "$root/etc/default/$name" "$root/etc/sysconfig/$name"; do
            [ ! -f "$file" ] || printf '%s\n' "${file#"$root"}"
        done
    done
    for file in "$root"/etc/rancher/k3s/config.yaml "$root"/etc/rancher/k3s/config.yaml.d/*.yaml \
        "$root"/etc/rancher/k3s/registries.yaml; do
        [ ! -f "$file" ] || printf '%s\n' "${file#"$root"}"
    done
}

# k3s_files_hash: of the paths and the contents of all of them
k3s_files_hash() {
    k3s_files | while IFS= read -r file; do printf '%s %s\n' "$(sha256sum <"$root$file")" "$file"; done |
        sha256sum | cut -d ' ' -f 1
}
