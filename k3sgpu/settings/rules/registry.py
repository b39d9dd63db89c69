"""Rules that span keys. Each takes what could be read of the file and yields Problems; none stops another."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping

from k3sgpu.problem import Problem
from k3sgpu.settings.models.k3s_flags import NODE_KEYS, SERVER_KEYS, bare
from k3sgpu.settings.models.workloads import POOL_LABEL
from k3sgpu.settings.pydantic_errors import nearest
from k3sgpu.settings.rules.cluster import CLUSTER_RULES
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.settings.rules.drivers import DRIVER_RULES
from k3sgpu.settings.rules.k3s import K3S_RULES
from k3sgpu.settings.rules.operator import OPERATOR_RULES
from k3sgpu.settings.rules.sharing import SHARING_RULES
from k3sgpu.settings.rules.workloads import WORKLOAD_RULES

OWNED_K3S_KEYS = re.compile(
    r"(token|agent-token|write-kubeconfig)(-.*)?|server|node-(name|label|taint)|node-(external-)?ip|tls-san|disable|cluster-init"
    r"|(cluster|service)-cidr|flannel-backend|secrets-encryption|kubelet-arg|etcd-snapshot-(schedule-cron|retention)"
    r"|etcd-s3(-.*)?|private-registry|data-dir|https-listen-port|with-node-id|disable-agent"
)
"""Keys of k3s's config.yaml the program decides itself; the last four it relies on being k3s's own."""

WRITTEN_LABELS = {
    "accelerator": "the program, from gpu.product,",
    "nvidia.com/device-plugin.config": "the program, from gpu.profile,",
    POOL_LABEL: "the program, for workloads with pool,",
    **dict.fromkeys(
        [f"nvidia.com/{name}" for name in ("gpu.product", "gpu.count", "gpu.memory", "gpu.replicas")]
        + ["nvidia.com/gpu.sharing-strategy", "nvidia.com/mps.capable", "nvidia.com/gpu.present"],
        "NVIDIA's feature discovery",
    ),
    **dict.fromkeys([f"kubernetes.io/{name}" for name in ("hostname", "os", "arch")], "the kubelet"),
    "node.kubernetes.io/instance-type": "k3s",
    "node-role.kubernetes.io/control-plane": "k3s",
    "node-role.kubernetes.io/etcd": "k3s",
}
"""Labels of a node that a stack file may not set, and who does."""


def check(draft: Draft) -> list[Problem]:
    """All problems of all rules."""
    return [problem for rule in RULES for problem in rule(draft)]


def servers_make_a_majority(draft: Draft) -> Iterator[Problem]:
    """etcd works while more than half of its members do: with an even number one more may not fail."""
    servers = [node.name for node in draft.settings.nodes if node.role == "server"]
    if not servers and draft.intact("pools") and not draft.settings.kubeconfig:
        yield Problem(
            "pools",
            "no server host",
            "one host in pools of role server, or three or five",
            "add a pool `control: {role: server, hosts: {server-1: 10.0.0.11}}`, or give a pool role: server",
        )
    lost = [node.name for node in draft.settings.lost if node.role == "server"]
    # With a dead one marked, and no other in its place yet, there is nothing to do but to take it out.
    if servers and len(servers) % 2 == 0 and (len(servers) + len(lost)) % 2 == 0 and draft.intact("pools"):
        yield Problem(
            "pools",
            f"{len(servers)} server hosts: {', '.join(servers)}",
            "one, three or five: an even number survives no more failures than one fewer",
            f"add a server, or move one of them, for instance {servers[-1]}, to a pool of role agent",
        )


def several_servers_are_found(draft: Draft) -> Iterator[Problem]:
    """Which server begins is not a matter of order, and no address of one server outlives it."""
    k3s = draft.settings.k3s
    servers = [node.name for node in draft.settings.nodes if node.role == "server"]
    if not draft.intact("pools") or not draft.intact("k3s"):
        return
    if k3s.initial_server and servers and k3s.initial_server not in servers:
        like = nearest(k3s.initial_server, servers) or servers[0]
        yield Problem(
            "k3s.initialServer",
            k3s.initial_server,
            f"one of the hosts in pools of role server: {', '.join(servers)}",
            f"write initialServer: {like}",
        )
    if len(servers) > 1 and not k3s.initial_server:
        yield Problem(
            "k3s.initialServer",
            "nothing: the key is missing",
            "the name of the server whose database the others copy",
            f"write initialServer: {servers[0]}; where a cluster runs already: a server of it",
        )
    if len(servers) > 1 and not k3s.registration_address:
        yield Problem(
            "k3s.registrationAddress",
            "nothing: the key is missing",
            "a name or an address that leads to the servers that are up, for agents and the kubeconfig",
            "write the DNS name or the address of a load balancer for port 6443; a server's own does\n"
            "as well, but then no agent can join and no kubeconfig works while that server is down",
        )


def unique_hosts(draft: Draft) -> Iterator[Problem]:
    """A host's name is its node's name and its resources' name; an address is one machine."""
    order = [
        f"pools.{pool}.hosts.{name}" for pool, said in draft.settings.pools.items() for name in said.hosts
    ]
    nodes = sorted([*draft.settings.machines, *draft.settings.lost], key=lambda node: order.index(node.place))
    yield from _shared({node.place: node.name for node in nodes}, "name", "a name", "rename one of the two")
    addresses = {node.place: node.node_ip for node in nodes}
    shared = list(_shared(addresses, "address", "an address", "correct one of the two addresses"))
    yield from shared
    logins = {node.place: f"{node.address} port {node.port}" for node in nodes}
    for problem in _shared(logins, "address", "an address (or a port)", "correct one of the two addresses"):
        if problem.where not in {other.where for other in shared}:
            yield problem


