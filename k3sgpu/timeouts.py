"""The deadlines and intervals of the product, in seconds unless its name says otherwise, with their reasons.

The others, and why they are not here:

- Deadlines that users choose are keys of the stack file, with their defaults in `settings/models/`:
  gpuOperator.timeoutSeconds (Helm's install or upgrade), gpuOperator.readyTimeoutSeconds (readiness gate),
  k3s.startTimeoutSeconds, k3s.drainTimeoutSeconds, workloads.<name>.timeoutSeconds and verify.timeoutSeconds.
- facts.sh has the bounds of its slow commands, 5 to 20 s, in its own text, because it is sent as it is.
  All of it together has FACTS_SECONDS.
- `sleep 1` in scripts is the interval of a loop whose deadline is in SCRIPT_TIMEOUTS or in the stack file.
"""

# The cluster's API.

SNAPSHOT_SECONDS = 15
"""All requests of one look at the cluster together, or one request about Jobs: an API server that takes
longer counts as away, and is asked again."""
API_RETRY_SECONDS = 30
"""How long one request of a drain is repeated while the API server does not answer: a single k3s server that
restarts is back within that."""
API_RETRY_INTERVAL_SECONDS = 1
FIRST_ANSWER_SECONDS = 60
"""How long the readiness gate asks an API that has never answered: longer means a wrong kubeconfig, or a
cluster that is down. One that has answered before may be away for the whole deadline: installing NVIDIA's
toolkit restarts k3s."""
READINESS_FAST_SECONDS = 20
"""How long the readiness gate looks at the shorter interval: what has not changed is ready at once."""
READINESS_FAST_INTERVAL_SECONDS = 1
READINESS_INTERVAL_SECONDS = 2
OPERATOR_ACTS_SECONDS = 10
"""How long after a change of the ClusterPolicy the operator may take to change its DaemonSets. It watches the
ClusterPolicy and acts within a second or two; a change that concerns no DaemonSet shows nowhere."""
OPERATOR_LEADS_SECONDS = 20
"""How long a new operator pod may take to lead: a lease that its holder has not given up ends after 15 s, and
is asked for every 2 s (controller-runtime, leader election)."""
NODE_REPORT_SECONDS = 11
"""How long a kubelet may take to report what its Node offers: nodeStatusUpdateFrequency is 10 s."""
PROGRESS_SECONDS = 30
"""How long a wait may go on without a line of progress."""
EXISTING_NODES_SECONDS = 60
"""How long the nodes of an existing cluster may take to be Ready: k3s may be restarting on one of them."""
DRAIN_INTERVAL_SECONDS = 2
"""Between two looks at the pods that were evicted; each look repeats evictions that were refused."""
JOB_INTERVAL_SECONDS = 1
JOB_CONTROLLER_SECONDS = 60
"""How long after a Job's activeDeadlineSeconds the Job controller may take to mark it as failed."""
JOB_CLEANUP_SECONDS = 60
"""ttlSecondsAfterFinished of verification Jobs, for those that a killed run has left behind."""
JOB_DELETE_SECONDS = 5
"""How long the deletion of verification Jobs is repeated while the API server does not answer."""
TEAM_INTERVAL_SECONDS = 1
"""Between two looks at what the cluster holds for teams."""
TEAM_QUOTAS_SECONDS = 60
"""How long the controller of ResourceQuotas may take to copy new numbers into their status."""
TEAM_POLICIES_SECONDS = 60
"""How long the API server may take to enforce new admission policies: it reads and compiles them within a few
seconds."""
TEAM_PREVIEW_SECONDS = 5
"""How long a preview asks which pods a smaller share would evict: no longer for a cluster that is away."""
TEAM_EVICTION_SECONDS = 180
"""How long pods that a smaller share evicts may take to end: their grace period is 60 s at most, and a busy
node takes its time."""
TOKEN_SECONDS = 90 * 24 * 3600
"""How long a member's token is valid."""
TOKEN_RENEWAL_SECONDS = 30 * 24 * 3600
"""Members get new tokens at the first `up` in each such period."""
NODE_FULL_SECONDS = 10
"""How long the scheduler must find no room before a node counts as full: the device plugin may have reported
its slices a moment ago."""

# SSH, and what is run over it.

SSH_AGENT_SECONDS = 5
"""How long the SSH agent on this computer may take to accept a connection."""

SSH_CONNECT_SECONDS = 15
"""TCP connection, key exchange and login together. A hundred machines are tried at once, so dead ones among
them cost this time once."""
SSH_KEEPALIVE_SECONDS = 15
SSH_KEEPALIVES = 4
"""A connection whose other side answers to none of this many requests is lost."""
FACTS_SECONDS = 30
"""facts.sh on one machine, from the request to its last line. Its slowest command is nvidia-smi, which has
20 s: with eight cards without persistence mode it takes more than ten."""
READ_K3S_SECONDS = 60
"""How long read-k3s.sh may print nothing: its slowest commands, k3s's version and the list of Nodes, have
NODE_KUBECTL_SECONDS each."""
UPLOAD_STALL_SECONDS = 60
"""How long a machine may accept nothing of a file that is sent to it. A slow network is no error, so the
whole transfer has no deadline."""
STAGE_SILENCE_SECONDS = 240
"""How long a script of staging may print nothing: another run's lock (RELEASE_LOCK_SECONDS), then the hashes
of the files that are there, or of the one that arrived. While it waits for a download it prints every
DOWNLOAD_PROGRESS_SECONDS."""
STAGE_PROGRESS_SECONDS = 30
"""Between two lines about the downloads that a run waits for."""
CLEAN_SECONDS = 900
"""uninstall.sh on a machine where k3s never ran: the lock of another run, and the bounds of its commands."""

# Downloads to this computer.

PINS_SECONDS = 30
"""How long a server may send nothing of a small file of a k3s release, of which `pins` reads the hashes."""

# Scripts on hosts.

SCRIPT_TIMEOUTS = {
    # Downloads. A release of 70 MB needs 600 s at 1 Mbit/s, which is what a hundred hosts behind one line of
    # 100 Mbit/s get; and a line may be slower. One that brings less than 20 kB/s for a minute will not end.
    "CONNECT_SECONDS": 15,
    "DOWNLOAD_SECONDS": 1800,
    "DOWNLOAD_BYTES_PER_SECOND": 20000,
    "DOWNLOAD_SLOW_SECONDS": 60,
    "DOWNLOAD_TRIES": 3,
    # Between two lines about a download that a run waits for.
    "DOWNLOAD_PROGRESS_SECONDS": 30,
    # A run that installs the release, or checks it: the hashes of 300 MB on a slow disk.
    "RELEASE_LOCK_SECONDS": 120,
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
