"""Rules of the arguments that one kubelet gets from k3s, its pool and its host together.

Sources: k8s.io/kubernetes v1.36.2, pkg/kubelet/apis/config/validation, pkg/kubelet/cm, pkg/kubelet/eviction.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from k3sgpu.problem import Problem
from k3sgpu.settings.models.flag_values import is_true, pairs
from k3sgpu.settings.models.nodes import Node
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.settings.rules.networks import node_mask

Args = Mapping[str, str]
KERNEL_DEFAULTS = {
    "vm.overcommit_memory": 1,
    "vm.panic_on_oom": 0,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
    "kernel.keys.root_maxkeys": 1000000,
    "kernel.keys.root_maxbytes": 25000000,
}
"""The sysctls that protect-kernel-defaults requires (setupKernelTunables in pkg/kubelet/cm)."""


class Mistake(NamedTuple):
    """A mistake in the argument `name`."""

    name: str
    found: str
    expected: str
    remedy: str


def arguments_have_their_companions(draft: Draft) -> Iterator[Problem]:
    """Refuse an argument that needs another one, or excludes one.

    A kubelet with `config` is not checked: that file on the host may hold the other setting.
    """
    reported: set[tuple[str, Mistake]] = set()
    for node in _kubelets(draft):
        if "config" in node.kubelet_args:
            continue
        for check in COMPANIONS:
            for mistake in check(node.kubelet_args):
                place = _place(draft, node, mistake.name)
                if (place, mistake) not in reported:
                    reported.add((place, mistake))
                    yield Problem(place, mistake.found, mistake.expected, mistake.remedy)


def pods_have_addresses(draft: Draft) -> Iterator[Problem]:
    """Refuse more pods on a node than its part of k3s.clusterCidr has addresses.

    No pod gets the address of the network or the broadcast address.
    """
    room = 2 ** (32 - node_mask(draft)) - 2
    reported: set[str] = set()
    for node in _kubelets(draft):
        text = node.kubelet_args.get("max-pods", "")
        place = _place(draft, node, "max-pods")
        if re.fullmatch(r"[0-9]{1,5}", text) and room < int(text) < 65535 and place not in reported:
            reported.add(place)
            wider = 32 - (int(text) + 1).bit_length()
            yield Problem(
                place,
                f"{text} pods on a node, whose network is a /{node_mask(draft)}",
                f"at most {room} pods: each needs an address",
                f"write max-pods: {room}, or for a new cluster larger networks, in k3s.config:\n"
                f"kube-controller-manager-arg: [node-cidr-mask-size={wider}]",
            )


def kernel_defaults_are_set(draft: Draft) -> Iterator[Problem]:
    """Warn of protect-kernel-defaults: k3s does not start where the machine has other sysctls."""
    if is_true(draft.settings.k3s.config.get("protect-kernel-defaults")):
        lines = "\n".join(f"{name}={value}" for name, value in KERNEL_DEFAULTS.items())
        yield Problem(
            "k3s.config.protect-kernel-defaults",
            "true: the kubelet then refuses to start on a machine whose sysctls differ from its defaults",
            "the kubelet's sysctls on every machine",
            "before `pulumi up`, write these lines to /etc/sysctl.d/90-kubelet.conf on every machine, and\n"
            f"run sysctl --system there:\n{lines}",
            "warning",
        )


def root_dir_is_the_usual_one(draft: Draft) -> Iterator[Problem]:
    """Warn of a root-dir on GPU nodes: NVIDIA's DCGM exporter mounts /var/lib/kubelet/pod-resources."""
    reported: set[str] = set()
    for node in _kubelets(draft):
        place = _place(draft, node, "root-dir")
        if node.gpu and "root-dir" in node.kubelet_args and place not in reported:
            reported.add(place)
            yield Problem(
                place,
                f"root-dir: {node.kubelet_args['root-dir']}, on GPU nodes",
                "/var/lib/kubelet, where NVIDIA's DCGM exporter looks for the pods that use a card; with "
                "another folder its metrics name no pods",
                "write root-dir in the pools without GPUs only, or leave it if you do not use these metrics",
                "warning",
            )


def _cpu_manager(args: Args) -> Iterator[Mistake]:
    static = args.get("cpu-manager-policy") == "static"
    if static and "reserved-cpus" not in args and not _reserves_cpu(args):
        yield Mistake(
            "cpu-manager-policy",
            "static, and no CPU is reserved: the kubelet does not start",
            "a reservation of CPU for the system beside it",
            'write beside it kube-reserved: "cpu=500m", or reserved-cpus: "0"',
        )
    if not static and args.get("cpu-manager-policy-options"):
        yield Mistake(
            "cpu-manager-policy-options",
            "options, without cpu-manager-policy: static",
            "the policy static, which alone has options",
            "write cpu-manager-policy: static beside it, or remove it",
        )