def _shared(values: Mapping[str, str], what: str, own: str, remedy: str) -> Iterator[Problem]:
    """Problems of the places whose value another place has already."""
    firsts: dict[str, str] = {}
    for place, value in values.items():
        first = firsts.setdefault(value, place)
        if first != place:
            expected = f"{own} of its own for each machine" + (", over all pools" if what == "name" else "")
            yield Problem(place, f"the {what} {value}, which {first} has already", expected, remedy)


def nothing_leads_to_the_gone(draft: Draft) -> Iterator[Problem]:
    """The kubeconfig and agents that join would look for a dead server."""
    wanted = draft.settings.k3s.registration_address
    for node in draft.settings.lost:
        if wanted and wanted in (node.address, node.node_ip, node.external_ip):
            yield Problem(
                "k3s.registrationAddress",
                f"{wanted}, the address of {node.name}, which is gone",
                "a name or an address that leads to the servers that are up",
                "write the address of a living server, or of a load balancer for port 6443",
            )


def ssh_key_once(draft: Draft) -> Iterator[Problem]:
    """One way to the private key: a file, an agent, or a secret."""
    ssh = draft.settings.ssh
    ways = {
        "ssh.privateKeyFile": ssh.private_key_file is not None,
        "ssh.agent: true": ssh.agent,
        "the secret sshPrivateKey": "sshPrivateKey" in draft.settings.secrets,
    }
    chosen = [way for way, is_chosen in ways.items() if is_chosen]
    if len(chosen) > 1:
        yield Problem(
            "ssh.privateKeyFile" if ssh.private_key_file else "ssh.agent",
            " and ".join(chosen),
            "one way to the private key",
            "remove all but one; a secret goes with: pulumi config rm sshPrivateKey",
        )
    bastion = draft.settings.bastion
    ends = [*draft.settings.machines, *([bastion] if bastion else [])]
    bare = [end.title.removeprefix("host ") for end in ends if not end.private_key_file]
    if not chosen and bare and draft.intact("ssh") and draft.intact("pools"):
        yield Problem(
            "ssh.privateKeyFile",
            f"no private key for {', '.join(bare)}",
            "ssh.privateKeyFile, ssh.agent: true, or the secret sshPrivateKey",
            "add `privateKeyFile: ~/.ssh/id_ed25519` to ssh, or run: "
            "pulumi config set --secret sshPrivateKey < KEYFILE",
        )


def install_script_checked(draft: Draft) -> Iterator[Problem]:
    """A script from the network runs as root only with a digest somebody vouched for."""
    k3s = draft.settings.k3s
    if k3s.mirror.startswith("file:") or k3s.install_script_sha256:
        return
    if "k3s" not in draft.raw or not draft.intact("k3s"):
        return
    yield Problem(
        "k3s.installScriptSha256",
        "nothing: the key is missing",
        "the SHA-256 of install.sh, because it comes over the network and runs as root",
        "read the script, then write what this prints:\n"
        f"curl -fsSL {shlex.quote(k3s.install_script_url)} | sha256sum",
    )


