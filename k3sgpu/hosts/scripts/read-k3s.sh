# Reads the k3s that was installed on this machine by hand, for `adopt`. Changes nothing, and judges nothing.
#
# stdout: "name value" lines. The files hold secrets, so nobody may print them further.
#   hostname, machine-id, binary, version
#   unit NAME STATE        each unit of k3s
#   file PATH              one that decides how k3s runs; lines "text BASE64" with its contents follow
#   files HASH             of all of these (parts/k3s_files.sh)
#   changed PATH           one that is newer than the process of k3s
#   ca HASH                of the cluster's certificates
#   database etcd|sqlite   of a server
#   node NAME|IP|MACHINE-ID|VERSION|ROLE   each Node, on a server; ROLE is empty, or true for a server

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/k3s_files.sh
. ./parts/k3s_files.sh
root=''
data_dir=/var/lib/rancher/k3s

say() { printf '%s %s\n' "$1" "$2"; }
# since UNIT: the second in which its process started
since() {
    started=$(systemctl show --property ExecMainStartTimestamp --value "$1")
    [ -z "$started" ] || date -d "$started" +%s
}

say hostname "$(uname -n)"
say machine-id "$(cat /etc/machine-id)"
for binary in /usr/local/bin/k3s /opt/bin/k3s /usr/bin/k3s; do
    [ -x "$binary" ] || continue
    say binary "$binary"
    say version "$(timeout "$NODE_KUBECTL_SECONDS" "$binary" --version 2>/dev/null | awk '$1 == "k3s" { print $3 }')"
    break
done
started=''
for file in /etc/systemd/system/k3s*.service; do
    [ -e "$file" ] || continue
    unit=${file##*/}
    state=$(systemctl is-active "$unit" || :)
    say unit "$unit $state"
    [ "$state" != active ] || started=$(since "$unit")
done
k3s_files | while IFS= read -r file; do
    say file "$file"
    base64 <"$file" | while IFS= read -r line; do say text "$line"; done
    [ -z "$started" ] || [ "$(stat -c %Y "$file")" -le "$started" ] || say changed "$file"
done
say files "$(k3s_files_hash)"
for file in $data_dir/server/tls/server-ca.crt $data_dir/agent/server-ca.crt; do
    [ -s "$file" ] || continue
    say ca "$(sha256sum <"$file" | cut -d ' ' -f 1)"
    break
done
if [ -d $data_dir/server/db/etcd ]; then
    say database etcd
elif [ -e $data_dir/server/db/state.db ]; then
    say database sqlite
fi
if [ -d $data_dir/server/tls ]; then
    timeout "$NODE_KUBECTL_SECONDS" "$binary" kubectl --request-timeout="${API_REQUEST_SECONDS}s" get nodes --output \
        'jsonpath={range .items[*]}{.metadata.name}|{.status.addresses[?(@.type=="InternalIP")].address}|{.status.nodeInfo.machineID}|{.status.nodeInfo.kubeletVersion}|{.metadata.labels.node-role\.kubernetes\.io/control-plane}{"\n"}{end}' 2>/dev/null |
        while IFS= read -r line; do say node "$line"; done
fi
say end ok
