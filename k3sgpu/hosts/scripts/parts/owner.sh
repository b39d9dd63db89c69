# The marker that says which stack a machine belongs to. After files.sh.
# Set in front: PROJECT STACK HOST ROLE
# shellcheck disable=SC2154,SC2329  # files.sh sets what this reads; others call this

k3s_is_here() { [ -e "$k3s" ] || [ -e /etc/systemd/system/k3s.service ] || [ -e /etc/systemd/system/k3s-agent.service ]; }

# A machine of this stack that was staged and has no k3s yet may get another key in the stack file.
free_staged_machine() {
    case $(cat "$marker_dir/owner" 2>/dev/null) in
    "project=$PROJECT
stack=$STACK
host=$HOST
"*) ;;
    "project=$PROJECT
stack=$STACK
"*) k3s_is_here || rm -f "$marker_dir/owner" ;;
    esac
}

# Refuses a machine of another stack, and a k3s that this program did not install.
check_owner() {
    machine=$(cat /etc/machine-id)
    marker="project=$PROJECT
stack=$STACK
host=$HOST
machine-id=$machine"
    if [ -e "$marker_dir/owner" ]; then
        [ "$(cat "$marker_dir/owner")" = "$marker" ] ||
            fail "this machine belongs to $(tr '\n' ' ' <"$marker_dir/owner")and not to project=$PROJECT stack=$STACK host=$HOST machine-id=$machine" \
                "keep its old key in the stack file; or take it out there, run up, and add it again under the new key"
    elif k3s_is_here; then
        fail "k3s is here already and was not installed by this program" "remove it with its own uninstall script, or choose another machine"
    fi
    [ ! -e "/etc/systemd/system/$other_unit.service" ] ||
        fail "this machine runs $other_unit and the stack file makes it a $ROLE" \
            "a node's role cannot change in place: take the host out, run up, and add it again"
}

# Refuses a machine that was not staged, or is no longer: it could not be uninstalled.
check_claimed() {
    [ -e "$marker_dir/owner" ] || fail "$marker_dir/owner is missing" "$stage_again"
}

# Marks the machine, and notes what an uninstall has to know: before anything is installed, so that a failed install
# can be uninstalled too.
claim() {
    mkdir -p "$marker_dir"
    chmod 755 "$marker_dir"
    # What the GPU Operator may leave on the host. An uninstall removes those that were not here before.
    [ -e "$marker_dir/absent-before" ] || for path in /usr/local/nvidia/toolkit /run/nvidia \
        /etc/containerd/conf.d/99-nvidia.toml /etc/cdi/nvidia.yaml /var/run/cdi/nvidia.yaml \
        /var/run/cdi/management.nvidia.com-gpu.yaml /var/run/cdi/k8s.device-plugin.nvidia.com-gpu.json \
        /etc/kubernetes/node-feature-discovery; do
        [ -e $path ] || printf '%s\n' $path
    done | put "$marker_dir/absent-before" 644
    # The kernel settings that k3s, its kubelet and its kube-proxy change.
    [ -e "$marker_dir/sysctl-before" ] || for name in net/ipv4/conf/all/forwarding net/ipv4/conf/default/forwarding \
        net/ipv6/conf/all/forwarding net/ipv4/conf/all/route_localnet vm/overcommit_memory kernel/panic \
        kernel/panic_on_oops; do
        [ ! -e /proc/sys/$name ] || printf '%s %s\n' $name "$(cat /proc/sys/$name)"
    done | put "$marker_dir/sysctl-before" 644
    printf '%s\n' "$marker" | put "$marker_dir/owner" 644
}