def k3s_config_is_ours(draft: Draft) -> Iterator[Problem]:
    """k3s.config holds keys that k3s knows and that the program does not write itself."""
    instead = {
        "cluster-init": "write k3s.initialServer instead",
        "tls-san": "write k3s.tlsSan instead",
        "disable": "write k3s.disable instead",
        "cluster-cidr": "write k3s.clusterCidr instead",
        "service-cidr": "write k3s.serviceCidr instead",
        "flannel-backend": "write k3s.flannelBackend instead",
        "secrets-encryption": "write k3s.secretsEncryption instead",
        "kubelet-arg": "write k3s.kubeletArgs instead, for instance kubeletArgs: {max-pods: 200}",
        "etcd-snapshot-schedule-cron": "write k3s.snapshots.schedule instead",
        "etcd-snapshot-retention": "write k3s.snapshots.retention instead",
        "etcd": "write k3s.snapshots.s3 instead",
        "private-registry": "write k3s.registries instead",
        "node-label": "write labels in the pools instead: k3s reads this key only when a Node registers",
        "node-taint": "write taints in the pools instead: k3s reads this key only when a Node registers",
    }
    known = NODE_KEYS | SERVER_KEYS
    for key in draft.settings.k3s.config:
        path, name = f"k3s.config.{key}", bare(key)
        if OWNED_K3S_KEYS.fullmatch(name):
            expected = "keys the program does not write itself"
            yield Problem(
                path,
                f"the key {key}",
                expected,
                instead.get(name.partition("-s3")[0], "remove it: the program decides it"),
            )
        elif name not in known:
            like = nearest(name, (one for one in sorted(known) if not OWNED_K3S_KEYS.fullmatch(one)))
            yield Problem(
                path,
                f"the unknown key {key}",
                "an option of `k3s server` or `k3s agent`, without the dashes; k3s would ignore this one",
                f"write {like} instead of {name}"
                if like
                else "remove it; docs.k3s.io/cli/server has the list",
            )


def labels_and_taints_are_free(draft: Draft) -> Iterator[Problem]:
    """A label that something else writes would change back and forth, a key has one value and one effect."""
    for pool_name, pool in draft.settings.pools.items():
        places = [(f"pools.{pool_name}", pool)]
        places += [(f"pools.{pool_name}.hosts.{name}", host) for name, host in pool.hosts.items()]
        for place, said in places:
            for key in said.labels.keys() & WRITTEN_LABELS.keys():
                yield Problem(
                    f"{place}.labels.{key}",
                    f"the label {key}, which {WRITTEN_LABELS[key]} sets",
                    "labels that nothing else sets",
                    "remove it",
                )
    for node in draft.settings.nodes:
        kinds: dict[str, str] = {}
        for taint in node.taints:
            pair, _, effect = taint.rpartition(":")
            first = kinds.setdefault(f"{pair.partition('=')[0]}:{effect}", taint)
            if first != taint:
                yield Problem(
                    f"{node.place}.taints",
                    f"{first} and {taint}",
                    "one value for a taint's key and effect, its pool's taints included",
                    "remove one of the two",
                )


def runtimes_stay(draft: Draft) -> Iterator[Problem]:
    """k3s's `runtimes` brings the RuntimeClass nvidia, which the operator's pods ask for."""
    gpu_nodes = [node.name for node in draft.settings.nodes if node.gpu]
    if "runtimes" in draft.settings.k3s.disable and gpu_nodes:
        yield Problem(
            "k3s.disable",
            "runtimes",
            f"runtimes enabled: GPU nodes ({', '.join(gpu_nodes)}) need its RuntimeClass nvidia",
            "remove runtimes from the list",
        )


def namespaces_are_the_workloads(draft: Draft) -> Iterator[Problem]:
    """The program makes a workload's namespace; those of the operator and of Kubernetes are there already."""
    for name, workload in draft.settings.workloads.items():
        if workload.namespace == "gpu-operator" or workload.namespace.startswith("kube-"):
            yield Problem(
                f"workloads.{name}.namespace",
                workload.namespace,
                "a namespace of its own, or default: this one belongs to the operator or to Kubernetes",
                "write for instance namespace: gpu-tests",
            )


RULES: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    *CLUSTER_RULES,
    servers_make_a_majority,
    several_servers_are_found,
    unique_hosts,
    nothing_leads_to_the_gone,
    ssh_key_once,
    install_script_checked,
    k3s_config_is_ours,
    labels_and_taints_are_free,
    runtimes_stay,
    *K3S_RULES,
    *SHARING_RULES,
    *OPERATOR_RULES,
    namespaces_are_the_workloads,
    *WORKLOAD_RULES,
    *DRIVER_RULES,
)
