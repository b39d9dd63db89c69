"""Rules of the section `sharing`: what NVIDIA's device plugin would stop at or silently ignore."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from k3sgpu.gpu_products import mps_clients
from k3sgpu.operator_releases import mps_needs_the_default
from k3sgpu.problem import Problem
from k3sgpu.settings.models.names import NO_SHARING
from k3sgpu.settings.models.nodes import Gpu
from k3sgpu.settings.models.resolved import Settings
from k3sgpu.settings.models.sharing import Profile
from k3sgpu.settings.models.workloads import Workload
from k3sgpu.settings.pydantic_errors import nearest, show
from k3sgpu.settings.rules.draft import Draft


def profiles_exist(draft: Draft) -> Iterator[Problem]:
    """Refuse a profile that is not defined, in a pool or as sharing.default.

    A profile with a problem of its own counts as defined.
    """
    written = draft.section("sharing").get("profiles")
    names = {NO_SHARING, *(map(str, written) if isinstance(written, Mapping) else ())}
    references = [
        (f"pools.{name}.gpu.profile", pool.gpu.profile)
        for name, pool in draft.settings.pools.items()
        if pool.gpu and pool.gpu.profile
    ]
    references.append(("sharing.default", draft.settings.sharing.default))
    for path, name in references:
        if name not in names:
            like = nearest(name, names)
            yield Problem(
                path,
                show(name),
                f"one of the profiles: {', '.join(sorted(names))}",
                (f"write {like}" if like else f"write {NO_SHARING}") + f", or define sharing.profiles.{name}",
            )


def mps_excludes_time_slicing(draft: Draft) -> Iterator[Problem]:
    """Refuse mps beside timeSlicing: the plugin silently uses mps alone."""
    for name, profile in draft.settings.sharing.profiles.items():
        if profile.mps and profile.time_slicing:
            yield Problem(
                f"sharing.profiles.{name}.timeSlicing",
                "timeSlicing beside mps",
                "one of the two: NVIDIA's plugin uses mps and silently ignores timeSlicing",
                f"remove timeSlicing or mps from sharing.profiles.{name}",
            )


def mps_excludes_mixed_mig(draft: Draft) -> Iterator[Problem]:
    """Refuse mps with migStrategy: mixed, as the plugin does.

    partitions.profile_offers_partitions refuses it with `single`.
    """
    for name, profile in draft.settings.sharing.profiles.items():
        if profile.mps and profile.mig_strategy == "mixed":
            yield Problem(
                f"sharing.profiles.{name}.migStrategy",
                "mixed, beside mps",
                "no migStrategy: NVIDIA's plugin stops with\n"
                '"using --mig-strategy=mixed is not supported with MPS"',
                "remove migStrategy, or share partitions by timeSlicing",
            )


def cards_use_one_mps_profile(draft: Draft) -> Iterator[Problem]:
    """Refuse a second profile with MPS where MPS daemons take the one default configuration only."""
    pools = {gpu.profile: pool for pool, gpu, profile in card_pools(draft.settings) if profile.mps}
    if len(pools) < 2 or not mps_needs_the_default(draft.settings.gpu_operator.version):
        return
    first, *others = pools
    for name in others:
        yield Problem(
            f"pools.{pools[name]}.gpu.profile",
            f"{name}, beside {first} in pool {pools[first]}: two profiles with mps",
            "one profile with mps in all pools: since GPU Operator v26.3 NVIDIA's MPS daemon starts\n"
            "with the default configuration alone (NVIDIA/k8s-device-plugin#1726)",
            f"write profile: {first}, share one of the pools by timeSlicing, or use GPU Operator v25.10",
        )


def resources_are_shared_once(draft: Draft) -> Iterator[Problem]:
    """Refuse a resource that a profile shares twice."""
    for name, profile in draft.settings.sharing.profiles.items():
        seen: set[str] = set()
        for index, item in enumerate(profile.shared.resources if profile.shared else ()):
            if item.name in seen:
                yield Problem(
                    f"sharing.profiles.{name}.{profile.strategy_key}.resources[{index}].name",
                    f"{item.name} a second time",
                    "each resource once: NVIDIA's plugin uses the larger number, feature discovery the first",
                    "remove one of the two entries",
                )
            seen.add(item.name)


def mps_serves_all_clients(draft: Draft) -> Iterator[Problem]:
    """Refuse more slices under MPS than the pool's product serves: NVIDIA's control daemon stops."""
    for pool_name, gpu, profile in card_pools(draft.settings):
        most = mps_clients(gpu.product)
        for index, item in enumerate(profile.mps.resources if profile.mps else ()):
            if item.replicas > most:
                yield Problem(
                    f"sharing.profiles.{gpu.profile}.mps.resources[{index}].replicas",
                    f"{item.replicas}, on {gpu.product} in pool {pool_name}",
                    f"at most {most} below compute capability 7.5: NVIDIA's MPS control daemon stops with\n"
                    f'"maximum allowed replicas exceeded: {item.replicas} > {most}"',
                    f"write replicas: {most} or fewer, or share by timeSlicing",
                )


def shared_resources_exist(draft: Draft) -> Iterator[Problem]:
    """Warn of a shared resource that no card of the profile's pools provides: the plugin skips it."""
    users: dict[str, list[tuple[str, Gpu, Profile]]] = defaultdict(list)
    for pool_name, gpu, profile in card_pools(draft.settings):
        users[gpu.profile].append((pool_name, gpu, profile))
    for name, pools in users.items():
        profile = pools[0][2]
        offered = {resource for _, gpu, _ in pools for resource in profile.devices(gpu.mig)}
        listed = ", ".join(pool_name for pool_name, _, _ in pools)
        for index, item in enumerate(profile.shared.resources if profile.shared else ()):
            if item.name not in offered:
                yield Problem(
                    f"sharing.profiles.{name}.{profile.strategy_key}.resources[{index}].name",
                    f"{item.name}, which no card of pool {listed} provides",
                    f"what its cards provide: {', '.join(sorted(offered))}; NVIDIA's plugin silently "
                    "skips others",
                    f"remove the entry, or write the cards' partitions to pools.{pools[0][0]}.gpu.mig",
                    "warning",
                )


