"""`python -m k3sgpu fit --file F [--json] [--svg FILE]`: exit 0 it fits, 1 it does not, 2 refused.

Beside what runs in the cluster: kubectl get nodes,pods -A -o json | python -m k3sgpu fit --file F --cluster -
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from k3sgpu.capacity import Fit, Seen, fit, render_slice_map, render_svg, seen
from k3sgpu.capacity.slice_map import totals
from k3sgpu.settings import Settings, SettingsError, read_stack_file, render


class NoCluster(Exception):
    """What was given as a cluster's objects is none. Its text is for the user."""


def main(arguments: list[str] | None = None) -> int:
    """The exit status. What could not be decided (a warning says so) counts as fitting."""
    parser = argparse.ArgumentParser(
        prog="python -m k3sgpu fit", description="Do the workloads fit the GPUs?"
    )
    parser.add_argument("--file", required=True, help="the stack file, for instance Pulumi.dev.yaml")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--svg", metavar="FILE", type=Path, help="draws it into a file as well")
    parser.add_argument(
        "--cluster", metavar="OBJECTS", help="its nodes and pods as kubectl's JSON, a file or - for stdin"
    )
    options = parser.parse_args(arguments)
    try:
        settings = read_stack_file(options.file)
        result = fit(settings, _seen(settings, options.cluster) if options.cluster else None)
    except NoCluster as error:
        print(error, file=sys.stderr)
        return 2
    except SettingsError as error:
        if options.json:
            print(
                json.dumps(
                    {"fits": None, "problems": [asdict(problem) for problem in error.problems]}, indent=2
                )
            )
        else:
            print(error, file=sys.stderr)
        return 2
    if options.svg:
        options.svg.write_text(render_svg(result))
    print(_json(result) if options.json else _text(result))
    wrong = any(problem.severity == "error" for problem in result.problems)
    return 1 if wrong or result.fits is False else 0


def _seen(settings: Settings, file: str) -> Mapping[str, Seen]:
    """A cluster's nodes from kubectl's list of nodes and pods. Raises NoCluster for anything else."""
    try:
        items = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text())["items"]
        kinds = {kind: [item for item in items if item["kind"] == kind] for kind in ("Node", "Pod")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected a list of nodes and pods as JSON"
        raise NoCluster(
            f"--cluster {file}: {reason}. Give it what this prints:\n"
            "kubectl get nodes,pods --all-namespaces --output json"
        ) from None
    return seen(settings, kinds["Node"], kinds["Pod"])


def _text(result: Fit) -> str:
    return "\n".join(part for part in (render_slice_map(result), render(result.problems)) if part)


def _json(result: Fit) -> str:
    return json.dumps(
        {
            "fits": result.fits,
            "verdict": result.verdict,
            "pendingAtLeast": result.least,
            "pendingAtMost": result.most,
            "rollingUpdate": result.rollout,
            "losses": [
                {
                    "anyOneOf": loss.nodes,
                    "verdict": loss.prospect.verdict,
                    "pendingAtLeast": loss.prospect.least,
                    "pendingAtMost": loss.prospect.most,
                }
                for loss in result.losses
            ],
            "offers": [{**asdict(one), "resources": one.resources} for one in result.offers],
            "memory": [{**asdict(load), "fits": load.fits} for load in result.memory],
            "reserved": [asdict(seat) for seat in result.reserved],
            "placements": result.placements,
            "pending": [asdict(pod) for pod in result.pending],
            "totals": {
                name: {"taken": taken, "offered": offered}
                for name, (taken, offered) in totals(result.offers, (*result.reserved, *result.seats)).items()
            },
            "problems": [asdict(problem) for problem in result.problems],
        },
        indent=2,
    )
