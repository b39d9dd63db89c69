"""Check whether the workloads of a stack file fit its GPUs, by arithmetic alone.

Beside what runs in the cluster now:
  kubectl get nodes,pods --all-namespaces --output json | python -m k3sgpu fit --file FILE --cluster -

What cannot be decided is a warning and counts as fitting.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli.arguments import add_file, add_json
from k3sgpu.cli.inputs import read_text
from k3sgpu.cli.output import print_json, print_text
from k3sgpu.foreign_text import escape
from k3sgpu.problem import InputError, render

if TYPE_CHECKING:
    from k3sgpu.capacity import Fit, NodeUsage
    from k3sgpu.settings import Settings

CLUSTER_HELP = "Use the output of:\nkubectl get nodes,pods --all-namespaces --output json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_file(parser, required=True)
    add_json(parser)
    parser.add_argument("--svg", metavar="FILE", type=Path, help="also draw the slices into this file")
    parser.add_argument(
        "--cluster", metavar="FILE", help="the cluster's nodes and pods as kubectl's JSON; - is stdin"
    )


def run(options: argparse.Namespace) -> int:
    """Prints whether the workloads fit. Returns the exit status: 1 if they do not."""
    from k3sgpu.capacity import fit, offers, render_slice_map, render_svg
    from k3sgpu.settings import read_stack_file

    settings = read_stack_file(options.file)
    usage = _node_usage(settings, options.cluster) if options.cluster else None
    result = fit(settings, offers(settings), usage)
    if options.svg:
        _write(options.svg, render_svg(result))
    if options.json:
        print_json(_as_json(result))
    else:
        print_text("\n".join(part for part in (render_slice_map(result), render(result.problems)) if part))
    wrong = any(problem.severity == "error" for problem in result.problems)
    return 1 if wrong or result.fits is False else 0


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"--svg {escape(file)} cannot be written: {reason}") from None


def _node_usage(settings: Settings, file: str) -> Mapping[str, NodeUsage]:
    """What runs on a cluster's nodes, from kubectl's list of nodes and pods. Raises InputError."""
    from k3sgpu.capacity import node_usage

    try:
        items = json.loads(read_text(file)[0])["items"]
        kinds = {kind: [item for item in items if item["kind"] == kind] for kind in ("Node", "Pod")}
        return node_usage(settings, kinds["Node"], kinds["Pod"])
    except InputError as error:
        raise InputError(f"--cluster: {error}. {CLUSTER_HELP}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"--cluster: {file} holds no list of nodes and pods as JSON. {CLUSTER_HELP}"
        ) from None


def _as_json(result: Fit) -> dict[str, object]:
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
        "problems": [asdict(problem) for problem in result.problems],
    }
