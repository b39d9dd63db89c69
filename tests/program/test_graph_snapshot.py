"""Comparison of the graph with tests/data/graphs, where every resource is a line.

A changed type, name, parent, dependency, option or input key fails. After an intended change write the files
again and read their diff: UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/program/test_graph_snapshot.py
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from tests.program.conftest import stack_config
from tests.program.graphs import with_agents, with_existing_cluster, with_servers
from tools import mocked_program as g

FOLDER = Path(__file__).resolve().parents[1] / "data/graphs"
OPTIONS = (
    "protect",
    "ignoreChanges",
    "retainOnDelete",
    "deletedWith",
    "deleteBeforeReplace",
    "replaceOnChanges",
    "additionalSecretOutputs",
    "aliases",
    "hooks",
)


def dev() -> g.Graph:
    return g.run(stack_config("dev"))


def three_servers_and_twenty_agents() -> g.Graph:
    config = with_servers(3)
    config["pools"]["rtx"]["hosts"] = {f"gpu-{n}": f"10.77.0.{20 + n}" for n in range(1, 21)}
    config["k3s"].update(maxUnavailable=3, protect=True)
    return g.run(config)


def lost_server_and_agent() -> g.Graph:
    config = with_servers(3)
    config["pools"]["control"]["hosts"]["server-3"] = {"address": "10.77.0.13", "gone": True}
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "10.77.0.22", "gone": True}
    return g.run(config)


def sudo_with_a_password() -> g.Graph:
    config = with_agents(1)
    config["ssh"]["user"] = "ubuntu"
    return g.run(config, secrets={"sudoPassword": "correct horse"})


def existing_cluster() -> g.Graph:
    return g.run(with_existing_cluster(), secrets={"clusterKubeconfig": g.KUBECONFIG})


GRAPHS = (
    dev,
    three_servers_and_twenty_agents,
    lost_server_and_agent,
    sudo_with_a_password,
    existing_cluster,
)


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_graph_is_as_recorded(in_project: Path, graph: Callable[[], g.Graph]):
    file = FOLDER / f"{graph.__name__}.txt"
    text = "".join(f"{line}\n" for line in sorted(_line(one) for one in graph()))
    if "UPDATE_SNAPSHOTS" in os.environ:
        file.write_text(text)
    assert text.splitlines() == file.read_text().splitlines()


def _line(one: g.Registered) -> str:
    """One resource: its type and name, then what else is not empty, as JSON."""
    options: dict[str, Any] = MessageToDict(one.options)
    facts = {
        "parent": _short(one.parent),
        "provider": _short(one.provider.rpartition("::")[0]),
        "dependsOn": sorted(map(_short, one.depends_on)),
        **{name: _shortened(options.get(name)) for name in OPTIONS},
        "inputs": sorted(one.inputs),
        "secretInputs": sorted(key for key, value in one.inputs.items() if isinstance(value, g.Hidden)),
    }
    return f"{one.type} {one.name} {json.dumps({key: fact for key, fact in facts.items() if fact})}"


def _short(urn: str) -> str:
    """`type name` of a URN, with the last of its types."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition('::')[2].rpartition('$')[2]} {name}".strip() if urn else ""


def _shortened(option: Any) -> Any:
    return _short(option) if isinstance(option, str) else option
