"""The configuration of a large stack, its changes, and what its cluster must look like after each."""

from collections.abc import Mapping
from typing import Any

from rehearsal.bench.bench_stack import BenchStack, k3s_only_config
from rehearsal.lab import network
from rehearsal.lab.fixture import stack_config
from rehearsal.process import RehearsalError
from rehearsal.toolchain.golang import K3S_RELEASES

_, BEFORE, AFTER, _ = K3S_RELEASES
PLAIN, GPUS = "plain", "rtx"
PROFILE, RESOURCE = "2080ti-12gb", "nvidia.com/gpu"
SLICES_BEFORE, SLICES_AFTER = 6, 8
POD_NETWORK = "10.128.0.0/12"  # room for 4,096 nodes
MOST_WITH_GPUS = 30
MOST_REMOVED = 10
AT_ONCE = 10
# Of the rehearsal's network, without the part that other stacks and the tests use.
SERVERS = tuple(map(str, network.NETWORK))[0x102:0x110]
AGENTS = tuple(map(str, network.NETWORK))[0x110:-1]


def config(servers: int, agents: int) -> dict[str, Any]:
    """The configuration: up to 30 of the agents have a shared card, and the operator is on."""
    dev = stack_config("dev")
    control = {f"server-{n + 1}": SERVERS[n] for n in range(servers)}
    addresses = AGENTS[:agents]
    cards = min(MOST_WITH_GPUS, max(agents // 2, 1))
    gpus = {f"gpu-{n + 1}": address for n, address in enumerate(addresses[:cards])}
    plain = {f"agent-{n + 1}": address for n, address in enumerate(addresses[cards:])}
    whole = k3s_only_config(control, plain)
    whole["k3s"].update(version=BEFORE, maxUnavailable=AT_ONCE, clusterCidr=POD_NETWORK)
    whole["pools"][GPUS] = {**dev["pools"]["rtx"], "hosts": gpus}
    workloads = {"slices": {"replicas": cards, "gpus": SLICES_BEFORE // 2}}
    return {**whole, **{key: dev[key] for key in ("gpuOperator", "sharing")}, "workloads": workloads}


def hosts(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The addresses of all hosts of a configuration."""
    return {name: at for pool in configuration["pools"].values() for name, at in pool["hosts"].items()}


def change_profile(one: BenchStack) -> None:
    """Changes the number of slices of the profile that all cards have."""
    one.config["sharing"]["profiles"][PROFILE]["timeSlicing"]["resources"][0]["replicas"] = SLICES_AFTER


def upgrade(one: BenchStack) -> None:
    """Changes the k3s release to a later patch."""
    one.config["k3s"]["version"] = AFTER


def remove_agents(one: BenchStack) -> None:
    """Takes ten agents without a card out of the configuration."""
    plain = one.config["pools"][PLAIN]["hosts"]
    for name in list(plain)[-MOST_REMOVED:]:
        del plain[name]
    if not plain:
        del one.config["pools"][PLAIN]


def check_cluster(one: BenchStack) -> None:
    """Raises RehearsalError unless the nodes and their slices are what the configuration says."""
    wanted = set(hosts(one.config))
    version = one.config["k3s"]["version"]
    profile = one.config["sharing"]["profiles"][PROFILE]
    slices = str(profile["timeSlicing"]["resources"][0]["replicas"])
    found = {node["metadata"]["name"]: node for node in one.get("nodes")["items"]}
    problems = [f"{name}: no Node" for name in sorted(wanted - set(found))]
    problems += [f"{name}: a Node, and no host" for name in sorted(set(found) - wanted)]
    for name in sorted(wanted & set(found)):
        status = found[name]["status"]
        ready = {one["type"]: one["status"] for one in status["conditions"]}.get("Ready")
        seen = status["nodeInfo"]["kubeletVersion"], ready
        if seen != (version, "True"):
            problems.append(f"{name}: version and Ready are {seen}, expected {(version, 'True')}")
        if found[name]["spec"].get("unschedulable"):
            problems.append(f"{name}: cordoned")
        if name in one.config["pools"][GPUS]["hosts"] and status["allocatable"].get(RESOURCE) != slices:
            problems.append(f"{name}: {status['allocatable'].get(RESOURCE)} slices, expected {slices}")
    if problems:
        raise RehearsalError("the cluster is not what the stack file says:\n  " + "\n  ".join(problems))


def check_nothing_left(one: BenchStack) -> None:
    """Raises RehearsalError when a machine has k3s or files of this project after the destroy."""
    places = ("usr/local/bin/k3s", "etc/rancher/k3s", "var/lib/rancher/k3s", "usr/local/lib/k3s-gpu-sharing")
    left = [
        f"{host}: /{place}"
        for host, machine in one.machines.items()
        for place in places
        if (machine.root / place).exists()
    ]
    if left:
        raise RehearsalError("left on machines after the destroy:\n  " + "\n  ".join(left))