def requests_are_allowed(draft: Draft) -> Iterator[Problem]:
    """Refuse a workload that requests several slices where failRequestsGreaterThanOne holds.

    The kubelet fails such a pod, and its Deployment creates another one, endlessly.
    """
    for name, workload in draft.settings.workloads.items():
        for node, gpu, profile in _strict_nodes(draft.settings, workload) if workload.gpus > 1 else ():
            where = f"sharing.profiles.{gpu.profile}.{profile.strategy_key}"
            deployed = workload.kind == "Deployment"
            remove = (
                f"share by timeSlicing instead of {where}"
                if profile.mps
                else f"remove\n{where}.failRequestsGreaterThanOne"
            )
            yield Problem(
                f"workloads.{name}.gpus",
                f"{workload.gpus}, on {node} with "
                + (
                    "mps, which fails requests for more than one slice"
                    if profile.mps
                    else "failRequestsGreaterThanOne"
                ),
                "1: the kubelet fails a pod that requests more (UnexpectedAdmissionError), "
                + ("the Deployment\ncreates another, endlessly" if deployed else "and with it the Job"),
                f"write gpus: 1 (several slices give a pod no larger part of the card), or {remove}",
            )
            break  # one node is enough


def _strict_nodes(settings: Settings, workload: Workload) -> Iterator[tuple[str, Gpu, Profile]]:
    """The nodes that may run the workload and whose profile fails requests for more than one slice."""
    for node in settings.nodes:
        profile = settings.sharing.profiles.get(node.gpu.profile) if node.gpu else None
        if not node.gpu or not profile or not profile.shared:
            continue
        if not profile.shared.fail_requests_greater_than_one:
            continue
        if node.suits(workload.selector) and workload.resource in {
            profile.shared.slice_name(item.name) for item in profile.shared.resources
        }:
            yield node.name, node.gpu, profile


def card_pools(settings: Settings) -> Iterator[tuple[str, Gpu, Profile]]:
    """Each pool that has cards and a readable profile."""
    pools = {node.pool: node.gpu for node in settings.nodes if node.gpu}
    for name, gpu in pools.items():
        if profile := settings.sharing.profiles.get(gpu.profile):
            yield name, gpu, profile
