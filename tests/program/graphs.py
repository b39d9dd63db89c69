"""Configurations for graphs, and queries on a graph."""

import base64
import copy
import shlex

import yaml

from tests.program.conftest import ROOT, stack_config
from tools import mocked_program as g


def with_agents(count: int, **k3s) -> dict:
    config = copy.deepcopy(stack_config("dev"))
    config["pools"]["rtx"]["hosts"] = {f"gpu-{n}": f"10.77.0.{20 + n}" for n in range(1, count + 1)}
    config["k3s"].update(k3s)
    return config


def with_servers(count: int) -> dict:
    config = with_agents(2)
    config["pools"]["control"]["hosts"] = {f"server-{n}": f"10.77.0.{10 + n}" for n in range(1, count + 1)}
    config["k3s"].update(initialServer="server-2", registrationAddress="k3s.example.org")
    return config


def commands(graph: g.Graph) -> list[g.Registered]:
    return [r for r in graph if r.type == "command:remote:Command"]


def changes(before: g.Graph, after: g.Graph) -> list[str]:
    """Names of resources whose inputs differ."""
    return sorted(r.name for r in before if r.inputs != after.resources[r.urn].inputs)


def script(graph: g.Graph, resource: str, operation: str = "create") -> str:
    """The script that a Command runs under sh."""
    *_, text = shlex.split(graph.of(resource).inputs[operation])
    return text


def stdin_secrets(graph: g.Graph, resource: str) -> dict[str, str]:
    """By name: the secrets on a Command's stdin."""
    lines = graph.of(resource).inputs["stdin"].value.splitlines()
    return {name: base64.b64decode(text).decode() for name, _, text in (one.partition("=") for one in lines)}


def with_existing_cluster() -> dict:
    """docs/examples/Pulumi.existing.yaml, with its kubeconfig among the secrets."""
    file = yaml.safe_load((ROOT / "docs/examples/Pulumi.existing.yaml").read_text())["config"]
    return {key.partition(":")[2]: value for key, value in file.items()} | {"kubeconfig": {}}
