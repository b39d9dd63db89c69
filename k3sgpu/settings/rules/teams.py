"""Rules of the section `teams`: pools and numbers that no pod could use, and names that are taken.

Whether the guarantees of all teams together can be kept is for the fit (k3sgpu/capacity). What teams mean for
workloads is in team_workloads.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from k3sgpu.problem import Problem
from k3sgpu.settings.models.nodes import Gpu
from k3sgpu.settings.models.resolved import NO_K3S, Settings
from k3sgpu.settings.models.sharing import Profile
from k3sgpu.settings.models.teams import Team, slices_of
from k3sgpu.settings.pydantic_errors import nearest
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.settings.rules.sharing import card_pools
from k3sgpu.wellknown import MEMBERS_NAMESPACE, OPERATOR_NAMESPACE

FIRST_K3S = (1, 36)
"""The first Kubernetes with MutatingAdmissionPolicy in admissionregistration.k8s.io/v1, always enabled."""
SlicesByPool = Mapping[str, int | Mapping[str, int]]


@dataclass(frozen=True)
class PoolOffer:
    """What each node of a pool offers, by the resource that pods request."""

    slices: dict[str, int]
    one_slice: dict[str, str]
    """The resources of which a pod gets one slice only, with the key of the profile that is the reason."""


def pool_offers(settings: Settings) -> dict[str, PoolOffer]:
    """By pool: the offers of all pools that have cards and a readable profile."""
    return {name: _pool_offer(gpu, profile) for name, gpu, profile in card_pools(settings)}


def _pool_offer(gpu: Gpu, profile: Profile) -> PoolOffer:
    slices, one_slice = {}, {}
    for resource, devices in profile.devices(gpu.mig).items():
        shared = profile.shared
        replicas = shared.replicas_of(resource) if shared else 1
        name = shared.slice_name(resource) if shared and replicas > 1 else resource
        slices[name] = gpu.count * devices * replicas
        if shared and replicas > 1 and shared.fail_requests_greater_than_one:
            place = f"sharing.profiles.{gpu.profile}.{profile.strategy_key}"
            one_slice[name] = place if profile.mps else f"{place}.failRequestsGreaterThanOne"
    return PoolOffer(slices, one_slice)


def slices_by_key(team: Team) -> dict[str, SlicesByPool]:
    """The keys of a team that hold numbers of slices by pool."""
    return {
        "guaranteed": team.guaranteed,
        "limit": team.limit,
        "perMember": team.per_member,
        "perPod": team.per_pod,
    }


def teams_name_pools_with_cards(draft: Draft) -> Iterator[Problem]:
    """Refuse pools that do not exist, have no cards, or of which the team has no slices."""
    pools = draft.settings.pools
    known = sorted(name for name, pool in pools.items() if pool.gpu)
    for name, team in draft.settings.teams.items():
        for key, by_pool in slices_by_key(team).items() if draft.intact("pools") else ():
            for pool in by_pool:
                where = f"teams.{name}.{key}.{pool}"
                if pool not in known:
                    like = nearest(pool, known) or next(iter(known), None)
                    yield Problem(
                        where,
                        f"{pool}, a pool without gpu" if pool in pools else f"{pool}, which is no pool",
                        f"a pool with gpu: {', '.join(known) or 'there is none'}",
                        f"write {like} instead of {pool}" if like else "add gpu: to a pool",
                    )
                elif pool not in team.pools and draft.intact("teams", name):
                    yield Problem(
                        where,
                        f"{pool}, of which the team has neither guaranteed nor limit",
                        "a pool in guaranteed or in limit: the team may use no other",
                        f"add {pool} to teams.{name}.limit, or remove it here",
                    )


def teams_name_resources_of_pools(draft: Draft) -> Iterator[Problem]:
    """Refuse a number where a pool offers several resources, and resources that it does not offer."""
    offers = pool_offers(draft.settings)
    for name, team in draft.settings.teams.items():
        for key, by_pool in slices_by_key(team).items():
            for pool, value in by_pool.items():
                if offer := offers.get(pool):
                    yield from _wrong_resources(f"teams.{name}.{key}.{pool}", value, list(offer.slices))


def _wrong_resources(where: str, value: int | Mapping[str, int], offered: list[str]) -> Iterator[Problem]:
    listed = ", ".join(offered)
    if not isinstance(value, Mapping):
        if len(offered) > 1:
            yield Problem(
                where,
                f"{value}, but the pool offers {len(offered)} resources",
                f"slices by resource: {listed}",
                f"write {{{offered[0]}: {value}}}",
            )
        return
    for resource in value:
        if resource not in offered:
            yield Problem(
                f"{where}.{resource}",
                f"{resource}, which the pool does not offer",
                f"what pods request there: {listed}",
                f"write {nearest(resource, offered) or offered[0]}",
            )


def members_are_in_one_team(draft: Draft) -> Iterator[Problem]:
    """Refuse a member who is named twice: a member works in one namespace, with one kubeconfig."""
    firsts: dict[str, str] = {}
    for name, team in draft.settings.teams.items():
        for index, member in enumerate(team.members):
            where = f"teams.{name}.members[{index}]"
            first = firsts.setdefault(member, where)
            if first != where:
                yield Problem(
                    where,
                    f"{member}, whom {first} already names",
                    "each member once, in one team",
                    "remove one of the two, or give the person a second name",
                )


def names_of_teams_are_free(draft: Draft) -> Iterator[Problem]:
    """Refuse names of namespaces and ServiceAccounts that something else has."""
    taken = {
        workload.namespace: name
        for name, workload in draft.settings.workloads.items()
        if workload.team != workload.namespace
    }
    for name, team in draft.settings.teams.items():
        owner, remedy = _owner_of_namespace(name), f"write for instance {name.removeprefix('kube-')}-team"
        if not owner and name in taken and draft.intact("workloads", taken[name]):
            owner = f"workloads.{taken[name]}"
            remedy += f", or {owner}.team: {name} instead of namespace"
        if owner:
            yield Problem(
                f"teams.{name}",
                f"the name {name}, which is the namespace of {owner}",
                "a name that no namespace has: the program creates the team's namespace under it",
                remedy,
            )
        for index, member in enumerate(team.members):
            if member == "default":
                yield Problem(
                    f"teams.{name}.members[{index}]",
                    "default, the ServiceAccount that Kubernetes creates in every namespace",
                    "a name of the member's own",
                    "write the person's name",
                )


def _owner_of_namespace(name: str) -> str:
    """Whose namespace has such a name, apart from workloads'; "" where nobody's has."""
    if name == "default" or name.startswith("kube-"):
        return "Kubernetes"
    return {OPERATOR_NAMESPACE: "the GPU Operator", MEMBERS_NAMESPACE: "the members' accounts"}.get(name, "")


def limits_are_at_least_guarantees(draft: Draft) -> Iterator[Problem]:
    """Refuse a limit below what the team is guaranteed, and a member's limit above the team's."""
    offers = pool_offers(draft.settings)
    for name, team in draft.settings.teams.items():
        for pool in team.pools:
            for resource in offers[pool].slices if pool in offers else ():
                yield from _contradictions(name, team, pool, resource)


def _contradictions(name: str, team: Team, pool: str, resource: str) -> Iterator[Problem]:
    guaranteed = slices_of(team.guaranteed.get(pool), resource) or 0
    own_limit = slices_of(team.limit.get(pool), resource)
    limit = guaranteed if own_limit is None else own_limit
    member = slices_of(team.per_member.get(pool), resource)
    if limit < guaranteed:
        yield Problem(
            place_of(name, "limit", pool, resource, team.limit),
            f"{limit}, below the {guaranteed} that are guaranteed",
            f"at least what is guaranteed, {guaranteed}",
            f"write {guaranteed} or more, or remove limit",
        )
    if member is not None and member > limit:
        yield Problem(
            place_of(name, "perMember", pool, resource, team.per_member),
            f"{member}, above the team's {limit}",
            "at most the team's limit (guaranteed, where there is no limit)",
            f"write {limit} or less, or raise teams.{name}.limit",
        )
    if member is not None and member * len(team.members) < guaranteed and team.members:
        yield Problem(
            place_of(name, "perMember", pool, resource, team.per_member),
            f"{member} for each of {len(team.members)} members, who are guaranteed {guaranteed} together",
            "members who can use what their team is guaranteed",
            f"write {-(-guaranteed // len(team.members))} or more, or guarantee less",
            "warning",
        )


def place_of(team: str, key: str, pool: str, resource: str, by_pool: SlicesByPool) -> str:
    """The path of a number of slices, which may stand by pool or by pool and resource."""
    suffix = f".{resource}" if isinstance(by_pool.get(pool), Mapping) else ""
    return f"teams.{team}.{key}.{pool}{suffix}"


def pods_get_what_they_request(draft: Draft) -> Iterator[Problem]:
    """Refuse requests of a pod that no node serves, or that the pool's profile fails."""
    offers = pool_offers(draft.settings)
    for name, team in draft.settings.teams.items():
        for pool in team.per_pod:
            if pool not in offers:
                continue
            offer = offers[pool]
            for resource, offered in offer.slices.items():
                most = slices_of(team.per_pod.get(pool), resource) or 1
                where = place_of(name, "perPod", pool, resource, team.per_pod)
                if most > 1 and resource in offer.one_slice:
                    yield Problem(
                        where,
                        f"{most}, where {offer.one_slice[resource]} serves one slice a pod",
                        "1: the kubelet fails a pod that requests more (UnexpectedAdmissionError)",
                        "remove it: several slices give a pod no larger part of the card",
                    )
                elif most > offered:
                    yield Problem(
                        where,
                        f"{most}, above the {offered} of a node",
                        f"at most what one node offers, {offered} {resource}",
                        f"write {offered} or less",
                    )


