# Prints the cluster's tokens as one JSON object, which is a secret.
dir=/var/lib/rancher/k3s/server
for file in token agent-token; do
    [ -s $dir/$file ] || {
        echo "no $dir/$file: is k3s running as a server here? (systemctl status k3s)" >&2
        exit 1
    }
done
printf '{"server": "%s", "agent": "%s"}\n' "$(cat $dir/token)" "$(cat $dir/agent-token)"
