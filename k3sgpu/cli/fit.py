"""Check whether the workloads of a stack file fit its GPUs, by arithmetic alone.

Beside what runs in the cluster now:
  kubectl get nodes,pods --all-namespaces --output json | python -m k3sgpu fit --file FILE --cluster -

What cannot be decided is a warning and counts as fitting.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli.arguments import add_file, add_json
from k3sgpu.cli.inputs import read_text
from k3sgpu.cli.output import print_json, print_text
from k3sgpu.foreign_text import escape
from k3sgpu.problem import InputError, render

if TYPE_CHECKING:
    from k3sgpu.capacity import Fit, NodeUsage, Placement
    from k3sgpu.capacity.render.team_table import TeamUse
    from k3sgpu.capacity.team_guarantees import TeamRoom
    from k3sgpu.settings import Settings
    from k3sgpu.teams.evictions import Eviction

CLUSTER_HELP = "Use the output of:\nkubectl get nodes,pods --all-namespaces --output json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_file(parser, required=True)
    add_json(parser)
    parser.add_argument("--svg", metavar="FILE", type=Path, help="also draw the slices into this file")
    parser.add_argument(
        "--cluster", metavar="FILE", help="the cluster's nodes and pods as kubectl's JSON; - is stdin"
    )


def run(options: argparse.Namespace) -> int:
    """Prints whether workloads and guarantees fit. Returns the exit status: 1 if they do not."""
    from k3sgpu.capacity import fit, offers, render_slice_map, render_svg
    from k3sgpu.settings import read_stack_file

    settings = read_stack_file(options.file)
    cluster = _read_cluster(settings, options.cluster) if options.cluster else None
    result = fit(settings, offers(settings), cluster.usage if cluster else None)
    if options.svg:
        _write(options.svg, render_svg(result))
    if options.json:
        print_json(_as_json(result, cluster))
    else:
        running, used = (cluster.running, cluster.used) if cluster else ((), None)
        parts = (
            render_slice_map(result, running=running, used=used),
            _evicted(cluster),
            render(result.problems),
        )
        print_text("\n".join(part for part in parts if part))
    wrong = any(problem.severity == "error" for problem in result.problems)
    return 1 if wrong or result.fits is False else 0


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"--svg {escape(file)} cannot be written: {reason}") from None


@dataclass(frozen=True)
class _Cluster:
    """What runs in a cluster now."""

    usage: Mapping[str, NodeUsage]
    running: Sequence[Placement]
    """The pods of members."""
    used: Mapping[tuple[str, str, str], TeamUse]
    evictions: Sequence[Eviction]
    """The pods of teams that use more than the stack file allows."""


def _read_cluster(settings: Settings, file: str) -> _Cluster:
    """What runs in a cluster, from kubectl's list of nodes and pods. Raises InputError."""
    from k3sgpu.capacity import node_usage, offers, team_shares
    from k3sgpu.capacity.node_usage import workload_of
    from k3sgpu.teams.evictions import evictions
    from k3sgpu.teams.team_pods import team_pods
    from k3sgpu.teams.team_use import team_placements, team_use

    try:
        items = json.loads(read_text(file)[0])["items"]
        nodes, pods = ([item for item in items if item["kind"] == kind] for kind in ("Node", "Pod"))
        usage, of_teams = node_usage(settings, nodes, pods), team_pods(pods, settings.teams)
        of_members = [pod for pod in pods if workload_of(settings, pod) is None]
    except InputError as error:
        raise InputError(f"--cluster: {error}. {CLUSTER_HELP}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"--cluster: {file} holds no list of nodes and pods as JSON. {CLUSTER_HELP}"
        ) from None
    return _Cluster(
        usage,
        running=team_placements(team_pods(of_members, settings.teams)),
        used=team_use(of_teams),
        evictions=evictions(team_shares(settings, offers(settings)), of_teams),
    )


def _evicted(cluster: _Cluster | None) -> str:
    from k3sgpu.teams.team_use import eviction_lines

    lines = eviction_lines(cluster.evictions) if cluster else []
    return "\n".join([*lines, ""]) if lines else ""


def _as_json(result: Fit, cluster: _Cluster | None) -> dict[str, object]:
    from k3sgpu.capacity.render.summary import rolling_update_text
    from k3sgpu.capacity.slice_usage import totals

    return {
        "fits": result.fits,
        "verdict": result.verdict,
        "pendingAtLeast": result.min_pending,
        "pendingAtMost": result.max_pending,
        "rollingUpdate": rolling_update_text(result),
        "losses": [
            {
                "anyOneOf": loss.nodes,
                "verdict": loss.result.verdict,
                "pendingAtLeast": loss.result.min_pending,
                "pendingAtMost": loss.result.max_pending,
            }
            for loss in result.node_losses
        ],
        "offers": [{**asdict(one), "resources": one.resources} for one in result.offers],
        "memory": [{**asdict(load), "fits": load.fits} for load in result.memory_loads],
        "reserved": [asdict(placement) for placement in result.reserved],
        "placements": result.nodes_by_pod,
        "pending": [asdict(pod) for pod in result.pending],
        "totals": {
            name: {"taken": taken, "offered": offered}
            for name, (taken, offered) in totals(
                result.offers, (*result.reserved, *result.placements)
            ).items()
        },
        "running": [asdict(placement) for placement in cluster.running] if cluster else [],
        "teams": [_team_as_json(room, result, cluster) for room in result.teams],
        "evictions": [asdict(one) for one in cluster.evictions] if cluster else [],
        "problems": [asdict(problem) for problem in result.problems],
    }


def _team_as_json(room: TeamRoom, result: Fit, cluster: _Cluster | None) -> dict[str, object]:
    from k3sgpu.capacity.render.team_table import NO_USE, free_slices

    facts: dict[str, object] = {**asdict(room), "alone": room.alone}
    if cluster:
        own = cluster.used.get((room.team, room.pool, room.resource), NO_USE)
        guaranteed, burst = free_slices(room, result.teams, cluster.used)
        facts |= {"used": asdict(own), "free": {"guaranteed": guaranteed, "burst": burst}}
    return facts
