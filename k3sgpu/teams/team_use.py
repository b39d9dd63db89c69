"""What the pods of teams use in a running cluster, and whom smaller numbers would evict."""

from collections import Counter
from collections.abc import Iterable

from k3sgpu.capacity import Placement
from k3sgpu.capacity.render.team_table import TeamUse
from k3sgpu.capacity.wording import count_noun
from k3sgpu.teams.evictions import Eviction, describe_eviction
from k3sgpu.teams.team_pods import TeamPod


def team_use(pods: Iterable[TeamPod]) -> dict[tuple[str, str, str], TeamUse]:
    """The slices that pods on nodes use, by team, pool and resource."""
    used: Counter[tuple[str, str, str, str]] = Counter()
    for pod in pods:
        for resource, slices in pod.slices.items() if pod.node else ():
            used[pod.team, pod.pool, resource, pod.rank] += slices
    places = {(team, pool, resource) for team, pool, resource, _ in used}
    return {place: TeamUse(used[*place, "guaranteed"], used[*place, "burst"]) for place in sorted(places)}


def team_placements(pods: Iterable[TeamPod]) -> list[Placement]:
    """The pods on nodes as the slice map shows them."""
    return [
        Placement(f"{pod.team}/{pod.name}", f"team {pod.team}", pod.node, resource, slices)
        for pod in pods
        if pod.node
        for resource, slices in pod.slices.items()
    ]


def eviction_lines(evictions: Iterable[Eviction]) -> list[str]:
    """A line for each pod that the next `up` evicts; nothing where there is none."""
    lines = [f"  {describe_eviction(one)}" for one in evictions]
    return [f"pulumi up evicts {count_noun(len(lines), 'pod')} of teams:", *lines] if lines else []
