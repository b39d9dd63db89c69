# The marker that says which stack a machine belongs to. After files.sh.
# Set in front: PROJECT STACK HOST ROLE
# shellcheck disable=SC2154,SC2329  # files.sh sets what this reads; others call this

k3s_is_here() { [ -e "$k3s" ] || [ -e /etc/systemd/system/k3s.service ] || [ -e /etc/systemd/system/k3s-agent.service ]; }

# Nothing but the marker and the staged files is this program's: it has neither installed k3s nor taken one over.
is_only_staged() {
    if [ -d "$adopted_dir" ]; then [ ! -e "$adopted_dir/begun" ]; else ! k3s_is_here; fi
}

# A machine of this stack that was only staged may get another key in the stack file.
free_staged_machine() {
    case $(cat "$marker_dir/owner" 2>/dev/null) in
    "project=$PROJECT
stack=$STACK
host=$HOST
"*) ;;
    "project=$PROJECT
stack=$STACK
"*) ! is_only_staged || rm -rf "$marker_dir/owner" "$adopted_dir" ;;
    esac
}

# Refuses a machine of another stack, and a k3s that this program did not install. ADOPT: empty, or the permission to
# take it over, which is checked apart (parts/adopt.sh).
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
    elif k3s_is_here && [ -z "${ADOPT:-}" ]; then
        fail "k3s is here already and was not installed by this program" \
            "take it over with python -m k3sgpu adopt; or remove it with its own uninstall script, or choose another machine"
    fi
    [ ! -e "/etc/systemd/system/$other_unit.service" ] ||
        fail "this machine runs $other_unit and the stack file makes it a $ROLE" \
            "a node's role cannot change in place: take the host out, run up, and add it again"
}

# Refuses a machine that was not staged, or is no longer: it could not be uninstalled.
check_claimed() {
    [ -e "$marker_dir/owner" ] || fail "$marker_dir/owner is missing" "$stage_again"
}

# What the GPU Operator may leave on the host. The first five only it and its operands write.
operator_paths() {
    printf '%s\n' /usr/local/nvidia/toolkit /run/nvidia /var/run/cdi/management.nvidia.com-gpu.yaml \
        /var/run/cdi/k8s.device-plugin.nvidia.com-gpu.json /etc/kubernetes/node-feature-discovery
    for path in /etc/containerd/conf.d/99-nvidia.toml /etc/cdi/nvidia.yaml /var/run/cdi/nvidia.yaml; do
        [ -e $path ] || printf '%s\n' $path
    done
}

# The kernel settings that k3s, its kubelet and its kube-proxy change, as they are.
k3s_sysctls() {
    for name in net/ipv4/conf/all/forwarding net/ipv4/conf/default/forwarding net/ipv6/conf/all/forwarding \
        net/ipv4/conf/all/route_localnet vm/overcommit_memory kernel/panic kernel/panic_on_oops; do
        [ ! -e /proc/sys/$name ] || printf '%s %s\n' $name "$(cat /proc/sys/$name)"
    done
}

# Marks the machine, and notes what an uninstall has to know: before anything is installed, so that a failed install
# can be uninstalled too. Of a k3s that is taken over nobody knows what was there before it: an uninstall then removes
# what can only be the operator's, and leaves the kernel settings.
claim() {
    mkdir -p "$marker_dir"
    chmod 755 "$marker_dir"
    if [ -d "$adopted_dir" ]; then
        [ -e "$marker_dir/absent-before" ] || operator_paths | put "$marker_dir/absent-before" 644
    else
        # An uninstall removes those that were not here before.
        [ -e "$marker_dir/absent-before" ] || operator_paths | while read -r path; do
            [ -e "$path" ] || printf '%s\n' "$path"
        done | put "$marker_dir/absent-before" 644
        [ -e "$marker_dir/sysctl-before" ] || k3s_sysctls | put "$marker_dir/sysctl-before" 644
    fi
    printf '%s\n' "$marker" | put "$marker_dir/owner" 644
}
