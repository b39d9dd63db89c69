"""Every deadline and interval of the product, in seconds unless its name says otherwise, with its reason."""

# The cluster's API.

NODES_THERE_SECONDS = 60
"""How long the first look at an existing cluster waits for what may be restarting just now."""

# SSH, and what is run over it.

# Scripts on hosts.

SCRIPT_TIMEOUTS = {
    # Downloads. A release of 70 MB takes 600 s at 1 Mbit/s.
    "CONNECT_SECONDS": 15,
    "DOWNLOAD_SECONDS": 600,
    "DOWNLOAD_TRIES": 3,
    # One request to the API server, and a kubectl that makes one or a few of them.
    "API_REQUEST_SECONDS": 15,
    "NODE_KUBECTL_SECONDS": 20,
    "CLUSTER_KUBECTL_SECONDS": 90,
    # While k3s starts: a request that is repeated every second.
    "READYZ_REQUEST_SECONDS": 5,
    "READYZ_SECONDS": 10,
    # Whether a k3s server answers at another address, before a new cluster is created.
    "PING_SECONDS": 5,
    # A server that writes its database to a slow disk before it stops.
    "STOP_SECONDS": 180,
    # A kubelet renews its lease every 10 s. A Node is dead when it is not Ready and has not renewed its lease
    # for so long; at the limit a Node that still is Ready fails the run.
    "DEAD_NODE_SECONDS": 20,
    "DEAD_NODE_LIMIT_SECONDS": 180,
    "DELETE_NODE_SECONDS": 60,
    # The pods of a removed host. One that does not go by then keeps the host, and the run fails.
    "DRAIN_REMOVED_SECONDS": 120,
    # uninstall.sh: another run, k3s's own uninstall scripts, systemctl, iptables.
    "UNINSTALL_LOCK_SECONDS": 300,
    "UNINSTALL_SECONDS": 300,
    "DISABLE_SECONDS": 120,
    "FIREWALL_SECONDS": 60,
}
"""By variable: what `k3sgpu.hosts.scripts` sets in the scripts that use it. How long k3s may take to become
ready, and pods to be evicted, is the stack file's (k3s.startTimeoutSeconds, k3s.drainTimeoutSeconds)."""

# Pulumi's own connections.

# The preflight has reached every host a moment before, so a host that does not answer now has a passing
# fault: a few dials, some 20 s for a refused one, at most 75 s for one that swallows packets.
DIAL_TRIES = 4
DIAL_SECONDS = 15
BASTION_DIAL_TRIES = 20
"""Every Command logs in at the bastion again, and sshd refuses logins at random when many come at once."""