def _reserves_cpu(args: Args) -> bool:
    amounts = (pairs(args.get(name, "")).get("cpu", "0") for name in ("kube-reserved", "system-reserved"))
    return any(re.search(r"[1-9]", amount) for amount in amounts)


def _memory_manager(args: Args) -> Iterator[Mistake]:
    if args.get("memory-manager-policy") == "Static" and not args.get("reserved-memory"):
        yield Mistake(
            "memory-manager-policy",
            "Static, and no memory is reserved: the kubelet does not start",
            "reserved-memory beside it: the sum of kube-reserved, system-reserved and eviction-hard",
            'write for instance reserved-memory: "0:memory=1124Mi" beside kube-reserved: "memory=1Gi" and\n'
            'eviction-hard: "memory.available<100Mi"',
        )


def _enforcement(args: Args) -> Iterator[Mistake]:
    name = "enforce-node-allocatable"
    enforced = [part for part in args.get(name, "pods").split(",") if part]
    for owner in ("system-reserved", "kube-reserved"):
        wanted = [part for part in enforced if part in (owner, f"{owner}-compressible")]
        if wanted and not args.get(f"{owner}-cgroup"):
            yield Mistake(
                name,
                f"{wanted[0]}, without {owner}-cgroup",
                "the cgroup to enforce it on",
                f"write {owner}-cgroup: /system.slice beside it, or take {wanted[0]} out",
            )
        if len(wanted) > 1:
            yield Mistake(name, " and ".join(wanted), "one of the two", f"take {wanted[1]} out")
    if "none" in enforced and len(enforced) > 1:
        yield Mistake(name, ",".join(enforced), "none alone", "write none")
    if args.get("cgroups-per-qos", "true").lower() in ("false", "f", "0") and enforced not in ([], ["none"]):
        yield Mistake(
            "cgroups-per-qos",
            f"false, beside {name}: {','.join(enforced)}",
            "cgroups by quality of service, which the enforcement needs",
            f"remove it, or write {name}: none beside it",
        )


def _image_collection(args: Args) -> Iterator[Mistake]:
    high, low = (
        args.get(f"image-gc-{name}-threshold", usual) for name, usual in (("high", "85"), ("low", "80"))
    )
    if high.isdecimal() and low.isdecimal() and int(low) >= int(high):
        name = "image-gc-low-threshold" if "image-gc-low-threshold" in args else "image-gc-high-threshold"
        yield Mistake(
            name,
            f"image-gc-low-threshold: {low} and image-gc-high-threshold: {high} (defaults: 80 and 85)",
            "a low threshold below the high one",
            "write for instance image-gc-high-threshold: 85 and image-gc-low-threshold: 80",
        )


def _soft_eviction(args: Args) -> Iterator[Mistake]:
    periods = pairs(args.get("eviction-soft-grace-period", ""))
    missing = [signal for signal in pairs(args.get("eviction-soft", ""), "<") if signal not in periods]
    if missing:
        wanted = ",".join(f"{signal}=90s" for signal in missing)
        yield Mistake(
            "eviction-soft",
            f"no grace period for {', '.join(missing)}",
            "a grace period for each signal",
            f'write eviction-soft-grace-period: "{wanted}" beside it',
        )


def _reserved_cpus(args: Args) -> Iterator[Mistake]:
    cgroups = [name for name in ("system-reserved-cgroup", "kube-reserved-cgroup") if args.get(name)]
    if args.get("reserved-cpus") and cgroups:
        yield Mistake(
            "reserved-cpus", f"reserved-cpus beside {cgroups[0]}", "one of the two", f"remove {cgroups[0]}"
        )


def _needs(name: str, other: str, example: str) -> Callable[[Args], Iterator[Mistake]]:
    """A check that the argument `name` stands beside `other`."""

    def check(args: Args) -> Iterator[Mistake]:
        if args.get(name, "") not in ("", "false") and not args.get(other):
            yield Mistake(name, f"{name} without {other}", f"{other} beside it", f"write {other}: {example}")

    return check


COMPANIONS: tuple[Callable[[Args], Iterator[Mistake]], ...] = (
    _cpu_manager,
    _memory_manager,
    _enforcement,
    _image_collection,
    _soft_eviction,
    _reserved_cpus,
    _needs("system-cgroups", "cgroup-root", "/"),
    _needs("exit-on-lock-contention", "lock-file", "/run/kubelet.lock"),
)


def _kubelets(draft: Draft) -> list[Node]:
    """The nodes whose kubelet this program configures."""
    return [node for node in draft.settings.nodes if node.role]


def _place(draft: Draft, node: Node, name: str) -> str:
    """The path at which the argument of this node's kubelet is written."""
    pool = draft.settings.pools[node.pool]
    if name in pool.hosts[node.name].kubelet_args:
        return f"{node.place}.kubeletArgs.{name}"
    return f"pools.{node.pool}.kubeletArgs.{name}" if name in pool.kubelet_args else f"k3s.kubeletArgs.{name}"
