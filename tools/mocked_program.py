"""Runs the whole program under Pulumi's mocks and records every resource that it registers.

Mocks show the shape of the graph: dependencies, options, names, secrets. Only the rehearsal shows that it
works.
"""

import asyncio
import gc
import json
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, rpc
from pulumi.runtime import settings as runtime
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).resolve().parents[1]

KUBECONFIG = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "default", "user": {"client-key-data": "a2V5LW9mLXRoZS1hZG1pbg=="}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
    }
)
TEAM_TOKENS = json.dumps({"cluster": {"server": "https://127.0.0.1:6443"}, "members": {}})
TOKENS = json.dumps({"server": "K10aa::server:server-secret", "agent": "K10aa::node:agent-secret"})


@dataclass
class Registered:
    """A resource as the engine would have received it."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    """Plain values; a secret one is `Hidden`."""
    parent: str
    provider: str
    depends_on: set[str]
    """URNs, from the options and from the inputs."""
    options: Any
    """The request itself, for options without a field here."""


@dataclass(frozen=True)
class Hidden:
    """A secret input."""

    value: Any


@dataclass
class Graph:
    """The resources and the outputs of one run of the program."""

    resources: dict[str, Registered] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    """By name: a value, or an Output where it comes from a resource."""

    def __iter__(self) -> Iterator[Registered]:
        return iter(self.resources.values())

    def of(self, name: str, kind: str | None = None) -> Registered:
        """The one resource of that name, and of a type that ends with `kind`."""
        found = [r for r in self if r.name == name and (kind is None or r.type.endswith(kind))]
        assert len(found) == 1, (
            f"{name} ({kind}): {[r.urn for r in found]}; there are {sorted(r.name for r in self)}"
        )
        return found[0]

    def before(self, resource: Registered) -> set[str]:
        """The names of all resources that this one depends on, directly or not."""
        seen: set[str] = set()
        todo = [resource.urn]
        while todo:
            one = self.resources[todo.pop()]
            for urn in {*one.depends_on, one.provider.rsplit("::", 1)[0], one.parent}:
                if urn in self.resources and urn not in seen:
                    seen.add(urn)
                    todo.append(urn)
        return {self.resources[urn].name for urn in seen}


class MockedMachines(mocks.Mocks):
    """Answers in place of the machines."""

    def __init__(self, kubeconfig_known: bool, tokens: str):
        self._known, self._tokens = kubeconfig_known, tokens

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict]:
        outputs = dict(args.inputs)
        if args.typ == "command:remote:Command":
            outputs["stderr"] = ""
            if args.name.endswith("-tokens"):
                outputs["stdout"] = self._tokens
            elif args.name.endswith("-kubeconfig"):
                outputs["stdout"] = KUBECONFIG
            else:
                outputs["stdout"] = "done"
            if not self._known:
                outputs["stdout"] = pulumi.UNKNOWN
        if args.typ == "command:local:Command":
            outputs["stdout"] = TEAM_TOKENS if args.name.startswith("teams-tokens-") else "{}"
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> dict:
        return {}


class RecordingMonitor(mocks.MockMonitor):
    """The mock monitor, which records every resource and refuses a second one of the same URN."""

    def __init__(self, mocks_: mocks.Mocks, graph: Graph):
        super().__init__(mocks_)
        self._graph = graph

    def RegisterResource(self, request):
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            assert response.urn not in self._graph.resources, f"registered twice: {response.urn}"
            edges = {urn for deps in request.propertyDependencies.values() for urn in deps.urns}
            self._graph.resources[response.urn] = Registered(
                urn=response.urn,
                type=request.type,
                name=request.name,
                inputs=_plain(MessageToDict(request.object)),
                parent=request.parent,
                provider=request.provider,
                depends_on={*request.dependencies, *edges},
                options=request,
            )
        return response


def run(
    config: Mapping[str, Any],
    *,
    stack: str = "dev",
    secrets: Mapping[str, str] | None = None,
    kubeconfig_known: bool = True,
    tokens: str = TOKENS,
) -> Graph:
    """Runs `__main__.py` on a configuration (un-namespaced keys). Raises what the program raises."""
    # The SDK needs a current event loop, and asyncio.run closes the one that it used.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    graph = Graph()
    machines = MockedMachines(kubeconfig_known, tokens)
    mocks.set_mocks(
        machines,
        project="k3s-gpu-sharing",
        stack=stack,
        preview=not kubeconfig_known,
        monitor=RecordingMonitor(machines, graph),
    )
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi.runtime.set_all_config(
        {f"k3s-gpu-sharing:{key}": text for key, text in {**texts, **(secrets or {})}.items()},
        [f"k3s-gpu-sharing:{key}" for key in secrets or {}],
    )

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
        root: Any = runtime.get_root_resource()
        graph.exports = dict(root.outputs)

    # The mocks register a root stack, which the program does itself. Without this, the SDK would wait for
    # registrations that a failed program has left behind.
    sdk: Any = runtime.SETTINGS
    no_root: Any = None
    runtime.set_root_resource(no_root)
    sdk.rpc_manager.clear()
    sdk.outputs.clear()
    try:
        loop.run_until_complete(run_in_stack(program))
    finally:
        gc.enable()  # the program switches it off in its process, which is this one
    return graph


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return Hidden(_plain(value["value"]))
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
