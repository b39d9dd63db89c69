"""What is added to a stack file for further machines: agents, in pools with the same cards or in new ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ruamel.yaml.comments import CommentedMap

from k3sgpu.discovery.candidates import Candidate, Seen
from k3sgpu.discovery.card_kinds import CardKind
from k3sgpu.discovery.names import unique_name
from k3sgpu.discovery.proposal import (
    ProposedHost,
    ProposedPool,
    ProposedProfile,
    name_hosts,
    profile_for,
    profile_name,
)
from k3sgpu.discovery.stack_file_edits import add_entries
from k3sgpu.discovery.stack_file_text import Inherited, host_values, pool_values, profile_values
from k3sgpu.problem import Problem
from k3sgpu.settings import NO_SHARING, Settings
from k3sgpu.settings.config_keys import NAMESPACE
from k3sgpu.settings.models.pools import Pool


@dataclass(frozen=True)
class Additions:
    """Entries for a stack file."""

    hosts: Mapping[str, Sequence[ProposedHost]]
    """By the name of a pool that is there."""
    pools: Sequence[ProposedPool]
    profiles: Mapping[str, ProposedProfile]

    @property
    def all_hosts(self) -> list[ProposedHost]:
        """Every host that is added."""
        joining = [host for hosts in self.hosts.values() for host in hosts]
        return joining + [host for pool in self.pools for host in pool.hosts]


def repeated(settings: Settings, candidates: Sequence[Candidate]) -> list[Problem]:
    """A problem for each machine whose address the stack file has already."""
    there = {(node.address, node.port): node for node in (*settings.machines, *settings.lost)}
    return [
        Problem(
            one.name,
            f"the address of {there[one.address, one.port].place}",
            "a machine that the stack file does not have yet",
            "leave it out of the command",
        )
        for one in candidates
        if (one.address, one.port) in there
    ]


def propose_additions(
    machines: Sequence[Seen],
    kinds: Mapping[str, CardKind],
    settings: Settings,
    slices: int | None,
    owner: tuple[str, str],
) -> tuple[Additions, list[Problem]]:
    """What to add for these machines, and a problem for each whose name the stack file has already."""
    taken = {node.name: node.place for node in (*settings.machines, *settings.lost)}
    joining: dict[str, list[ProposedHost]] = {}
    new: dict[CardKind | None, list[ProposedHost]] = {}
    problems: list[Problem] = []
    for host in name_hosts(machines, kinds, (), (), owner):
        if host.name in taken:
            problems.append(_name_is_taken(host, taken[host.name]))
            continue
        cards = kinds.get(host.seen.candidate.name)
        pool = next((name for name, pool in settings.pools.items() if _has_kind(pool, cards)), None)
        (joining.setdefault(pool, []) if pool else new.setdefault(cards, [])).append(host)
    pools, profiles = _new_pools(new, settings, slices)
    return Additions(joining, pools, profiles), problems


def added(text: str, settings: Settings, additions: Additions) -> str:
    """The text of a stack file with the additions. Raises CannotAdd."""
    pools = f"{NAMESPACE}pools"
    for name, hosts in additions.hosts.items():
        pool = settings.pools[name]
        inherited = Inherited(
            pool.user or settings.ssh.user,
            pool.port or settings.ssh.port,
            pool.private_key_file or settings.ssh.private_key_file,
        )
        text = add_entries(text, ("config", pools, name, "hosts"), host_values(hosts, inherited))
    stack = Inherited(settings.ssh.user, settings.ssh.port, settings.ssh.private_key_file)
    for pool in additions.pools:
        text = add_entries(text, ("config", pools), CommentedMap({pool.name: pool_values(pool, stack)}))
    if additions.profiles:
        place = ("config", f"{NAMESPACE}sharing", "profiles")
        text = add_entries(text, place, profile_values(additions.profiles, indent=0))
    return text


def _has_kind(pool: Pool, cards: CardKind | None) -> bool:
    """Whether a pool is one of agents with the same cards."""
    if pool.role != "agent":
        return False
    gpu = pool.gpu
    if gpu is None or cards is None:
        return gpu is None and cards is None
    there = CardKind(gpu.product, gpu.memory_mib, gpu.count, tuple(sorted(gpu.mig.items())))
    return there == cards


def _new_pools(
    new: Mapping[CardKind | None, Sequence[ProposedHost]], settings: Settings, slices: int | None
) -> tuple[list[ProposedPool], dict[str, ProposedProfile]]:
    pools: list[ProposedPool] = []
    profiles: dict[str, ProposedProfile] = {}
    for cards, hosts in new.items():
        taken = [*settings.pools, *(pool.name for pool in pools)]
        name = unique_name(profile_name(cards) if cards else "cpu", taken)
        profile = _known_profile(cards, settings) if cards and slices is None else None
        if cards and profile is None and (proposed := profile_for(cards, slices)):
            profile = unique_name(profile_name(cards), [*settings.sharing.profiles, *profiles])
            profiles[profile] = proposed
        pools.append(
            ProposedPool(name, "agent", tuple(hosts), cards, profile or (NO_SHARING if cards else ""))
        )
    return pools, profiles


def _known_profile(cards: CardKind, settings: Settings) -> str | None:
    """The profile of a pool with the same cards in another number, or of servers that have them."""
    for node in settings.nodes:
        gpu = node.gpu
        if gpu and replace(cards, count=1) == CardKind(
            gpu.product, gpu.memory_mib, 1, tuple(sorted(gpu.mig.items()))
        ):
            return gpu.profile
    return None


def _name_is_taken(host: ProposedHost, place: str) -> Problem:
    return Problem(
        host.seen.candidate.name,
        f"its name would be {host.name}, as {place} has it",
        "a machine that the stack file does not have yet, with a name of its own",
        "if it is the same machine under another address: leave it out\n"
        f"else rename it: {_rename(host)}; or give it a name in an inventory (--from)",
    )


def _rename(host: ProposedHost) -> str:
    return f"sudo hostnamectl set-hostname {host.name}-b"