def hours_are_in_order(draft: Draft) -> Iterator[Problem]:
    """Refuse a default that is longer than the longest time allowed."""
    for name, team in draft.settings.teams.items():
        if team.hours and team.hours.default > team.hours.most:
            yield Problem(
                f"teams.{name}.hours.default",
                f"{team.hours.default}, above max, {team.hours.most}",
                "at most max",
                f"write {team.hours.most} or less, or raise max",
            )


def cluster_can_serve_teams(draft: Draft) -> Iterator[Problem]:
    """Refuse teams where no operator offers slices, or where k3s lacks the admission policies."""
    settings = draft.settings
    if not settings.teams:
        return
    if not settings.gpu_operator.enabled and draft.intact("gpuOperator"):
        yield Problem(
            "teams",
            "teams, beside gpuOperator.enabled: false",
            "the GPU Operator: without it no node offers slices",
            "remove gpuOperator.enabled, or remove teams",
        )
    version = settings.k3s.version
    numbers = tuple(map(int, version.removeprefix("v").split(".")[:2]))
    if version != NO_K3S and numbers < FIRST_K3S:
        first = "v{}.{}".format(*FIRST_K3S)
        yield Problem(
            "k3s.version",
            f"{version}, beside teams",
            f"{first} or newer: older ones have no MutatingAdmissionPolicy, which fills in members' pods",
            f"write version: {first}.2+k3s1, or remove teams",
        )
